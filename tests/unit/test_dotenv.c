/* SPDX-License-Identifier: MIT */
/* The `.env` file: what it may say, and where an error is. */
#include "config/dotenv.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The value of X in a file, or "(none)"; "(refused)" when the file does not parse. */
static const char *value_of_x(const char *file)
{
    static char value[256];
    struct dotenv *dotenv;

    if (dotenv_parse(file, strlen(file), &dotenv, NULL) != WEIR_OK)
        return "(refused)";
    const char *found = dotenv_get(dotenv, "X");
    snprintf(value, sizeof value, "%s", found != NULL ? found : "(none)");
    dotenv_close(dotenv);
    return value;
}

static void refuses(const char *file, const char *message)
{
    struct dotenv *dotenv = NULL;
    weir_error error = {0};

    check(dotenv_parse(file, strlen(file), &dotenv, &error) == WEIR_INVALID);
    check_text(error.text, message);
    check(dotenv == NULL);
}

static void plain_values_lose_their_blanks_and_comments(void)
{
    check_text(value_of_x("X=1"), "1");
    check_text(value_of_x("  X \t= a b  \n"), "a b");
    check_text(value_of_x("X=a # comment\n"), "a");
    check_text(value_of_x("X=a#b\n"), "a#b");
    check_text(value_of_x("X=# comment\n"), "");
    check_text(value_of_x("X=\n"), "");
    check_text(value_of_x("X=a=b\n"), "a=b");
    check_text(value_of_x("X=$HOME\n"), "$HOME");
    check_text(value_of_x("X=postgresql://u:p%40@h/db?x=1\n"), "postgresql://u:p%40@h/db?x=1");
}

static void quoted_values_keep_theirs(void)
{
    check_text(value_of_x("X=' a # b '\n"), " a # b ");
    check_text(value_of_x("X='\\n'\n"), "\\n");
    check_text(value_of_x("X=\"\\n\\r\\t\\\"\\'\\\\\\$\" # c\n"), "\n\r\t\"'\\$");
    check_text(value_of_x("X=\"two\nlines\"\nY=1"), "two\nlines");
    check_text(value_of_x("X=''"), "");
}

static void comments_blank_lines_and_export_are_understood(void)
{
    check_text(value_of_x("# c\n\n   \n\t# d\nexport X=1\n"), "1");
    check_text(value_of_x("export=2\nX=1"), "1");
    check_text(value_of_x("Y=1\n"), "(none)");
    check_text(value_of_x("X=1\nX=2\n"), "2");
    check_text(value_of_x("X=1\r\nY=2\r\n"), "1");
    check_text(value_of_x("\xef\xbb\xbfX=1\n"), "1");
    check_text(value_of_x(""), "(none)");
}

static void errors_name_line_and_column_and_never_the_value(void)
{
    refuses("X", "line 1, column 2: expected = after the name");
    refuses("X=1\n  9Y=2",
            "line 2, column 3: expected a name (letters, digits and _, not beginning "
            "with a digit)");
    refuses("=1", "line 1, column 1: expected a name (letters, digits and _, not beginning with a "
                  "digit)");
    refuses("A=1\nX=\"secret\nmore",
            "line 2, column 3: expected a closing quote for the value that "
            "begins here");
    refuses("X='a' b", "line 1, column 7: expected the end of the line after the closing quote");
    refuses("X=\"a\n\\q\"",
            "line 2, column 2: expected one of n r t \" ' \\ $ after the backslash");
    refuses("X=1\nY=\xff", "line 2, column 3: expected UTF-8 text without NUL");
    refuses("A-B=1", "line 1, column 2: expected = after the name");
}

static void a_nul_is_refused(void)
{
    struct dotenv *dotenv;
    weir_error error;

    check(dotenv_parse("X=a\0b", 5, &dotenv, &error) == WEIR_INVALID);
    check_text(error.text, "line 1, column 4: expected UTF-8 text without NUL");
}

static void names_are_listed_with_their_lines(void)
{
    struct dotenv *dotenv;
    const char *file = "# c\nA=1\n\nB='x\ny'\nC=3\n";

    check(dotenv_parse(file, strlen(file), &dotenv, NULL) == WEIR_OK);
    check_text(dotenv_name_at(dotenv, 0), "A");
    check_text(dotenv_name_at(dotenv, 1), "B");
    check_int(dotenv_line_at(dotenv, 1), 4);
    check_int(dotenv_line_at(dotenv, 2), 6);
    check(dotenv_name_at(dotenv, 3) == NULL);
    check_int(dotenv_line_at(dotenv, 3), 0);
    dotenv_close(dotenv);
    dotenv_close(NULL);
}

static void files_are_read_and_missing_ones_are_empty(void)
{
    char path[] = "/tmp/weir-dotenv-XXXXXX";
    int descriptor = mkstemp(path);
    struct dotenv *dotenv;
    weir_error error;

    check(descriptor >= 0 && write(descriptor, "X=1\nY", 5) == 5);
    check(dotenv_read(path, &dotenv, &error) == WEIR_INVALID);
    check_contains(error.text, path);
    check_contains(error.text, "line 2, column 2");
    check(ftruncate(descriptor, 3) == 0);
    check(dotenv_read(path, &dotenv, &error) == WEIR_OK);
    check_text(dotenv_get(dotenv, "X"), "1");
    dotenv_close(dotenv);
    close(descriptor);
    unlink(path);

    check(dotenv_read(path, &dotenv, &error) == WEIR_OK);
    check(dotenv_name_at(dotenv, 0) == NULL);
    dotenv_close(dotenv);
    check(dotenv_read("/tmp", &dotenv, &error) == WEIR_SYSTEM);
    check_contains(error.text, "read /tmp");
}

static void larger_files_than_a_mebibyte_are_refused(void)
{
    size_t size = ((size_t)1 << 20) + 1;
    char *text = malloc(size);
    struct dotenv *dotenv;

    memset(text, '\n', size);
    check(dotenv_parse(text, size - 1, &dotenv, NULL) == WEIR_OK);
    dotenv_close(dotenv);
    check(dotenv_parse(text, size, &dotenv, NULL) == WEIR_INVALID);
    free(text);
}

int main(void)
{
    run(plain_values_lose_their_blanks_and_comments);
    run(quoted_values_keep_theirs);
    run(comments_blank_lines_and_export_are_understood);
    run(errors_name_line_and_column_and_never_the_value);
    run(a_nul_is_refused);
    run(names_are_listed_with_their_lines);
    run(files_are_read_and_missing_ones_are_empty);
    run(larger_files_than_a_mebibyte_are_refused);
    return check_done();
}
