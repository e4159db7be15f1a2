/* SPDX-License-Identifier: MIT */
/* A name that becomes longer than a host may be, whatever libidn2 thinks of its length. */
#include "check.h"
#include "http/host.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>

static size_t given; /* characters that libidn2 makes of any name */

/* In place of libidn2's: labels of 63 characters. */
int idn2_lookup_u8(const uint8_t *name, uint8_t **ret_ascii, int flags)
{
    uint8_t *ascii = malloc(given + 1);

    (void)name;
    (void)flags;
    if (ascii == NULL)
        return IDN2_MALLOC;
    for (size_t i = 0; i < given; i++)
        ascii[i] = i % 64 == 63 ? '.' : 'a';
    ascii[given] = '\0';
    *ret_ascii = ascii;
    return IDN2_OK;
}

static void a_name_has_at_most_254_characters_in_ascii_whoever_made_it(void)
{
    static const size_t sizes[] = {1, 63, 253, 254, 255, 257, 600, 1000};
    static const char name[] = "b\xC3\xBC.de";

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char room[1024]; /* so that what is too long is seen, and does no harm */
        struct host_fault fault = {NULL, NULL};

        given = sizes[i];
        memset(room, '#', sizeof room);
        weir_status status = weir__host_to_ascii(name, strlen(name), room, &fault);
        check_int(status, given <= HOST_LIMIT ? WEIR_OK : WEIR_INVALID);
        check(room[HOST_LIMIT + 1] == '#');
        if (status == WEIR_OK)
            check_int(strlen(room), given);
        else
            check_text(fault.what, "a host has at most 254 characters");
    }
}

int main(void)
{
    run(a_name_has_at_most_254_characters_in_ascii_whoever_made_it);
    return check_done();
}
