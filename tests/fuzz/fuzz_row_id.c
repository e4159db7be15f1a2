/* SPDX-License-Identifier: MIT */
/* Any text as the id of a row: what it is read as fits, and its first spelling is itself. */
#include "fuzz.h"

#include "services/row_id.h"

#include <math.h>

const char *const fuzz_seeds[] = {
    "2024-02-29T12:30:00.5+02:00",
    "2024-02-29T12:30:00+00:00",
    "2024-02-29T12:30",
    "2024-02-29",
    "Zm9vYg==",
    "//4A",
    "-1.5e-3",
    "",
    NULL,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *id = fuzz_text(data, size);
    size_t length = strlen(id);
    char *room = malloc(length + ROW_ID_TIME_ROOM);
    size_t blob_size = 0;
    double real = 0;

    must(room != NULL);
    if (row_id_read_blob(id, room, &blob_size)) {
        must(length % 4 == 0);
        must(blob_size <= length / 4 * 3 && blob_size + 2 >= length / 4 * 3);
    }
    if (row_id_read_real(id, &real))
        must(isfinite(real));
    for (unsigned i = 0; i < ROW_ID_TIMES; i++) {
        if (!row_id_spell_time(id, i, room)) {
            must(i > 0);
            continue;
        }
        must(strlen(room) < length + ROW_ID_TIME_ROOM);
        must(i > 0 || strcmp(room, id) == 0);
    }
    free(room);
    free(id);
    return 0;
}
