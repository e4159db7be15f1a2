/* SPDX-License-Identifier: MIT */
/* How an attempt that libcurl gave up is judged, by its code and by how far it had come. */
#include "check.h"
#include "http/classify.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static char text[WEIR_ERROR_TEXT];

static struct classification classify(int code, int sends, bool is_head_done)
{
    struct transfer t = {.code = (CURLcode)code,
                         .sends = sends,
                         .is_head_done = is_head_done,
                         .detail = "as libcurl says"};

    return weir__classify(&t, false, text);
}

/* By number, because the headers that weir is built with need not know it. */
static void too_large_is_a_limit_wherever_it_is_met(void)
{
    static const struct {
        int sends;
        bool is_head_done;
        const char *text;
    } cases[] = {
        {0, false, "as libcurl says"},
        {1, false, "a header line is too long: as libcurl says"},
        {1, true, "as libcurl says"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct classification j = classify(100, cases[i].sends, cases[i].is_head_done);
        check_int(j.status, WEIR_LIMIT);
        check(j.is_ours);
        check_text(text, cases[i].text);
    }
}

/* Older ones call a line that is too long out of memory; elsewhere it is just that. */
static void out_of_memory_is_a_limit_within_the_header_only(void)
{
    check_int(classify(CURLE_OUT_OF_MEMORY, 0, false).status, WEIR_NO_MEMORY);
    check_int(classify(CURLE_OUT_OF_MEMORY, 1, true).status, WEIR_NO_MEMORY);
    struct classification j = classify(CURLE_OUT_OF_MEMORY, 1, false);
    check_int(j.status, WEIR_LIMIT);
    check(j.is_ours);
    check_contains(text, "a header line is too long");
}

static void what_breaks_is_no_connection_before_the_request_and_a_lost_one_after(void)
{
    static const int codes[] = {CURLE_COULDNT_CONNECT, CURLE_SEND_ERROR, CURLE_RECV_ERROR,
                                CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE};

    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        struct classification j = classify(codes[i], 0, false);
        check_int(j.status, WEIR_CONNECT);
        check_int(j.kind, WEIR_ATTEMPT_CONNECT);
        check_contains(text, "no connection: as libcurl says");
        j = classify(codes[i], 1, false);
        check_int(j.status, WEIR_DISCONNECTED);
        check_int(j.kind, WEIR_ATTEMPT_READ);
    }
}

static void a_code_that_nobody_knows_is_the_protocols_fault(void)
{
    static const int codes[] = {CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING, 99, 101,
                                9999};

    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        check_int(classify(codes[i], 1, false).status, WEIR_PROTOCOL);
        check_contains(text, "as libcurl says");
    }
}

int main(void)
{
    run(too_large_is_a_limit_wherever_it_is_met);
    run(out_of_memory_is_a_limit_within_the_header_only);
    run(what_breaks_is_no_connection_before_the_request_and_a_lost_one_after);
    run(a_code_that_nobody_knows_is_the_protocols_fault);
    return check_done();
}
