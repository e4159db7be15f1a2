/* SPDX-License-Identifier: MIT */
/* The traceparent header: what is one, what is not, and what comes out again. */
#include "check.h"

#include <weir/trace.h>

#include <string.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static bool parses(const char *text)
{
    weir_trace_context context;

    return weir_traceparent_parse(text, &context);
}

static void a_traceparent_says_trace_span_and_whether_it_is_sampled(void)
{
    weir_trace_context context;
    char text[WEIR_TRACE_ID_SIZE];

    check(weir_traceparent_parse("00-" TRACE "-" SPAN "-01", &context));
    check(context.is_sampled);
    weir_trace_id_format(&context, text);
    check_text(text, TRACE);
    weir_span_id_format(context.span_id, text);
    check_text(text, SPAN);
    check(weir_traceparent_parse("00-" TRACE "-" SPAN "-00", &context));
    check(!context.is_sampled);
}

/* Trace Context, 3.2.2.5: a bit that is not known is no fault, and says nothing. */
static void flags_that_are_not_known_are_ignored(void)
{
    weir_trace_context context;

    check(weir_traceparent_parse("00-" TRACE "-" SPAN "-02", &context));
    check(!context.is_sampled);
    check(weir_traceparent_parse("00-" TRACE "-" SPAN "-ff", &context));
    check(context.is_sampled);
}

/* 3.2.4: read as far as version 00 goes, when what follows is set off by a dash. */
static void a_later_version_is_read_as_far_as_it_is_known(void)
{
    check(parses("01-" TRACE "-" SPAN "-01"));
    check(parses("fe-" TRACE "-" SPAN "-01"));
    check(parses("cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like"));
    check(parses("01-" TRACE "-" SPAN "-01-"));
    check(!parses("01-" TRACE "-" SPAN "-01."));
    check(!parses("01-" TRACE "-" SPAN "-011"));
    check(!parses("01-" TRACE "-" SPAN "-0"));
}

static void what_is_not_a_traceparent_is_refused(void)
{
    static const char *const texts[] = {
        "",
        "0",
        "00",
        "00-",
        "00-" TRACE,
        "00-" TRACE "-",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-01 ",
        "00-" TRACE "-" SPAN "-01,00-" TRACE "-" SPAN "-01",
        " 00-" TRACE "-" SPAN "-01",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
        "00" TRACE SPAN "01",
        "ff-" TRACE "-" SPAN "-01",
        "FF-" TRACE "-" SPAN "-01",
        "0x-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00-" TRACE "-B7AD6B7169203331-01",
        "00-" TRACE "-" SPAN "-0A",
        "00-0af7651916cd43dd8448eb211c80319g-" SPAN "-01",
        "00-0af7651916cd43dd8448eb211c80319-" SPAN "-01",
        "00-" TRACE "0-" SPAN "-01",
        "00-" TRACE "-\xC3\xA4"
        "ad6b7169203331-01",
        "00-" TRACE "-" SPAN "-\n1",
    };
    weir_trace_context context = {.is_sampled = true, .trace_id = {7}};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (weir_traceparent_parse(texts[i], &context))
            printf("# taken: \"%s\"\n", texts[i]);
        check(!weir_traceparent_parse(texts[i], &context));
    }
    check(!weir_traceparent_parse(NULL, &context));
    check(context.is_sampled && context.trace_id[0] == 7);
}

static void every_single_change_to_one_is_refused_or_read_as_it_stands(void)
{
    static const char right[] = "00-" TRACE "-" SPAN "-01";
    weir_trace_context context;
    char text[sizeof right];
    char again[WEIR_TRACEPARENT_SIZE];

    for (size_t at = 0; at + 1 < sizeof right; at++) {
        for (int c = 1; c < 256; c++) {
            memcpy(text, right, sizeof right);
            text[at] = (char)c;
            if (!weir_traceparent_parse(text, &context))
                continue;
            weir_traceparent_format(&context, again);
            /* The version and the flags come out as weir's own. */
            check(memcmp(again + 2, text + 2, 51) == 0);
            check(strchr("0123456789abcdef-", c) != NULL);
        }
    }
}

static void what_is_written_is_what_was_read(void)
{
    static const char *const texts[] = {"00-" TRACE "-" SPAN "-01", "00-" TRACE "-" SPAN "-00"};
    weir_trace_context context;
    char text[WEIR_TRACEPARENT_SIZE];

    for (size_t i = 0; i < 2; i++) {
        check(weir_traceparent_parse(texts[i], &context));
        weir_traceparent_format(&context, text);
        check_text(text, texts[i]);
    }
}

int main(void)
{
    run(a_traceparent_says_trace_span_and_whether_it_is_sampled);
    run(flags_that_are_not_known_are_ignored);
    run(a_later_version_is_read_as_far_as_it_is_known);
    run(what_is_not_a_traceparent_is_refused);
    run(every_single_change_to_one_is_refused_or_read_as_it_stands);
    run(what_is_written_is_what_was_read);
    return check_done();
}
