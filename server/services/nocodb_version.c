/* SPDX-License-Identifier: MIT */
/* Versions of NocoDB, compared number by number. */
#include "nocodb_version.h"

#include <stdlib.h>
#include <string.h>

#include "text/json_text.h"

bool nocodb_version_read(const char *text, size_t size, char out[NOCODB_VERSION_TEXT])
{
    json_t *json = NULL;

    if (json_text_parse(text, size, &json, NULL) != WEIR_OK)
        return false;
    const json_t *current = json_object_get(json, "currentVersion");
    bool is_answer = current != NULL || json_object_get(json, "releaseVersion") != NULL;
    const char *version = json_string_value(current);
    out[0] = '\0';
    if (version != NULL && strlen(version) < NOCODB_VERSION_TEXT &&
        version[strspn(version, "0123456789.abcdefghijklmnopqrstuvwxyz-")] == '\0')
        strcpy(out, version);
    json_decref(json);
    return is_answer;
}

bool nocodb_version_is_too_old(const char *version)
{
    const char *oldest = NOCODB_OLDEST;

    while (*version >= '0' && *version <= '9') {
        char *version_end, *oldest_end;
        unsigned long part = strtoul(version, &version_end, 10);
        unsigned long least = strtoul(oldest, &oldest_end, 10);
        if (part != least)
            return part < least;
        if (*version_end != '.' || *oldest_end != '.')
            return false;
        version = version_end + 1;
        oldest = oldest_end + 1;
    }
    return false;
}
