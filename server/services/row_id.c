/* SPDX-License-Identifier: MIT */
/* An id as the API shows it, read back into the values that a database may have shown that way. */
#include "row_id.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool row_id_read_real(const char *id, double *ret_real)
{
    char *end;

    /* strtod() also takes hexadecimal numbers, "inf", "nan" and leading blanks. */
    if (id[0] == '\0' || strspn(id, "0123456789+-.eE") != strlen(id))
        return false;
    *ret_real = strtod(id, &end);
    return *end == '\0' && isfinite(*ret_real);
}

/* ---- blobs -------------------------------------------------------------------------------- */

static int sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c == '\0' ? NULL : strchr(digits, c);

    return found == NULL ? -1 : (int)(found - digits);
}

bool row_id_read_blob(const char *id, char *room, size_t *ret_size)
{
    size_t length = strlen(id);
    size_t size = 0;
    size_t padding = 0;

    if (length % 4 != 0)
        return false;
    while (padding < 2 && padding < length && id[length - padding - 1] == '=')
        padding++;
    for (size_t at = 0; at < length; at += 4) {
        unsigned three = 0;
        for (size_t i = at; i < at + 4; i++) {
            int bits = i < length - padding ? sextet(id[i]) : 0;
            if (bits < 0)
                return false;
            three = three << 6 | (unsigned)bits;
        }
        for (int shift = 16; shift >= 0; shift -= 8)
            room[size++] = (char)(three >> shift & 0xFF);
    }
    *ret_size = size - padding;
    return true;
}

/* ---- times -------------------------------------------------------------------------------- */

/* Where the zone of `2024-02-29T12:30:00+02:00` begins; NULL when the text is no such time. */
static const char *find_zone(const char *id)
{
    const char *clock =
        strlen(id) > 16 && id[4] == '-' && id[7] == '-' && id[10] == 'T' ? id + 11 : NULL;
    const char *zone = clock == NULL ? NULL : clock + strspn(clock, "0123456789:.");

    if (zone == NULL || (*zone != '+' && *zone != '-'))
        return NULL;
    return strlen(zone) == 6 && zone[3] == ':' ? zone : NULL;
}

/* The zone as +02:00, +0200, +02 where that is all, Z and z where it is UTC. */
static bool spell_zone(const char *zone, unsigned number, char *room)
{
    bool is_whole_hour = strcmp(zone + 3, ":00") == 0;
    bool is_utc = strcmp(zone, "+00:00") == 0;

    switch (number) {
    case 0:
        strcpy(room, zone);
        return true;
    case 1:
        sprintf(room, "%.3s%s", zone, zone + 4);
        return true;
    case 2:
        sprintf(room, "%.3s", zone);
        return is_whole_hour;
    default:
        strcpy(room, number == 3 ? "Z" : "z");
        return is_utc;
    }
}

bool row_id_spell_time(const char *id, unsigned number, char *room)
{
    static const char separators[] = {'T', ' ', 't'};
    const char *zone = find_zone(id);
    size_t before_zone = zone == NULL ? strlen(id) : (size_t)(zone - id);
    char separator = separators[number % sizeof separators];
    unsigned zone_number = number / sizeof separators;

    memcpy(room, id, before_zone);
    room[before_zone] = '\0';
    if (before_zone > 10 && room[10] == 'T')
        room[10] = separator;
    else if (separator != 'T')
        return false;
    return zone == NULL ? zone_number == 0 : spell_zone(zone, zone_number, room + before_zone);
}
