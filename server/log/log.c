/* SPDX-License-Identifier: MIT */
/* Lines on a descriptor: stamped, escaped, cut, and dropped rather than waited for. */
#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <weir/trace.h>

#include "common/lock.h"
#include "log_repeats.h"
#include "common/utf8.h"

/* With all that stands around it a line is below PIPE_BUF (4096): poll() then tells whether a whole
 * one fits. */
#define LINE_SIZE 4090
#define MESSAGE_SIZE 4000
#define CONTEXT_SIZE 320 /* what may stand behind the message */

static const char *const level_names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
static const char *const format_names[] = {"text", "json"};

static _Atomic int least_level = LOG_LEVEL_INFO;
static _Atomic int line_format = LOG_FORMAT_TEXT;

/* The lock guards the descriptor's use and the count; lines of two threads never mix. */
static struct weir__mutex lock = WEIR_MUTEX_INITIALIZER;
static int descriptor_locked = STDERR_FILENO;
static unsigned long dropped_locked;
static struct repeats repeats_locked;

/* Which of the names a word is, in any case; -1: none. */
static int find_name(const char *const *names, int count, const char *word)
{
    for (int i = 0; i < count; i++)
        if (strcasecmp(word, names[i]) == 0)
            return i;
    return -1;
}

bool log_level_parse(const char *word, enum log_level *ret_level)
{
    int found = find_name(level_names, sizeof level_names / sizeof *level_names, word);

    if (found >= 0)
        *ret_level = (enum log_level)found;
    return found >= 0;
}

bool log_format_parse(const char *word, enum log_format *ret_format)
{
    int found = find_name(format_names, sizeof format_names / sizeof *format_names, word);

    if (found >= 0)
        *ret_format = (enum log_format)found;
    return found >= 0;
}

void log_set_format(enum log_format format)
{
    atomic_store(&line_format, (int)format);
}

void log_set_level(enum log_level level)
{
    atomic_store(&least_level, (int)level);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

void log_set_descriptor(int descriptor)
{
    weir__lock(&lock);
    descriptor_locked = descriptor;
    weir__unlock(&lock);
}

/* Whether a terminal would act on this character instead of showing it: C0, DEL and C1. */
static bool is_control(const unsigned char *at, size_t size)
{
    if (size == 1)
        return at[0] < 0x20 || at[0] == 0x7f;
    return size == 2 && at[0] == 0xc2 && at[1] < 0xa0;
}

/* ---- one line ---------------------------------------------------------------------------- */

/* A line while it is put together; what does not fit is left out. */
struct line {
    char text[LINE_SIZE];
    size_t used;
    size_t limit; /* how far it may go at the moment */
};

static void add(struct line *line, const char *format, ...) WEIR_PRINTF(2, 3);
static void add(struct line *line, const char *format, ...)
{
    size_t room = line->limit - line->used;
    va_list args;

    va_start(args, format);
    int length = vsnprintf(line->text + line->used, room, format, args);
    va_end(args);
    if (length > 0)
        line->used += (size_t)length < room ? (size_t)length : room - 1;
}

/* The escape of a byte that a terminal or a reader of lines would act on, or is no UTF-8. In JSON, a
 * byte that is no UTF-8 becomes the character of its number. */
static size_t escape_byte(unsigned char byte, bool is_json, char out[8])
{
    switch (byte) {
    case '\n':
        return (size_t)sprintf(out, "\\n");
    case '\r':
        return (size_t)sprintf(out, "\\r");
    case '\t':
        return (size_t)sprintf(out, "\\t");
    default:
        return (size_t)sprintf(out, is_json ? "\\u%04x" : "\\x%02x", byte);
    }
}

/* Add a text, escaping what is not plain; cut where the line's limit is, never within a character. */
static void add_escaped(struct line *line, const char *text, bool is_json)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length && line->used + 16 < line->limit;) {
        size_t size = utf8_length(text + i, text + length);
        const unsigned char *at = (const unsigned char *)text + i;
        char *out = line->text + line->used;

        if (size == 0 || is_control(at, size)) {
            for (size_t k = 0; k < (size == 0 ? 1 : size); k++)
                line->used += escape_byte(at[k], is_json, line->text + line->used);
        } else if (is_json && (*at == '"' || *at == '\\')) {
            line->used += (size_t)sprintf(out, "\\%c", *at);
        } else {
            memcpy(out, at, size);
            line->used += size;
        }
        i += size == 0 ? 1 : size;
    }
}

static void add_time(struct line *line)
{
    struct timespec now;
    struct tm utc;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    line->used +=
        strftime(line->text + line->used, line->limit - line->used, "%Y-%m-%dT%H:%M:%S", &utc);
    add(line, ".%03ldZ", now.tv_nsec / 1000000);
}

/* The trace that the thread works for, where there is one. */
static bool find_trace(char ret_id[WEIR_TRACE_ID_SIZE])
{
    const weir_span *span = weir_trace_current();

    if (span == NULL)
        return false;
    weir_trace_id_format(&span->context, ret_id);
    return true;
}

static void make_text_line(struct line *line, enum log_level level, const char *message,
                           bool is_of_thread)
{
    char trace[WEIR_TRACE_ID_SIZE];

    add_time(line);
    add(line, " %-7s ", level_names[level]);
    line->limit -= CONTEXT_SIZE;
    add_escaped(line, message, false);
    line->limit += CONTEXT_SIZE;
    /* Pool and connection stand in the message. */
    if (is_of_thread && find_trace(trace))
        add(line, ", trace %s", trace);
}

static void make_json_line(struct line *line, enum log_level level, const struct log_about *about,
                           const char *message, bool is_of_thread)
{
    char trace[WEIR_TRACE_ID_SIZE];

    add(line, "{\"time\":\"");
    add_time(line);
    add(line, "\",\"level\":\"%s\",\"message\":\"", level_names[level]);
    line->limit -= CONTEXT_SIZE;
    add_escaped(line, message, true);
    line->limit += CONTEXT_SIZE;
    add(line, "\"");
    if (about != NULL && about->pool != NULL) {
        add(line, ",\"pool\":\"");
        line->limit -= 128;
        add_escaped(line, about->pool, true);
        line->limit += 128;
        add(line, "\"");
    }
    if (about != NULL && about->connection_id != 0)
        add(line, ",\"connection\":%llu", (unsigned long long)about->connection_id);
    if (is_of_thread && find_trace(trace))
        add(line, ",\"trace_id\":\"%s\"", trace);
    add(line, "}");
}

/* `is_of_thread`: it is about what the thread does, and so belongs to the thread's trace. */
static void make_line(struct line *line, enum log_level level, const struct log_about *about,
                      const char *message, bool is_of_thread)
{
    line->used = 0;
    line->limit = sizeof line->text - 1;
    if (atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_FORMAT_JSON)
        make_json_line(line, level, about, message, is_of_thread);
    else
        make_text_line(line, level, message, is_of_thread);
    line->text[line->used++] = '\n';
}

/* ---- writing ----------------------------------------------------------------------------- */

static bool would_block(int descriptor)
{
    struct pollfd look = {.fd = descriptor, .events = POLLOUT};

    return poll(&look, 1, 0) == 0;
}

static void put_locked(const struct line *line) WEIR_REQUIRES(lock)
{
    /* Nowhere is left to report a log that cannot be written. */
    ssize_t ignored = write(descriptor_locked, line->text, line->used);
    (void)ignored;
}

static void put_dropped_locked(void) WEIR_REQUIRES(lock)
{
    struct line line;
    char message[96];

    snprintf(message, sizeof message, "%lu log lines dropped: nobody read them in time",
             dropped_locked);
    make_line(&line, LOG_LEVEL_WARNING, NULL, message, false);
    put_locked(&line);
    dropped_locked = 0;
}

static void put_or_drop_locked(const struct line *line) WEIR_REQUIRES(lock)
{
    if (dropped_locked > 0 && !would_block(descriptor_locked))
        put_dropped_locked();
    if (would_block(descriptor_locked))
        dropped_locked++;
    else
        put_locked(line);
}

/* Say of what was held back how often it came, once its window is over. */
static void put_repeats_locked(weir_time now, bool is_end) WEIR_REQUIRES(lock)
{
    struct line line;
    char message[REPEATS_SAMPLE + 64];
    struct held_back held;

    while (repeats_take(&repeats_locked, now, is_end, &held)) {
        snprintf(message, sizeof message, "%u more %s: %s", held.count,
                 held.is_mixed ? "of various kinds, the first" : "like this", held.sample);
        make_line(&line, LOG_LEVEL_WARNING, NULL, message, false);
        put_or_drop_locked(&line);
    }
}

void log_maintain(bool is_end)
{
    weir__lock(&lock);
    put_repeats_locked(weir_now(), is_end);
    weir__unlock(&lock);
}

/* Warnings and errors come in floods; what is asked for at DEBUG is wanted whole. */
static bool admit(enum log_level level, const struct log_about *about, const char *message)
{
    const char *kind = about != NULL ? about->kind : NULL;
    weir_time now;

    if (level < LOG_LEVEL_WARNING)
        return true;
    weir__lock(&lock);
    now = weir_now();
    put_repeats_locked(now, false);
    bool is_admitted = repeats_admit(&repeats_locked, kind, message, now);
    weir__unlock(&lock);
    return is_admitted;
}

static void log_writev(enum log_level level, const struct log_about *about, const char *format,
                       va_list args) WEIR_PRINTF(3, 0);
static void log_writev(enum log_level level, const struct log_about *about, const char *format,
                       va_list args)
{
    char message[MESSAGE_SIZE];
    struct line line;

    if (vsnprintf(message, sizeof message, format, args) < 0)
        return;
    if (!admit(level, about, message))
        return;
    make_line(&line, level, about, message, true);
    weir__lock(&lock);
    put_or_drop_locked(&line);
    weir__unlock(&lock);
}

void log_write(enum log_level level, const char *format, ...)
{
    va_list args;

    if (!log_is_on(level))
        return;
    va_start(args, format);
    log_writev(level, NULL, format, args);
    va_end(args);
}

void log_write_about(enum log_level level, const struct log_about *about, const char *format, ...)
{
    va_list args;

    if (!log_is_on(level))
        return;
    va_start(args, format);
    log_writev(level, about, format, args);
    va_end(args);
}
