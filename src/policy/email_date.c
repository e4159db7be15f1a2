/* SPDX-License-Identifier: MIT */
/* Dates as Python's email.utils reads them: five words, some of which may have changed places. */
#include "policy/email_date.h"

#include "common/count_of.h"
#include "policy/calendar.h"

#include <stddef.h>
#include <string.h>

/* A number that is larger counts as this, so that sums of all units stay within 64 bits. */
#define LARGEST INT64_C(1000000000000)

struct word {
    const char *at;
    size_t size;
};

/* What a date is made of, before its words have their meaning. */
#define DATE_WORDS 5
enum place { DAY, MONTH, YEAR, TIME, ZONE };

struct words {
    struct word of[DATE_WORDS + 1]; /* a weekday may stand before them */
    size_t count;
};

/* ---- words ------------------------------------------------------------------------------- */

bool weir__is_email_blank(char c)
{
    unsigned char code = (unsigned char)c;

    return (code >= 9 && code <= 13) || (code >= 28 && code <= 32) || code == 0x85 || code == 0xA0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether a word is this one, which is in lower case, in any case. */
static bool is_word(struct word word, const char *name)
{
    size_t i = 0;

    while (i < word.size && name[i] != '\0' && lower(word.at[i]) == name[i])
        i++;
    return i == word.size && name[i] == '\0';
}

/* Which of the names a word is, from 0; -1: none. */
static int find(struct word word, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (is_word(word, names[i]))
            return i;
    return -1;
}

/* Where a character stands in a word for the first time; its size: nowhere. */
static size_t place_of(struct word word, char c)
{
    const char *found = memchr(word.at, c, word.size);

    return found == NULL ? word.size : (size_t)(found - word.at);
}

static bool ends_with_comma(struct word word)
{
    return word.size > 0 && word.at[word.size - 1] == ',';
}

static void drop_comma(struct word *word)
{
    word->size -= ends_with_comma(*word);
}

static void swap(struct word *a, struct word *b)
{
    struct word other = *a;

    *a = *b;
    *b = other;
}

/* ---- numbers ----------------------------------------------------------------------------- */

/* As int() reads them: a sign, digits, and single underscores between these. */
static bool number(struct word word, int64_t *ret_value)
{
    bool is_negative = word.size > 0 && word.at[0] == '-';
    bool has_digit = false; /* right before */
    int64_t value = 0;

    for (size_t i = is_negative || (word.size > 0 && word.at[0] == '+'); i < word.size; i++) {
        if (word.at[i] == '_' ? !has_digit : !is_digit(word.at[i]))
            return false;
        has_digit = word.at[i] != '_';
        if (has_digit)
            value = value * 10 + (word.at[i] - '0');
        if (value > LARGEST)
            value = LARGEST;
    }
    *ret_value = is_negative ? -value : value;
    return has_digit;
}

/* ---- which word is what ------------------------------------------------------------------ */

/* Of more words than a date has, the first will do. */
static void split(const char *text, struct words *ret_words)
{
    *ret_words = (struct words){.count = 0};
    while (ret_words->count < DATE_WORDS + 1) {
        while (weir__is_email_blank(*text))
            text++;
        const char *begin = text;
        while (*text != '\0' && !weir__is_email_blank(*text))
            text++;
        if (text == begin)
            return;
        ret_words->of[ret_words->count++] = (struct word){begin, (size_t)(text - begin)};
    }
}

static void drop_first(struct words *words)
{
    words->count--;
    memmove(words->of, words->of + 1, words->count * sizeof words->of[0]);
}

/* "Sun,", "sun", whatever ends with a comma, and whatever stands before one in "Sun,06". */
static void drop_weekday(struct words *words)
{
    static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    struct word *first = &words->of[0];

    if (ends_with_comma(*first) || find(*first, names, COUNT_OF(names)) >= 0) {
        drop_first(words);
        return;
    }
    for (size_t comma = place_of(*first, ','); comma < first->size; comma = place_of(*first, ','))
        *first = (struct word){first->at + comma + 1, first->size - comma - 1};
}

/* RFC 850: "06-Nov-94" becomes three words. */
static void split_day(struct words *words)
{
    struct word whole = words->of[0];
    size_t first = place_of(whole, '-');
    if (first == whole.size)
        return;

    struct word rest = {whole.at + first + 1, whole.size - first - 1};
    size_t second = place_of(rest, '-');
    if (second == rest.size)
        return;
    struct word last = {rest.at + second + 1, rest.size - second - 1};
    if (place_of(last, '-') < last.size)
        return;
    words->of[TIME] = words->of[1];
    words->of[ZONE] = words->of[2];
    words->of[DAY] = (struct word){whole.at, first};
    words->of[MONTH] = (struct word){rest.at, second};
    words->of[YEAR] = last;
    words->count = DATE_WORDS;
}

/* "08:49:37-0500" becomes two words; else there is no zone. */
static void split_zone(struct words *words)
{
    struct word *time = &words->of[TIME];
    size_t sign = place_of(*time, '+');

    if (sign == time->size)
        sign = place_of(*time, '-');
    if (sign == 0)
        sign = time->size;
    words->of[ZONE] = (struct word){time->at + sign, time->size - sign};
    time->size = sign;
    words->count = DATE_WORDS;
}

/* From 0, in `words` as MONTH, with the day as DAY; -1: neither is a month. */
static int resolve_month(struct words *words)
{
    static const char *const names[] = {
        "jan", "feb",  "mar",  "apr",    "may",       "jun",      "jul",      "aug",
        "sep", "oct",  "nov",  "dec",    "january",   "february", "march",    "april",
        "may", "june", "july", "august", "september", "october",  "november", "december"};
    int month = find(words->of[MONTH], names, COUNT_OF(names));

    if (month < 0) {
        swap(&words->of[DAY], &words->of[MONTH]);
        month = find(words->of[MONTH], names, COUNT_OF(names));
    }
    drop_comma(&words->of[DAY]);
    return month < 0 ? month : month % 12;
}

/* As str.isdigit() has it, to which int() does not agree: \xB2, \xB3 and \xB9 are superscripts. */
static bool is_email_digit(char c)
{
    return is_digit(c) || c == '\xB2' || c == '\xB3' || c == '\xB9';
}

/* The year may stand behind the time, or even behind the zone. */
static bool resolve_year(struct words *words)
{
    struct word *year = &words->of[YEAR];
    size_t colon = place_of(*year, ':');

    if (colon > 0 && colon < year->size)
        swap(year, &words->of[TIME]);
    drop_comma(year);
    if (year->size == 0)
        return false;
    if (!is_email_digit(year->at[0]))
        swap(year, &words->of[ZONE]);
    drop_comma(&words->of[TIME]);
    return true;
}

/* ---- what they mean ---------------------------------------------------------------------- */

/* "08:49:37", "08:49", "8.49.37", "8.49"; in seconds. */
static bool read_time(struct word time, int64_t *ret_seconds)
{
    char between = place_of(time, ':') < time.size ? ':' : '.';
    int64_t of[3] = {0, 0, 0};
    size_t count = 0;

    for (bool is_last = false; !is_last; count++) {
        size_t end = place_of(time, between);

        is_last = end == time.size;
        if (count == 3 || !number((struct word){time.at, end}, &of[count]))
            return false;
        if (!is_last)
            time = (struct word){time.at + end + 1, time.size - end - 1};
    }
    *ret_seconds = of[0] * 3600 + of[1] * 60 + of[2];
    return count >= 2;
}

/* East of Greenwich, in seconds. What is no zone is UTC. */
static int64_t read_zone(struct word zone)
{
    static const struct {
        const char *name;
        int offset;
    } zones[] = {{"ut", 0},     {"utc", 0},    {"gmt", 0},    {"z", 0},      {"ast", -400},
                 {"adt", -300}, {"est", -500}, {"edt", -400}, {"cst", -600}, {"cdt", -500},
                 {"mst", -700}, {"mdt", -600}, {"pst", -800}, {"pdt", -700}};
    int64_t offset = 0;

    if (!number(zone, &offset))
        offset = 0;
    for (size_t i = 0; i < COUNT_OF(zones); i++)
        if (is_word(zone, zones[i].name))
            offset = zones[i].offset;
    return offset / 100 * 3600 + offset % 100 * 60; /* both of the offset's sign */
}

static int64_t full_year(int64_t year)
{
    if (year >= 100)
        return year;
    return year > 68 ? year + 1900 : year + 2000;
}

bool weir__email_date(const char *text, int64_t *ret_seconds)
{
    struct words words;
    int64_t year = 0;
    int64_t day = 0;
    int64_t time = 0;

    split(text, &words);
    if (words.count == 0)
        return false;
    drop_weekday(&words);
    if (words.count == 3)
        split_day(&words);
    if (words.count == 4)
        split_zone(&words);
    if (words.count < DATE_WORDS || words.of[DAY].size == 0 || words.of[MONTH].size == 0)
        return false;

    int month = resolve_month(&words);
    if (month < 0 || !resolve_year(&words) || !number(words.of[YEAR], &year) ||
        !number(words.of[DAY], &day) || !read_time(words.of[TIME], &time))
        return false;
    year = full_year(year);
    if (year < 1 || year > 9999)
        return false;
    *ret_seconds = (weir__days_from_1970((int)year, month + 1, 1) + day - 1) * 86400 + time -
                   read_zone(words.of[ZONE]);
    return true;
}
