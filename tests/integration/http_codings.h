/* SPDX-License-Identifier: MIT */
/* For tests of compressed bodies: streams of every coding, and a server that sends what it is told. */
#ifndef WEIR_TESTS_HTTP_CODINGS_H
#define WEIR_TESTS_HTTP_CODINGS_H

#include "http_steps.h"

#include <zlib.h>

#ifdef WEIR_WITH_BROTLI
#include <brotli/encode.h>
#endif
#ifdef WEIR_WITH_ZSTD
#include <zstd.h>
#endif

/* ---- streams ----------------------------------------------------------------------------- */

#define STREAM_SIZE 4194304
#define KEPT_MOST 128

struct stream {
    const char *coding; /* as Content-Encoding has it */
    unsigned char *data;
    size_t size;
};

static const char text[] = "a weir keeps a pool at its level, a weir lets only the overflow pass";
#define TEXT_SIZE (sizeof text - 1)

static inline void must(bool is_so, const char *what)
{
    if (is_so)
        return;
    printf("Bail out! %s\n", what);
    exit(1);
}

/* The peer may still write of one that was refused, so that all are kept to the end. */
static void *kept[KEPT_MOST];
static size_t kept_count;

static inline unsigned char *keep(void *data)
{
    must(data != NULL && kept_count < KEPT_MOST, "memory");
    kept[kept_count++] = data;
    return data;
}

static inline void free_kept(void)
{
    while (kept_count > 0)
        free(kept[--kept_count]);
}

/* `bits` as zlib has them: 31 makes gzip, 15 what is called deflate, -15 what is in it. */
static inline struct stream deflated(const char *coding, int bits, const void *data, size_t size)
{
    struct stream s = {coding, keep(malloc(STREAM_SIZE)), 0};
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)data, .avail_in = (uInt)size};

    must(deflateInit2(&z, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) == Z_OK, "deflateInit2");
    z.next_out = s.data;
    z.avail_out = STREAM_SIZE;
    must(deflate(&z, Z_FINISH) == Z_STREAM_END, "deflate");
    s.size = z.total_out;
    deflateEnd(&z);
    return s;
}

static inline struct stream gzipped(const void *data, size_t size)
{
    return deflated("gzip", 31, data, size);
}

#ifdef WEIR_WITH_BROTLI
static inline struct stream brotlied(const void *data, size_t size)
{
    struct stream s = {"br", keep(malloc(STREAM_SIZE)), STREAM_SIZE};

    must(BrotliEncoderCompress(5, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_GENERIC, size, data, &s.size,
                               s.data) == BROTLI_TRUE,
         "BrotliEncoderCompress");
    return s;
}
#endif

#ifdef WEIR_WITH_ZSTD
static inline struct stream zstded(const void *data, size_t size)
{
    struct stream s = {"zstd", keep(malloc(STREAM_SIZE)), 0};

    s.size = ZSTD_compress(s.data, STREAM_SIZE, data, size, 3);
    must(!ZSTD_isError(s.size), "ZSTD_compress");
    return s;
}
#endif

/* The stream within another. */
static inline struct stream within(const char *coding, struct stream (*make)(const void *, size_t),
                                   struct stream inner)
{
    struct stream s = make(inner.data, inner.size);

    s.coding = coding;
    return s;
}

static inline struct stream joined(struct stream first, struct stream second)
{
    must(first.size + second.size <= STREAM_SIZE, "a stream that is too large");
    memcpy(first.data + first.size, second.data, second.size);
    first.size += second.size;
    return first;
}

static inline struct stream followed_by(struct stream s, const void *data, size_t size)
{
    must(s.size + size <= STREAM_SIZE, "a stream that is too large");
    memcpy(s.data + s.size, data, size);
    s.size += size;
    return s;
}

/* One of each kind, of the same data. */
#define KINDS_MOST 8

static inline size_t make_kinds(struct stream kinds[KINDS_MOST], const void *data, size_t size)
{
    size_t count = 0;

    kinds[count++] = gzipped(data, size);
    kinds[count++] = deflated("deflate", 15, data, size);
    kinds[count++] = deflated("deflate", -15, data, size);
    kinds[count++] = within("deflate, gzip", gzipped, deflated("deflate", 15, data, size));
#ifdef WEIR_WITH_BROTLI
    kinds[count++] = brotlied(data, size);
    kinds[count++] = within("br, gzip", gzipped, brotlied(data, size));
#endif
#ifdef WEIR_WITH_ZSTD
    kinds[count++] = zstded(data, size);
    kinds[count++] = within("gzip, zstd", zstded, gzipped(data, size));
#endif
    return count;
}

/* ---- the other side ---------------------------------------------------------------------- */

enum framing { BY_LENGTH, IN_CHUNKS, TO_THE_END, FRAMINGS };

/* What the peer answers; changed by the test between two requests only. */
static struct answer {
    const char *status; /* "200 OK" */
    const char *headers;
    const char *coding;
    const unsigned char *data;
    size_t size;
    size_t piece; /* bytes of a chunk; 0: all */
    enum framing framing;
} answer;

static inline bool write_chunks(struct peer_exchange *x, const struct answer *a)
{
    size_t piece = a->piece > 0 ? a->piece : a->size;
    char line[32];

    for (size_t at = 0; at < a->size; at += piece) {
        size_t size = a->size - at < piece ? a->size - at : piece;

        snprintf(line, sizeof line, "%zx\r\n", size);
        if (!peer_print(x, line) || !peer_write(x, a->data + at, size) || !peer_print(x, "\r\n"))
            return false;
    }
    return peer_print(x, "0\r\n\r\n");
}

static inline bool give_answer(struct peer_exchange *x, void *arg)
{
    const struct answer a = answer; /* once the other side has all, it becomes another */
    char head[512];
    int size = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%s",
                        a.status == NULL ? "200 OK" : a.status, a.headers == NULL ? "" : a.headers);

    (void)arg;
    if (a.coding != NULL)
        size +=
            snprintf(head + size, sizeof head - (size_t)size, "Content-Encoding: %s\r\n", a.coding);
    if (a.framing == BY_LENGTH)
        size +=
            snprintf(head + size, sizeof head - (size_t)size, "Content-Length: %zu\r\n", a.size);
    if (a.framing == IN_CHUNKS)
        size += snprintf(head + size, sizeof head - (size_t)size, "Transfer-Encoding: chunked\r\n");
    if (a.framing == TO_THE_END)
        size += snprintf(head + size, sizeof head - (size_t)size, "Connection: close\r\n");
    snprintf(head + size, sizeof head - (size_t)size, "\r\n");
    if (!peer_read_body(x) || !peer_print(x, head))
        return false;
    if (a.framing == IN_CHUNKS)
        return write_chunks(x, &a);
    return peer_write(x, a.data, a.size) && a.framing == BY_LENGTH;
}

static inline void set_answer(const struct stream *s, size_t size, enum framing framing)
{
    answer =
        (struct answer){.coding = s->coding, .data = s->data, .size = size, .framing = framing};
}

static struct peer *peer;

/* Nothing is repeated, unless the test says so. */
static inline weir_http_options patient_options(void)
{
    weir_http_options options = quick_options();

    options.retry.total = 0;
    return options;
}

static inline struct outcome ask(weir_http *session)
{
    char url[PEER_URL_SIZE];

    return get(session, peer_url(peer, "/", url));
}

/* What a sink was given. */
struct sunk {
    char data[256];
    size_t size;
};

static inline weir_status sink_some(void *arg, const char *data, size_t size, weir_error *reterr)
{
    struct sunk *sunk = arg;

    (void)reterr;
    for (size_t i = 0; i < size && sunk->size + i < sizeof sunk->data; i++)
        sunk->data[sunk->size + i] = data[i];
    sunk->size += size;
    return WEIR_OK;
}

static inline struct outcome ask_with_sink(weir_http *session, struct sunk *sunk)
{
    char url[PEER_URL_SIZE];
    weir_http_request *request = new_request("GET", peer_url(peer, "/", url));

    sunk->size = 0;
    weir_http_request_sink(request, sink_some, sunk);
    struct outcome o = send_request(session, request, -1);
    weir_http_request_close(request);
    return o;
}

static inline void check_whole(weir_http *session, const struct stream *s, size_t wanted)
{
    int before = check_failures_in_test;

    for (int framing = 0; framing < FRAMINGS; framing++) {
        set_answer(s, s->size, (enum framing)framing);
        answer.piece = 1;
        struct outcome o = ask(session);
        check_outcome(o, WEIR_OK);
        check_int(o.size, wanted);
        check(wanted == 0 || memcmp(o.body, text, TEXT_SIZE) == 0);
    }
    if (check_failures_in_test != before)
        printf("# %s, %zu bytes\n", s->coding, s->size);
}

#endif
