/* SPDX-License-Identifier: MIT */
/* Compressed bodies: whole ones are handed out, and of those that broke off none is, wherever it was. */
#include "http_codings.h"

/* ---- cut at every byte ------------------------------------------------------------------- */

static void check_lost(const struct outcome *o)
{
    check_outcome_at(o, WEIR_DISCONNECTED, __FILE__, __LINE__);
    check_contains(o->error.text, "was cut off");
}

static void check_cut(weir_http *session, const struct stream *s, size_t size, enum framing framing)
{
    size_t wanted = size == 0 ? 0 : TEXT_SIZE;
    bool is_whole = size == 0 || size == s->size;
    int before = check_failures_in_test;
    struct sunk sunk = {.size = 0};

    set_answer(s, size, framing);
    struct outcome o = ask(session);
    if (is_whole) {
        check_outcome(o, WEIR_OK);
        check_int(o.size, wanted);
        check(memcmp(o.body, text, wanted) == 0);
    } else {
        check_lost(&o);
    }
    o = ask_with_sink(session, &sunk);
    if (is_whole)
        check_outcome(o, WEIR_OK);
    else
        check_lost(&o);
    check(is_whole ? sunk.size == wanted : sunk.size <= TEXT_SIZE);
    check(sunk.size > TEXT_SIZE || memcmp(sunk.data, text, sunk.size) == 0);
    if (check_failures_in_test != before)
        printf("# %s, %zu of %zu bytes, framing %d\n", s->coding, size, s->size, (int)framing);
}

static void a_body_is_whole_or_lost_wherever_it_is_cut(void)
{
    weir_http_options options = patient_options();
    weir_http *session = open_session(&options);
    struct stream kinds[KINDS_MOST];
    size_t count = make_kinds(kinds, text, TEXT_SIZE);

    for (size_t i = 0; i < count; i++)
        for (int framing = 0; framing < FRAMINGS; framing++)
            for (size_t size = 0; size <= kinds[i].size; size++)
                check_cut(session, &kinds[i], size, (enum framing)framing);
    close_session(session);
}

/* Larger than any buffer on the way, and hard to compress. */
static void a_large_body_is_whole_or_lost_too(void)
{
    enum { SIZE = 300000 };
    weir_http_options options = patient_options();
    weir_http *session = open_session(&options);
    struct stream kinds[KINDS_MOST];
    char *data = malloc(SIZE);
    uint64_t random = 1;

    must(data != NULL, "malloc");
    for (size_t i = 0; i < SIZE; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        data[i] = (char)(random >> 60);
    }
    size_t count = make_kinds(kinds, data, SIZE);
    for (size_t i = 0; i < count; i++) {
        const size_t cuts[] = {1, kinds[i].size / 2, 65536, kinds[i].size - 1};

        set_answer(&kinds[i], kinds[i].size, IN_CHUNKS);
        struct outcome o = ask(session);
        check_outcome(o, WEIR_OK);
        check_int(o.size, SIZE);
        check(memcmp(o.body, data, sizeof o.body - 1) == 0);
        for (size_t j = 0; j < 4; j++) {
            set_answer(&kinds[i], cuts[j], j % 2 == 0 ? BY_LENGTH : TO_THE_END);
            o = ask(session);
            check_outcome(o, WEIR_DISCONNECTED);
        }
    }
    free(data);
    close_session(session);
}

/* As any other body that is lost. */
static void a_body_that_broke_off_is_repeated_if_that_is_safe(void)
{
    weir_http *session = open_quick();
    struct stream s = gzipped(text, TEXT_SIZE);
    char url[PEER_URL_SIZE];

    set_answer(&s, s.size - 1, BY_LENGTH);
    struct outcome o = ask(session);
    check_outcome(o, WEIR_DISCONNECTED);
    check_int(o.report.attempts, 4);
    o = send_to(session, "PUT", peer_url(peer, "/", url), -1);
    check_outcome(o, WEIR_DISCONNECTED);
    check_int(o.report.attempts, 4);
    o = send_to(session, "POST", peer_url(peer, "/", url), -1);
    check_outcome(o, WEIR_AMBIGUOUS);
    check_int(o.report.attempts, 1);
    check_int(o.report.status, 200);
    close_session(session);
}

/* ---- what is whole ----------------------------------------------------------------------- */

static void a_body_may_come_byte_by_byte(void)
{
    weir_http_options options = patient_options();
    weir_http *session = open_session(&options);
    struct stream kinds[KINDS_MOST];
    size_t count = make_kinds(kinds, text, TEXT_SIZE);

    for (size_t i = 0; i < count; i++)
        check_whole(session, &kinds[i], TEXT_SIZE);
    count = make_kinds(kinds, "", 0);
    for (size_t i = 0; i < count; i++)
        check_whole(session, &kinds[i], 0);
    close_session(session);
}

/* RFC 1952, 2.2; RFC 8878, 3.1; and zeros, which some writers fill a block with. */
static void members_may_follow_each_other_and_zeros_the_end(void)
{
    static const char zeros[20000];
    weir_http_options options = patient_options();
    weir_http *session = open_session(&options);
    struct stream s = joined(gzipped(text, TEXT_SIZE), gzipped(text, TEXT_SIZE));

    check_whole(session, &s, 2 * TEXT_SIZE);
    set_answer(&s, s.size - 1, BY_LENGTH);
    struct outcome o = ask(session);
    check_outcome(o, WEIR_DISCONNECTED);
    set_answer(&s, s.size / 2 + 1, BY_LENGTH);
    o = ask(session);
    check_outcome(o, WEIR_DISCONNECTED);
    s = joined(joined(s, gzipped("", 0)), gzipped(text, TEXT_SIZE));
    check_whole(session, &s, 3 * TEXT_SIZE);
    s = followed_by(s, zeros, sizeof zeros);
    check_whole(session, &s, 3 * TEXT_SIZE);
    struct stream kinds[KINDS_MOST];
    size_t count = make_kinds(kinds, text, TEXT_SIZE);
    for (size_t i = 0; i < count; i++) {
        kinds[i] = followed_by(kinds[i], zeros, 9);
        check_whole(session, &kinds[i], TEXT_SIZE);
    }
#ifdef WEIR_WITH_ZSTD
    s = joined(zstded(text, TEXT_SIZE), zstded(text, TEXT_SIZE));
    check_whole(session, &s, 2 * TEXT_SIZE);
#endif
    close_session(session);
}

static void a_coding_has_several_names(void)
{
    static const char *const names[] = {"GZIP",           "x-gzip",
                                        "identity, gzip", "gzip, identity",
                                        " , gzip,\t",     "gzip\r\nContent-Encoding: identity"};
    weir_http_options options = patient_options();
    weir_http *session = open_session(&options);
    struct stream s = gzipped(text, TEXT_SIZE);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        s.coding = names[i];
        check_whole(session, &s, TEXT_SIZE);
    }
    s.coding = "deflate\r\nContent-Encoding: gzip";
    struct stream inner = deflated("deflate", 15, text, TEXT_SIZE);
    struct stream outer = gzipped(inner.data, inner.size);
    outer.coding = "deflate\r\nContent-Encoding: gzip";
    check_whole(session, &outer, TEXT_SIZE);
    close_session(session);
}

static void check_empty(const struct outcome *o, int http)
{
    check_outcome(*o, WEIR_OK);
    check_int(o->http, http);
    check_int(o->size, 0);
    check(!o->is_truncated);
}

/* Nothing is decoded where there is nothing, whatever it is called. */
static void what_has_no_body_has_no_coding_to_end(void)
{
    static const char *const codings[] = {"gzip", "deflate", "br", "zstd", "deflate, gzip"};
    static const struct {
        const char *status;
        enum framing framing;
    } kinds[] = {{"204 No Content", TO_THE_END},
                 {"304 Not Modified", TO_THE_END},
                 {"200 OK", BY_LENGTH},
                 {"200 OK", IN_CHUNKS},
                 {"200 OK", TO_THE_END}};
    weir_http_options options = patient_options();
    weir_http *session = open_session(&options);
    char url[PEER_URL_SIZE];

    for (size_t i = 0; i < sizeof codings / sizeof codings[0]; i++) {
        const struct stream nothing = {codings[i], (unsigned char *)(uintptr_t) "", 0};
        struct outcome o;

        for (size_t j = 0; j < sizeof kinds / sizeof kinds[0]; j++) {
            set_answer(&nothing, 0, kinds[j].framing);
            answer.status = kinds[j].status;
            o = ask(session);
            check_empty(&o, (int)strtol(kinds[j].status, NULL, 10));
        }
        set_answer(&nothing, 0, TO_THE_END);
        answer.headers = "Content-Length: 1000\r\n";
        o = send_to(session, "HEAD", peer_url(peer, "/", url), -1);
        check_empty(&o, 200);
    }
    close_session(session);
}

/* ---- what is asked for ------------------------------------------------------------------- */

/* Send with one header field more, or none, and look for a line in what the peer saw. */
static void check_asked(weir_http *session, const char *name, const char *value, const char *line)
{
    char url[PEER_URL_SIZE];
    weir_http_request *request = new_request("GET", peer_url(peer, "/", url));

    peer_forget(peer);
    if (name != NULL)
        check_int(weir_http_request_header(request, name, value), WEIR_OK);
    struct outcome o = send_request(session, request, -1);
    check_outcome(o, WEIR_OK);
    check_text(o.body, text);
    check_int(peer_saw_times(peer, "ccept-"), line[0] == '\0' ? 0 : 1);
    check(line[0] == '\0' || peer_saw(peer, line));
    weir_http_request_close(request);
}

static void what_is_known_is_asked_for_and_else_what_the_request_says(void)
{
    weir_http_options options = patient_options();
    weir_http *session = open_session(&options);
    struct stream s = gzipped(text, TEXT_SIZE);
    struct stream plain = {NULL, NULL, TEXT_SIZE};

    set_answer(&s, s.size, BY_LENGTH);
    check_asked(session, NULL, NULL, "\r\nAccept-Encoding: gzip, deflate");
#ifdef WEIR_WITH_BROTLI
    check_asked(session, NULL, NULL, ", br");
#endif
#ifdef WEIR_WITH_ZSTD
    check_asked(session, NULL, NULL, ", zstd\r\n");
#endif
    check_asked(session, "accept-encoding", "gzip;q=0.5", "\r\naccept-encoding: gzip;q=0.5\r\n");
    check_asked(session, "Range", "bytes=0-", "\r\nAccept-Encoding: identity\r\n");
    close_session(session);
    options.decompress = false;
    session = open_session(&options);
    set_answer(&plain, TEXT_SIZE, BY_LENGTH);
    answer.data = (const unsigned char *)text;
    check_asked(session, NULL, NULL, "");
    close_session(session);
}

/* A range is one of the compressed bytes (RFC 9110, 14.1), which nobody can decode. */
static void a_part_is_given_as_it_came(void)
{
    weir_http_options options = patient_options();
    weir_http *session = open_session(&options);
    struct stream s = gzipped(text, TEXT_SIZE);

    set_answer(&s, 20, BY_LENGTH);
    answer.status = "206 Partial Content";
    answer.headers = "Content-Range: bytes 0-19/100\r\n";
    struct outcome o = ask(session);
    check_outcome(o, WEIR_OK);
    check_int(o.http, 206);
    check_int(o.size, 20);
    check(memcmp(o.body, s.data, 20) == 0);
    close_session(session);
}

int main(void)
{
    peer = start_peer(give_answer, NULL);
    run(a_body_is_whole_or_lost_wherever_it_is_cut);
    run(a_large_body_is_whole_or_lost_too);
    run(a_body_that_broke_off_is_repeated_if_that_is_safe);
    run(a_body_may_come_byte_by_byte);
    run(members_may_follow_each_other_and_zeros_the_end);
    run(a_coding_has_several_names);
    run(what_has_no_body_has_no_coding_to_end);
    run(what_is_known_is_asked_for_and_else_what_the_request_says);
    run(a_part_is_given_as_it_came);
    peer_stop(peer);
    free_kept();
    return check_done();
}
