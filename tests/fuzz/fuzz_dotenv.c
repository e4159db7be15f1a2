/* SPDX-License-Identifier: MIT */
/* Any text as a `.env` file: refused with a position, or read so that writing it anew means the same. */
#include "fuzz.h"

#include "config/dotenv.h"
#include "text/text.h"

const char *const fuzz_seeds[] = {
    "A=1\nB = two words # comment\n",
    "export NAME='as it $stands'\n",
    "X=\"a \\\"b\\\"\\n\\\\ \\$\"\r\n",
    "# comment\n\n  \t\nURL=postgresql://u:p%40w@h/db?x=1#y\n",
    "X=\"two\nlines\"\nX='again'\n",
    "\xef\xbb\xbf_=",
    "=1",
    "export ",
    NULL,
};

/* The value in double quotes, every special byte escaped. */
static void add_quoted(struct text *out, const char *value)
{
    text_add(out, "\"");
    for (; *value != '\0'; value++) {
        if (strchr("\"\\$'", *value) != NULL)
            text_add(out, "\\");
        text_add_n(out, value, 1);
    }
    text_add(out, "\"\n");
}

static void check_again(const struct dotenv *dotenv)
{
    struct text out = {0};
    struct dotenv *again = NULL;
    const char *name;

    for (size_t i = 0; (name = dotenv_name_at(dotenv, i)) != NULL; i++) {
        must(dotenv_line_at(dotenv, i) >= 1);
        text_addf(&out, "%s=", name);
        add_quoted(&out, dotenv_get(dotenv, name));
    }
    char *file = text_take(&out);
    must(file != NULL);
    must(dotenv_parse(file, strlen(file), &again, NULL) == WEIR_OK);
    for (size_t i = 0; (name = dotenv_name_at(dotenv, i)) != NULL; i++) {
        must(strcmp(dotenv_name_at(again, i), name) == 0);
        must(strcmp(dotenv_get(again, name), dotenv_get(dotenv, name)) == 0);
    }
    dotenv_close(again);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dotenv *dotenv = NULL;
    weir_error error = {0};
    /* Exactly as long as the input, so that a byte read behind it is seen. */
    char *text = malloc(size > 0 ? size : 1);

    if (size > 0)
        memcpy(text, data, size);
    weir_status status = dotenv_parse(text, size, &dotenv, &error);
    free(text);
    must(status == WEIR_OK || status == WEIR_INVALID);
    must((status == WEIR_OK) == (dotenv != NULL));
    must(status == WEIR_OK || strncmp(error.text, "line ", 5) == 0);
    if (dotenv != NULL)
        check_again(dotenv);
    dotenv_close(dotenv);
    return 0;
}
