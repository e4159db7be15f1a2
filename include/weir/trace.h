/* SPDX-License-Identifier: MIT */
/* Traces: spans of a thread's work, named by OpenTelemetry's conventions and linked by W3C's traceparent. */
#ifndef WEIR_TRACE_H
#define WEIR_TRACE_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Terms, as in OpenTelemetry: a trace is a tree of spans, each a piece of work with a beginning, a duration and
 * attributes. The program begins the root span of its process, usually for a request that it serves. The span
 * is the thread's current one until it ends. The work that the thread does meanwhile becomes child spans: the
 * program's own work with weir_span_begin(), and the work of weir's pools, databases and HTTP sessions through
 * the listeners at the end of this file. If a thread has no current span, none of this is traced.
 *
 * Spans are in the caller's memory. When a span ends, it is copied into the tracer's ring buffer, where readers
 * (an exporter, a console) find it. No thread waits for a reader: spans that are not read in time are lost,
 * which a reader sees as a gap in their numbers.
 */

/* ---- W3C Trace Context ------------------------------------------------------------------- */

/* The identity of a span and its trace. All zero means none. */
typedef struct weir_trace_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    bool is_sampled; /* whether the trace is recorded; its root decides for the whole trace */
} weir_trace_context;

/* Sizes of buffers for a traceparent and for ids in hexadecimal, including the terminating NUL. */
#define WEIR_TRACEPARENT_SIZE 56
#define WEIR_TRACE_ID_SIZE 33
#define WEIR_SPAN_ID_SIZE 17

/* The longest tracestate that is passed on, in bytes. */
#define WEIR_TRACESTATE_MAX 512

/*
 * Parse the value of a `traceparent` header, strictly by the recommendation (Trace Context, 3.2): lower-case
 * hexadecimal, no id all zero, version 00 with exactly 55 bytes, not version ff. A later version is read as
 * version 00, and may continue after a `-`. Returns false for anything else, NULL included: *ret_context is
 * then untouched, and the caller should start a new trace. Threads: any.
 */
WEIR_API bool weir_traceparent_parse(const char *text, weir_trace_context *ret_context);

/* Write the header's value, in version 00, or one of the ids alone. Threads: any. */
WEIR_API void weir_traceparent_format(const weir_trace_context *context,
                                      char ret_text[WEIR_TRACEPARENT_SIZE]);
WEIR_API void weir_trace_id_format(const weir_trace_context *context,
                                   char ret_text[WEIR_TRACE_ID_SIZE]);
WEIR_API void weir_span_id_format(const uint8_t span_id[8], char ret_text[WEIR_SPAN_ID_SIZE]);

/* ---- the tracer -------------------------------------------------------------------------- */

/* A tracer decides which traces are recorded, and keeps the spans that ended last. */
typedef struct weir_tracer weir_tracer;

/* Options. Start from WEIR_TRACER_OPTIONS_DEFAULT and assign: zero keeps its own meaning. */
typedef struct weir_tracer_options {
    /* The share of traces beginning here that is recorded. Default 1 (all), 0 (none) to 1. If a traceparent
     * came in, its flag decides instead. */
    double sample_ratio;

    /* How many finished spans are kept; the oldest make room for new ones. Each takes about 2 KiB.
     * Default 2048, 16 to 65536. */
    int capacity;
} weir_tracer_options;

#define WEIR_TRACER_OPTIONS_DEFAULT                                                                \
    {                                                                                              \
        1.0, 2048                                                                                  \
    }

/*
 * Make a tracer. `options` may be NULL for the defaults. The caller ends it with weir_tracer_close().
 *
 * Errors:  WEIR_INVALID names the option and its range; WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_tracer_open(const weir_tracer_options *options,
                                                      weir_tracer **ret_tracer, weir_error *reterr);

/* Free it. None of its spans may be open, and no call on it may be in progress. NULL is fine. */
WEIR_API void weir_tracer_close(weir_tracer *tracer);

/* ---- spans ------------------------------------------------------------------------------- */

typedef enum weir_span_kind {
    WEIR_SPAN_INTERNAL,
    WEIR_SPAN_SERVER, /* serves a client's request */
    WEIR_SPAN_CLIENT  /* a request to another server */
} weir_span_kind;

/* The most attributes of a span; further ones are dropped and counted. */
#define WEIR_SPAN_ATTRIBUTES 16
#define WEIR_SPAN_NAME 128      /* size of its name, including the terminating NUL */
#define WEIR_SPAN_TEXT 1024     /* size of all its texts together, each with its NUL */
#define WEIR_SPAN_VALUE_MAX 511 /* bytes of one text */

/* One attribute: a number, or a text (weir_span_attribute_text()). */
typedef struct weir_span_attribute {
    const char *key; /* static storage */
    int64_t number;
    uint16_t text; /* where its text begins in the span's `texts`; 0: the attribute is a number */
} weir_span_attribute;

/*
 * A span, open or finished. You may read its fields, but change it only with the functions below, with one
 * exception: right after the span began, you may set `started` to an earlier instant.
 */
typedef struct weir_span {
    weir_trace_context context;
    uint8_t parent_id[8]; /* all zero: the span is the trace's root */
    weir_span_kind kind;
    bool has_failed;   /* OpenTelemetry's status Error */
    weir_time started; /* an instant of weir_now() */
    weir_time wall; /* plus `started`: nanoseconds since 1970; the same for all spans of a trace */
    weir_time duration;      /* set when the span ends */
    const char *tracestate;  /* as received; NULL: none; not in finished spans */
    weir_tracer *tracer;     /* NULL: the span is not recorded */
    struct weir_span *outer; /* the span that becomes current when this one ends */
    bool is_current;
    uint16_t message; /* where the text of the failure begins in `texts`; 0: none */
    uint16_t text_used;
    uint16_t attribute_count;
    uint16_t dropped_attributes; /* attributes left out because there was no room */
    char name[WEIR_SPAN_NAME];
    weir_span_attribute attributes[WEIR_SPAN_ATTRIBUTES];
    char texts[WEIR_SPAN_TEXT];
} weir_span;

/*
 * Begin a root span of this process and make it the thread's current one.
 *
 * parent:     the caller's span, from a traceparent; NULL: a new trace begins.
 * tracestate: the header that came with it, to be passed on; it must outlive the span. NULL: none. One that
 *             is longer than WEIR_TRACESTATE_MAX or not printable is left out.
 *
 * Returns whether the span is recorded. If not, you need not collect attributes, but you must still end the
 * span, and its context is still passed on to others. With a NULL tracer, the call begins no span.
 * Threads: any; the same thread must end the span, after every span that it began later.
 */
WEIR_API bool weir_span_begin_root(weir_tracer *tracer, weir_span *span, const char *name,
                                   weir_span_kind kind, const weir_trace_context *parent,
                                   const char *tracestate);

/* Begin a child of the thread's current span, and make it the current one. Returns whether it is recorded. If
 * the thread has no current span, or its current span is not recorded, no span begins. In all other respects it
 * works like weir_span_begin_root(). */
WEIR_API bool weir_span_begin(weir_span *span, const char *name, weir_span_kind kind);

/* Begin a child for work that took `duration` and has just ended. It does not become the current span; set
 * its attributes and end it. */
WEIR_API bool weir_span_begin_past(weir_span *span, const char *name, weir_span_kind kind,
                                   weir_time duration);

/* Rename a span, if its name is known only later. */
WEIR_API void weir_span_rename(weir_span *span, const char *name);

/* Set an attribute. `key` has static storage. The value of an existing key is replaced; a NULL text changes
 * nothing. A text that is too long is cut, never inside a character; bytes that are not UTF-8 become "?". */
WEIR_API void weir_span_set_text(weir_span *span, const char *key, const char *text);
WEIR_API void weir_span_set_number(weir_span *span, const char *key, int64_t number);

/* Mark the span as failed. `error_type` becomes the attribute error.type and should have few distinct values
 * ("timeout", "503"). `message` is for people; it may be NULL and must not contain a secret. */
WEIR_API void weir_span_fail(weir_span *span, const char *error_type, const char *message);

/* End the span, and put it into the ring buffer if it is recorded. Ending it again does nothing. */
WEIR_API void weir_span_end(weir_span *span);

/* Return the text of an attribute, or NULL if it is a number; and the text of the failure, or NULL if there
 * is none. Valid as long as the span. */
WEIR_API const char *weir_span_attribute_text(const weir_span *span, size_t index);
WEIR_API const char *weir_span_message(const weir_span *span);

/* ---- the current span -------------------------------------------------------------------- */

/* Return the thread's current span, recorded or not; NULL: none. Valid until it ends. */
WEIR_API const weir_span *weir_trace_current(void);

/*
 * Make the context for a call from the thread's current span to another server: the same trace, and a new
 * span id, which the span of the call then has. Returns false if there is no current span.
 * weir_http_send() does this for each attempt.
 */
WEIR_API bool weir_trace_call(weir_trace_context *ret_context);

/* ---- reading finished spans -------------------------------------------------------------- */

/* Return how many spans have ended, which is the number of the next one. Threads: any. */
WEIR_API uint64_t weir_tracer_count(weir_tracer *tracer);

/*
 * Copy the finished span with the number *position, counted from 0, or else the oldest later one that is
 * still kept, and set *position to the number after it. If *position moves by n, this reader lost n - 1
 * spans. Returns false if no such span has ended yet.
 * Threads: any, each with a position of its own.
 */
WEIR_API bool weir_tracer_read(weir_tracer *tracer, uint64_t *position, weir_span *ret_span);

/* Sleep until `count` spans have ended in all, `until` (an instant of weir_now()) has passed, or
 * weir_tracer_wake() is called. For one reader at a time. */
WEIR_API void weir_tracer_wait(weir_tracer *tracer, uint64_t count, weir_time until);

/* Wake the sleeping reader; if none sleeps, the next weir_tracer_wait() returns at once. Threads: any. */
WEIR_API void weir_tracer_wake(weir_tracer *tracer);

/* ---- tracing weir ------------------------------------------------------------------------ */

/*
 * Listeners that record what a pool, a database and an HTTP session do, as child spans of a thread's current
 * span. They are functions of the libraries of these objects, declared in weir/pool.h, weir/db.h and
 * weir/http.h. They need no argument, because a span goes to the tracer of its parent:
 *
 *   weir_pool_listen(pool, WEIR_TRACE_POOL_EVENTS, weir_trace_on_pool_event, NULL, &error);
 *   weir_db_listen_when(db, weir_trace_wants, weir_trace_on_db_event, NULL, &error);
 *   weir_http_listen(session, WEIR_TRACE_HTTP_EVENTS, weir_trace_on_http_event, NULL, &error);
 *
 * A pool keeps its fast path. If nothing is recorded, the listeners return after a few nanoseconds, and with
 * weir_trace_wants() a database does not even measure.
 *
 * Pools:     "wait <pool>", how long an acquire waited, or that it gave up; "connect <pool>",
 *            the opening of a connection; "ping <pool>", which was answered or not.
 * Databases: one span for each statement, "SELECT <database>", with the text but without the values
 *            in it, as weir_sql_without_values() has it.
 * Sessions:  one span for each attempt, with the span id that its traceparent carried; the URL is shown
 *            without its query.
 */

/* Whether the thread's current span is recorded. The argument is ignored. */
WEIR_API bool weir_trace_wants(void *arg);

#ifdef __cplusplus
}
#endif

#endif
