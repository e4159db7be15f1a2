/* SPDX-License-Identifier: MIT */
/* Turns files into a C table of their bytes, by which the build puts pages into the program: embed OUTPUT NAME FILE… makes NAME_assets. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "embed: %s %s\n", what, path);
    exit(1);
}

/* The bytes as an array, and FNV-1a of them, which tells one version of a file from another. */
static uint64_t write_bytes(FILE *out, const char *path, int index)
{
    FILE *in = fopen(path, "rb");
    uint64_t hash = 0xcbf29ce484222325u;
    unsigned column = 0;
    int byte;

    if (in == NULL)
        fail("cannot read", path);
    fprintf(out, "static const unsigned char bytes_%d[] = {\n", index);
    while ((byte = getc(in)) != EOF) {
        hash = (hash ^ (uint64_t)byte) * 0x100000001b3u;
        fprintf(out, "%d,%s", byte, ++column % 32 == 0 ? "\n" : "");
    }
    if (ferror(in) || column == 0)
        fail("nothing in", path);
    fputs("};\n", out);
    fclose(in);
    return hash;
}

int main(int count, char **arguments)
{
    uint64_t *hashes = calloc((size_t)count + 1, sizeof(*hashes));
    FILE *out = count < 4 || hashes == NULL ? NULL : fopen(arguments[1], "wb");

    if (out == NULL)
        fail("cannot write", count < 2 ? "without a name" : arguments[1]);
    fputs("#include \"figures/web_assets.h\"\n", out);
    for (int i = 3; i < count; i++)
        hashes[i] = write_bytes(out, arguments[i], i);
    fprintf(out, "const struct web_asset %s_assets[] = {\n", arguments[2]);
    for (int i = 3; i < count; i++)
        fprintf(out, "{\"%s\", \"\\\"%016" PRIx64 "\\\"\", bytes_%d, sizeof bytes_%d},\n",
                base_name(arguments[i]), hashes[i], i, i);
    fprintf(out, "};\nconst size_t %s_asset_count = %d;\n", arguments[2], count - 3);
    free(hashes);
    if (fclose(out) != 0)
        fail("cannot write", arguments[1]);
    return 0;
}
