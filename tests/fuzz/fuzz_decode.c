/* SPDX-License-Identifier: MIT */
/* Any bytes as a body of any coding: refused, or the same whether they come at once or one by one. */
#include "fuzz.h"

#include "http/decode.h"

/* The first byte says of which coding the rest is. */
static const char *const lists[] = {
    "gzip", "deflate", "br", "zstd", "gzip, br", "zstd, deflate", "identity, gzip", "deflate,gzip"};

#define MOST 65536

/* "@" is gzip, "A" deflate and so on. A zero would end the text, so that most streams break off. */
const char *const fuzz_seeds[] = {
    "@\x1f\x8b\x08",
    "A\x78\x9c\x03",
    "A\x4b\x4c\x01\x01",
    "B\x06",
    "B\x0b\x01\x80\x61\x62\x03",
    "C\x28\xb5\x2f\xfd\x04\x58",
    "C\x50\x2a\x4d\x18\x01",
    "D\x0b\x02\x80",
    "G\x78\x9c\xe3\x52",
    NULL,
};

struct taken {
    size_t size;
    char data[MOST];
};

static bool take(void *arg, const char *data, size_t size)
{
    struct taken *taken = arg;

    must(size > 0);
    if (size > MOST - taken->size)
        return false;
    memcpy(taken->data + taken->size, data, size);
    taken->size += size;
    return true;
}

/* What came of it: the first status that is not WEIR_OK, or that of the end. */
static weir_status decode(const char *list, const uint8_t *data, size_t size, size_t piece,
                          struct taken *taken)
{
    struct decoder *decoder = NULL;
    weir_error error = {0};

    taken->size = 0;
    weir_status status = weir__decoder_open(&list, 1, 10000, take, taken, &decoder, &error);
    must((status == WEIR_OK) == (decoder != NULL));
    for (size_t at = 0; at < size && status == WEIR_OK; at += piece) {
        size_t part = size - at < piece ? size - at : piece;
        char *copy = malloc(part); /* so that a read behind it is seen */

        if (copy == NULL)
            abort();
        memcpy(copy, data + at, part);
        status = weir__decoder_add(decoder, copy, part, &error);
        free(copy);
    }
    if (status == WEIR_OK)
        status = weir__decoder_end(decoder, &error);
    must(status == WEIR_OK || status == WEIR_CANCELLED || error.text[0] != '\0');
    weir__decoder_close(decoder);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct taken whole;
    static struct taken bytes;

    if (size == 0)
        return 0;
    const char *list = lists[data[0] % (sizeof lists / sizeof lists[0])];
    weir_status at_once = decode(list, data + 1, size - 1, size, &whole);
    weir_status one_by_one = decode(list, data + 1, size - 1, 1, &bytes);
    /* zstd needs no window where a whole frame is there at once. */
    must(at_once == one_by_one || one_by_one == WEIR_LIMIT);
    if (one_by_one == WEIR_OK || one_by_one == WEIR_DISCONNECTED) {
        must(whole.size == bytes.size);
        must(memcmp(whole.data, bytes.data, whole.size) == 0);
    }
    return 0;
}
