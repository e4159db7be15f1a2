/* SPDX-License-Identifier: MIT */
/* Any columns and values as NocoDB filters: refused, or a clause that NocoDB's two grammars read back as just these. */
#include "fuzz.h"

#include <ctype.h>

#include "services/nocodb_where.h"
#include "common/utf8.h"

#define MOST 4

/* One condition in a line: its operator's letter, the column, a tab, the value. */
const char *const fuzz_seeds[] = {
    "LName\tSmith\nEYear\t2020\nBNote\t\nGId\t12",
    "La,b\tx)~and(Id,eq,1",
    "LName\ta'b\"c",
    "L\"x\ty\nLz\\\t\"",
    "LSize (cm)\t((1))\nL'\t\"",
    "L ~or( \t~not(\\\"",
    "Ex\t-1.5e+3\nEy\ttrue",
    "Ea\t2024-02-29\n<b\t-1\n[c\t2024-01-31\n]d\t1e3",
    "Ta\tx, y\nTb\t\nTc\tnull",
    "Ta\t x \nTb\t\\",
    "L\xc3\xbc,\t\xe6\x97\xa5\xe6\x9c\xac",
    "L@\t@",
    "La\tx\xe2\x80\xa8y",
    "La\xe2\x80\xa9\tx",
    NULL,
};

/* ---- What NocoDB's readers do, by the expressions in them ------------------------------------- */

/* What was read: name, operator, value, as pieces of the clause. */
struct piece {
    const char *at;
    size_t size;
};

struct reading {
    struct piece name, op, value;
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The length of ~and, ~or or ~not, with or without "not" behind the first two; 0: none is here. */
static size_t joint_size(const char *at)
{
    static const char *const joints[] = {"~andnot", "~ornot", "~and", "~or", "~not"};

    for (size_t i = 0; i < 5; i++) {
        if (strncmp(at, joints[i], strlen(joints[i])) == 0 && at[strlen(joints[i])] == '(')
            return strlen(joints[i]);
    }
    return 0;
}

/* What the dot of JavaScript's expressions does not stand for: the ends of lines. */
static bool is_line_end(const char *at)
{
    return *at == '\n' || *at == '\r' || strncmp(at, "\xe2\x80\xa8", 3) == 0 ||
           strncmp(at, "\xe2\x80\xa9", 3) == 0;
}

static bool are_dots(const struct piece *piece)
{
    for (size_t i = 0; i < piece->size; i++) {
        if (is_line_end(piece->at + i))
            return false;
    }
    return true;
}

/* The older reader, on one part: \((.*?),(\w+),(.*)\) */
static bool read_plain_part(const char *part, const char *end, struct reading *out)
{
    const char *open = memchr(part, '(', (size_t)(end - part));
    const char *close = end;

    if (open == NULL)
        return false;
    while (close > open && close[-1] != ')')
        close--;
    for (const char *comma = open + 1; comma < close; comma++) {
        const char *word = comma + 1;
        if (*comma != ',')
            continue;
        while (word < close && is_word(*word))
            word++;
        if (word == comma + 1 || *word != ',' || word + 1 > close - 1)
            continue;
        out->name = (struct piece){open + 1, (size_t)(comma - open - 1)};
        out->op = (struct piece){comma + 1, (size_t)(word - comma - 1)};
        out->value = (struct piece){word + 1, (size_t)(close - 1 - (word + 1))};
        return are_dots(&out->name) && are_dots(&out->value);
    }
    return false;
}

/* The older reader: groups first, then cut before each joint, then part by part. */
static size_t read_plain(const char *clause, struct reading out[MOST + 1])
{
    size_t count = 0;

    must(strstr(clause, "((") == NULL && strstr(clause, "(~") == NULL);
    while (*clause != '\0') {
        const char *end = clause + 1;
        while (*end != '\0' && joint_size(end) == 0)
            end++;
        must(count == 0 || strncmp(clause, "~and(", 5) == 0);
        must(count <= MOST && read_plain_part(clause, end, &out[count]));
        count++;
        clause = end;
    }
    return count;
}

/* A text in quotes, (?:\\q|[^q])* between two of q; NULL when it does not end. */
static const char *read_quotes(const char *at, struct piece *out)
{
    const char quote = *at;
    const char *close = NULL;

    for (const char *end = at + 1;; end++) {
        if (*end == '\\' && end[1] == quote) {
            /* Part of the text; but if no other quote follows, the expression goes back to it. */
            close = ++end;
        } else if (*end == quote) {
            close = end;
            break;
        } else if (*end == '\0') {
            break;
        }
    }
    if (close == NULL)
        return NULL;
    *out = (struct piece){at + 1, (size_t)(close - at - 1)};
    return close + 1;
}

static const char *read_token(const char *at, struct piece *out)
{
    if (*at == '"' || *at == '\'')
        return read_quotes(at, out);
    *out = (struct piece){at, strcspn(at, "()'\"~")};
    return out->size > 0 ? at + out->size : NULL;
}

static const char *expect(const char *at, const char *token)
{
    must(strncmp(at, token, strlen(token)) == 0);
    return at + strlen(token);
}

/* The newer reader. */
static size_t read_quoted(const char *at, struct reading out[MOST + 1])
{
    size_t count = 0;

    while (*at != '\0') {
        must(count <= MOST);
        struct reading *one = &out[count];
        at = expect(at, count > 0 ? "~and(" : "(");
        at = read_token(at, &one->name);
        must(at != NULL);
        at = expect(at, ",");
        one->op = (struct piece){at, strcspn(at, ",")};
        at = expect(at + one->op.size, ",");
        at = read_token(at, &one->value);
        must(at != NULL);
        at = expect(at, ")");
        count++;
    }
    return count;
}

/* ---- What was meant --------------------------------------------------------------------------- */

static bool is_text(const struct piece *piece, const char *before, const char *text,
                    const char *after)
{
    size_t lengths[] = {strlen(before), strlen(text), strlen(after)};

    return piece->size == lengths[0] + lengths[1] + lengths[2] &&
           memcmp(piece->at, before, lengths[0]) == 0 &&
           memcmp(piece->at + lengths[0], text, lengths[1]) == 0 &&
           memcmp(piece->at + lengths[0] + lengths[1], after, lengths[2]) == 0;
}

static void must_mean(const struct reading *reading, const struct nocodb_condition *condition)
{
    static const char *const ops[] = {
        [NOCODB_LIKE] = "like", [NOCODB_TEXT] = "eq", [NOCODB_EQ] = "eq", [NOCODB_BLANK] = "is",
        [NOCODB_LT] = "lt",     [NOCODB_LE] = "lte",  [NOCODB_GT] = "gt", [NOCODB_GE] = "gte"};
    const char *wild = condition->op == NOCODB_LIKE ? "%" : "", *value = condition->value;

    must(is_text(&reading->name, "", condition->column, ""));
    must(is_text(&reading->op, "", ops[condition->op], ""));
    if (condition->op == NOCODB_BLANK)
        must(is_text(&reading->value, "", "blank", ""));
    else if (condition->op == NOCODB_LIKE || condition->op == NOCODB_TEXT)
        must(is_text(&reading->value, wild, value, wild));
    else if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
        must(is_text(&reading->value, "", value[0] == 't' ? "1" : "0", ""));
    else
        must(is_text(&reading->value, "", value, "") ||
             is_text(&reading->value, "exactDate,", value, ""));
}

/* Whether a text gives no reason to be refused. */
static bool is_harmless(const char *text)
{
    bool has_both = strchr(text, '"') != NULL && strchr(text, '\'') != NULL;

    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f || (unsigned char)*at == 0xc2 ||
            is_line_end(at))
            return false;
    }
    return text[0] != '\0' && !has_both && text[strlen(text) - 1] != '\\' && strlen(text) < 1000 &&
           utf8_is_valid(text, strlen(text));
}

static bool may_be_value(const struct nocodb_condition *one)
{
    if (one->op == NOCODB_TEXT)
        return one->value[0] == '\0' || is_harmless(one->value);
    return one->op == NOCODB_LIKE && is_harmless(one->value) && strchr(one->value, '\\') == NULL;
}

static bool may_be_refused(const struct nocodb_condition *conditions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct nocodb_condition *one = &conditions[i];
        if (!is_harmless(one->column) || (one->op != NOCODB_BLANK && !may_be_value(one)))
            return true;
    }
    return false;
}

static void try_dialect(const struct nocodb_condition *conditions, size_t count,
                        enum nocodb_dialect dialect)
{
    struct reading readings[MOST + 1];
    weir_error error = {0};
    char *clause = NULL;

    weir_status status = nocodb_where(conditions, count, dialect, &clause, &error);
    if (status != WEIR_OK) {
        must(status == WEIR_INVALID && error.text[0] != '\0');
        must(may_be_refused(conditions, count));
        return;
    }
    bool is_marked = clause[0] == '@';
    must(!is_marked || dialect == NOCODB_V2);
    must(strlen(clause) <= NOCODB_WHERE_BYTES);
    size_t found = is_marked || dialect == NOCODB_V3 ? read_quoted(clause + is_marked, readings)
                                                     : read_plain(clause, readings);
    must(found == count);
    for (size_t i = 0; i < count; i++)
        must_mean(&readings[i], &conditions[i]);
    free(clause);
}

static size_t split(char *text, struct nocodb_condition conditions[MOST])
{
    static const char letters[] = "LTEB<[G]";
    static const enum nocodb_op ops[] = {NOCODB_LIKE, NOCODB_TEXT, NOCODB_EQ, NOCODB_BLANK,
                                         NOCODB_LT,   NOCODB_LE,   NOCODB_GT, NOCODB_GE};
    size_t count = 0;
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL && count < MOST;
         line = strtok_r(NULL, "\n", &rest)) {
        const char *letter = strchr(letters, line[0]);
        char *tab = strchr(line, '\t');
        if (line[0] == '\0' || letter == NULL || tab == NULL)
            continue;
        *tab = '\0';
        conditions[count].op = ops[letter - letters];
        conditions[count].column = line + 1;
        conditions[count].value = conditions[count].op == NOCODB_BLANK ? NULL : tab + 1;
        count++;
    }
    return count;
}

/* Whatever is read from `column:value` can be written, or is refused with a reason. */
static void try_text(enum nocodb_op op, const char *text)
{
    struct nocodb_condition condition;
    weir_error error = {0};
    char *memory = NULL;

    if (nocodb_condition_parse(op, text, &condition, &memory, &error) != WEIR_OK) {
        must(error.text[0] != '\0');
        return;
    }
    must((condition.value == NULL) == (condition.op == NOCODB_BLANK));
    try_dialect(&condition, 1, NOCODB_V2);
    try_dialect(&condition, 1, NOCODB_V3);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nocodb_condition conditions[MOST];
    char *text = fuzz_text(data, size);

    try_text(NOCODB_LIKE, text);
    try_text(NOCODB_TEXT, text);
    try_text(NOCODB_GE, text);
    size_t count = split(text, conditions);
    try_dialect(conditions, count, NOCODB_V2);
    try_dialect(conditions, count, NOCODB_V3);
    free(text);
    return 0;
}
