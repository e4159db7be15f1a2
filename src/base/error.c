/* SPDX-License-Identifier: MIT */
/* The status table's names and texts, and the one function that fills an error. */
#include <weir/base.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *weir_status_name(weir_status status)
{
    switch (status) {
#define STATUS_NAME(name, word, text)                                                              \
    case WEIR_##name:                                                                              \
        return word;
        WEIR_STATUS_MAP(STATUS_NAME)
#undef STATUS_NAME
    }
    return "unknown";
}

const char *weir_status_text(weir_status status)
{
    switch (status) {
#define STATUS_TEXT(name, word, text)                                                              \
    case WEIR_##name:                                                                              \
        return text;
        WEIR_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown";
}

const char *weir_version(void)
{
    return WEIR_VERSION;
}

/* Cut `text` before the character that the buffer's end split, if it split one. */
static void trim_split_character(char *text, size_t length)
{
    size_t start = length;

    while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;

    unsigned char lead = (unsigned char)text[start - 1];
    size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (wanted > length - start + 1)
        text[start - 1] = '\0';
}

weir_status weir_error_setv(weir_error *reterr, weir_status status, const char *format,
                            va_list args)
{
    int saved_errno = errno;
    if (reterr == NULL)
        return status;

    /* Formatted aside first: an argument may point into reterr->text. */
    char text[WEIR_ERROR_TEXT];
    int length = vsnprintf(text, sizeof text, format, args);
    if (length < 0)
        text[0] = '\0';
    if (length >= (int)sizeof text)
        trim_split_character(text, sizeof text - 1);

    reterr->status = status;
    reterr->native = 0;
    reterr->sqlstate[0] = '\0';
    memcpy(reterr->text, text, strlen(text) + 1);
    errno = saved_errno;
    return status;
}

weir_status weir_error_set(weir_error *reterr, weir_status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    weir_error_setv(reterr, status, format, args);
    va_end(args);
    return status;
}
