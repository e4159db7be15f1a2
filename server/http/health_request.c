/* SPDX-License-Identifier: MIT */
/* Tells from the first bytes of a request whether it asks for a health route. */
#include "health_request.h"

#include <stdbool.h>
#include <string.h>

/* Whether `path`, as far as it came, is or may become the pattern, with or without a slash at its end. */
static enum health_request compare(const char *pattern, const char *path, size_t size,
                                   bool is_whole)
{
    size_t length = strlen(pattern);

    if (is_whole && size == length + 1 && path[length] == '/')
        size--;
    if (is_whole)
        return size == length && memcmp(pattern, path, size) == 0 ? HEALTH_REQUEST_YES
                                                                  : HEALTH_REQUEST_NO;
    if (size > length + 1 || memcmp(pattern, path, size < length ? size : length) != 0)
        return HEALTH_REQUEST_NO;
    return size <= length || path[length] == '/' ? HEALTH_REQUEST_UNKNOWN : HEALTH_REQUEST_NO;
}

/* The end of the path in a request line; `size` when it has not come. */
static size_t path_size(const char *path, size_t size)
{
    size_t i = 0;

    while (i < size && path[i] != ' ' && path[i] != '?' && path[i] != '\r' && path[i] != '\n')
        i++;
    return i;
}

enum health_request health_request_find(const char *const *paths, size_t count, const char *head,
                                        size_t size)
{
    static const char *const methods[] = {"GET ", "HEAD "};
    enum health_request best = HEALTH_REQUEST_NO;

    for (size_t m = 0; m < sizeof(methods) / sizeof(methods[0]); m++) {
        size_t length = strlen(methods[m]);

        if (memcmp(head, methods[m], size < length ? size : length) != 0)
            continue;
        if (size <= length)
            return HEALTH_REQUEST_UNKNOWN;
        size_t whole = path_size(head + length, size - length);
        for (size_t i = 0; i < count; i++) {
            enum health_request found =
                compare(paths[i], head + length, whole, whole < size - length);

            if (found == HEALTH_REQUEST_YES)
                return found;
            if (found == HEALTH_REQUEST_UNKNOWN)
                best = found;
        }
    }
    return best;
}
