/* SPDX-License-Identifier: MIT */
/* Compressed bodies that are wrong or too much: refused in words, and within the limits of memory. */
#include "http_codings.h"

/* ---- what is wrong ----------------------------------------------------------------------- */

static void check_refused(weir_http *session, const char *coding, const void *data, size_t size,
                          const char *words)
{
    struct stream s = {coding, NULL, size};
    int before = check_failures_in_test;

    for (int framing = 0; framing < FRAMINGS; framing++) {
        set_answer(&s, size, (enum framing)framing);
        answer.data = data;
        struct outcome o = ask(session);
        check_outcome(o, WEIR_PROTOCOL);
        check_contains(o.error.text, words);
        check_int(o.report.attempts, 1);
    }
    if (check_failures_in_test != before)
        printf("# %s: %s\n", coding, words);
}

static void a_body_that_is_no_stream_of_its_coding_is_refused_in_words(void)
{
    weir_http *session = open_quick();
    struct stream s = gzipped(text, TEXT_SIZE);

    check_refused(session, "gzip", "this is no gzip", 15, "not valid gzip: incorrect header check");
    check_refused(session, "deflate", "this is no deflate", 18, "not valid deflate: ");
    check_refused(session, "gzip, deflate", "this is no deflate", 18, "not valid deflate: ");
    check_refused(session, "rot13", "nopq", 4, "unknown Content-Encoding: rot13");
    check_refused(session, "gzip, compress", "nopq", 4, "unknown Content-Encoding: compress");
    check_refused(session, "a\"b", "nopq", 4, "unknown Content-Encoding;");
    check_refused(session, "gzip, gzip, gzip, gzip, gzip, gzip", s.data, s.size,
                  "more than 5 codings");
    /* In memory of its own each: the other side's threads have read the ones before. */
    s = gzipped(text, TEXT_SIZE);
    s.data[s.size - 1] ^= 1;
    check_refused(session, "gzip", s.data, s.size, "incorrect length check");
    s = gzipped(text, TEXT_SIZE);
    s.data[s.size - 5] ^= 1;
    check_refused(session, "gzip", s.data, s.size, "incorrect data check");
    s = followed_by(gzipped(text, TEXT_SIZE), "junk", 4);
    check_refused(session, "gzip", s.data, s.size, "incorrect header check");
    s = followed_by(deflated("deflate", 15, text, TEXT_SIZE), "junk", 4);
    check_refused(session, "deflate", s.data, s.size, "there is data after its end");
    close_session(session);
}

static void other_codings_are_refused_in_words_too(void)
{
    weir_http *session = open_quick();

#ifdef WEIR_WITH_BROTLI
    check_refused(session, "br", "this is no br", 13, "not valid br: ");
    struct stream b = followed_by(brotlied(text, TEXT_SIZE), "junk", 4);
    check_refused(session, "br", b.data, b.size, "there is data after its end");
#else
    check_refused(session, "br", "nopq", 4, "unknown Content-Encoding: br");
#endif
#ifdef WEIR_WITH_ZSTD
    check_refused(session, "zstd", "this is no zstd", 15, "not valid zstd: ");
    struct stream z = followed_by(zstded(text, TEXT_SIZE), "junk", 4);
    check_refused(session, "zstd", z.data, z.size, "not valid zstd: ");
#else
    check_refused(session, "zstd", "nopq", 4, "unknown Content-Encoding: zstd");
#endif
    close_session(session);
}

/* However many fields they stand in. */
static void all_fields_say_what_the_coding_is(void)
{
    weir_http *session = open_quick();
    struct stream s = gzipped(text, TEXT_SIZE);
    char headers[400];

    for (int count = 4; count <= 14; count++) {
        int before = check_failures_in_test;

        headers[0] = '\0';
        for (int i = 0; i < count; i++)
            strcat(headers, "Content-Encoding: identity\r\n");
        set_answer(&s, s.size, BY_LENGTH);
        answer.headers = headers;
        struct outcome o = ask(session);
        check_outcome(o, WEIR_OK);
        check_text(o.body, text);
        answer.coding = "rot13";
        o = ask(session);
        check_outcome(o, WEIR_PROTOCOL);
        if (check_failures_in_test != before)
            printf("# after %d others\n", count);
    }
    close_session(session);
}

/* The same stream, as a coding for the way only, which libcurl undoes whether it was asked for or not. */
static void a_coding_for_the_way_is_refused_cut_or_whole(void)
{
    static const char *const fields[] = {"Transfer-Encoding: gzip\r\n",
                                         "Transfer-Encoding: GZIP , chunked\r\n",
                                         "Transfer-Encoding: deflate\r\n"};
    weir_http *session = open_quick();
    struct stream s = gzipped(text, TEXT_SIZE);
    char url[PEER_URL_SIZE];

    for (size_t i = 0; i < 3; i++)
        for (size_t size = s.size / 2; size <= s.size; size += s.size - s.size / 2) {
            set_answer(&s, size, IN_CHUNKS);
            answer.coding = NULL;
            answer.headers = fields[i];
            struct outcome o = ask(session);
            check_outcome(o, WEIR_PROTOCOL);
            check_contains(o.error.text, "Transfer-Encoding");
            check_int(o.report.attempts, 1);
            answer.status = "404 Not Found";
            o = ask(session);
            /* Newer ones (seen: 8.22) refuse it by themselves, before the head is complete. */
            if (o.status == WEIR_PROTOCOL) {
                check_contains(o.error.text, "Unsolicited Transfer-Encoding");
                continue;
            }
            check_outcome(o, WEIR_OK);
            check_int(o.http, 404);
            check(o.is_truncated);
        }
    answer = (struct answer){.headers = "Transfer-Encoding: Identity\r\n",
                             .data = (const unsigned char *)text,
                             .size = TEXT_SIZE,
                             .framing = IN_CHUNKS};
    struct outcome o = ask(session);
    check_outcome(o, WEIR_OK);
    check_text(o.body, text);
    answer = (struct answer){.headers = "Transfer-Encoding: gzip, chunked\r\n",
                             .data = (const unsigned char *)"",
                             .framing = TO_THE_END};
    o = send_to(session, "HEAD", peer_url(peer, "/", url), -1);
    check_outcome(o, WEIR_OK);
    close_session(session);
}

/* ---- limits ------------------------------------------------------------------------------ */

static void check_bomb(weir_http *session, struct stream bomb)
{
    int before = check_failures_in_test;

    set_answer(&bomb, bomb.size, BY_LENGTH);
    struct outcome o = ask(session);
    check_outcome(o, WEIR_LIMIT);
    check_contains(o.error.text, "max_expansion, 100");
    check_int(o.report.attempts, 1);
    if (check_failures_in_test != before)
        printf("# %s, %zu bytes\n", bomb.coding, bomb.size);
}

/* Whatever the coding; and also where what expands comes to nothing in the end. */
static void a_body_that_expands_too_far_is_cut_in_any_coding(void)
{
    enum { SIZE = 8388608, MEMBERS = 200000 };
    weir_http *session = open_quick();
    char *zeros = calloc(1, SIZE);
    struct stream nothing = gzipped("", 0);

    must(zeros != NULL, "calloc");
    check_bomb(session, gzipped(zeros, SIZE));
    check_bomb(session, deflated("deflate", -15, zeros, SIZE));
    check_bomb(session, within("gzip, gzip", gzipped, gzipped(zeros, SIZE)));
#ifdef WEIR_WITH_BROTLI
    check_bomb(session, brotlied(zeros, SIZE));
#endif
#ifdef WEIR_WITH_ZSTD
    check_bomb(session, zstded(zeros, SIZE));
#endif
    for (size_t i = 0; i < MEMBERS; i++)
        memcpy(zeros + i * nothing.size, nothing.data, nothing.size);
    struct stream empty = gzipped(zeros, MEMBERS * nothing.size);
    empty.coding = "gzip, gzip";
    check_bomb(session, empty);
    free(zeros);
    close_session(session);
}

#ifdef WEIR_WITH_ZSTD
/* RFC 9659: a window of 8 MiB, and no more. */
static struct stream windowed(int log)
{
    struct stream s = {"zstd", keep(malloc(STREAM_SIZE)), 0};
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_outBuffer out = {s.data, STREAM_SIZE, 0};
    ZSTD_inBuffer in = {text, TEXT_SIZE, 0};

    must(context != NULL, "ZSTD_createCCtx");
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, log);
    must(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush) == 0 &&
             ZSTD_compressStream2(context, &out, &in, ZSTD_e_end) == 0,
         "ZSTD_compressStream2");
    s.size = out.pos;
    ZSTD_freeCCtx(context);
    return s;
}

static void zstd_gets_no_more_memory_than_its_rfc_allows(void)
{
    weir_http *session = open_quick();
    struct stream fine = windowed(23);
    struct stream large = windowed(24);

    check_whole(session, &fine, TEXT_SIZE);
    set_answer(&large, large.size, BY_LENGTH);
    struct outcome o = ask(session);
    check_outcome(o, WEIR_LIMIT);
    check_contains(o.error.text, "more memory");
    check_int(o.report.attempts, 1);
    close_session(session);
}
#endif

int main(void)
{
    peer = start_peer(give_answer, NULL);
    run(a_body_that_is_no_stream_of_its_coding_is_refused_in_words);
    run(other_codings_are_refused_in_words_too);
    run(all_fields_say_what_the_coding_is);
    run(a_coding_for_the_way_is_refused_cut_or_whole);
    run(a_body_that_expands_too_far_is_cut_in_any_coding);
#ifdef WEIR_WITH_ZSTD
    run(zstd_gets_no_more_memory_than_its_rfc_allows);
#endif
    peer_stop(peer);
    free_kept();
    return check_done();
}
