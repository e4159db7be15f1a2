/* SPDX-License-Identifier: MIT */
/* Hosts of URLs in any script: their ASCII form, and what has none. */
#include "url_check.h"

/* As UTS #46 has it, without the rules of a transition from IDNA 2003 (faß is not fass). */
static void an_international_host_is_what_its_ascii_form_is(void)
{
    static const char *const table[][2] = {
        {"http://b\xC3\xBC"
         "cher.example/",
         "xn--bcher-kva.example"},
        {"http://B\xC3\x9C"
         "CHER.Example",
         "xn--bcher-kva.example"},
        {"http://bu\xCC\x88"
         "cher.example",
         "xn--bcher-kva.example"}, /* not composed */
        {"http://b\xC3\xBC"
         "cher.XN--BCHER-KVA",
         "xn--bcher-kva.xn--bcher-kva"},
        {"http://fa\xC3\x9F.de", "xn--fa-hia.de"},
        {"http://\xCF\x83\xCF\x82.gr", "xn--3xab.gr"},
        {"http://\xE6\x97\xA5\xE6\x9C\xAC\xE3\x80\x82\xEF\xBC\xAA\xEF\xBC\xB0", "xn--wgv71a.jp"},
        {"http://a\xEF\xBC\x8E"
         "b\xEF\xBD\xA1"
         "c",
         "a.b.c"},
        {"http://\xC3\xBC.", "xn--tda."},
        {"http://\xC3\xBC\xE3\x80\x82", "xn--tda."},
        {"http://\xC3\xBC\xC2\xAD.de", "xn--tda.de"},
        {"http://_\xC3\xBC_.de", "xn--__-xka.de"},
        {"http://\xF0\x9F\x92\xA9.la", "xn--ls8h.la"},
        {"http://\xE2\x98\x83.net", "xn--n3h.net"},
        {"http://\xD9\x86\xD8\xA7\xD9\x85\xD9\x87\xE2\x80\x8C\xD8\xA7\xDB\x8C.com",
         "xn--mgba3gch31f060k.com"},
        {"http://\xD7\x90.a.com", "xn--4db.a.com"},
        {"http://\xEF\xBC\x91\xEF\xBC\x92\xEF\xBC\x97.1", "127.0.0.1"},
        {"http://\xF0\x9D\x9F\x8F\xF0\x9D\x9F\x90\xF0\x9D\x9F\x95.0.0.1", "127.0.0.1"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char origin[ORIGIN_SIZE];
        snprintf(origin, sizeof origin, "http://%s:80", table[i][1]);
        check_origin(table[i][0], origin);
    }
}

static void what_is_sent_and_shown_has_the_ascii_form(void)
{
    struct url url = parse("https://B\xC3\xBC"
                           "cher.example:8443/a?b=c#d");

    check_text(url.text, "https://xn--bcher-kva.example:8443/a?b=c");
    check_text(url.shown, "https://xn--bcher-kva.example:8443/a");
    weir__url_clear(&url);
    url = parse("http://\xC3\xBC?#d");
    check_text(url.text, "http://xn--tda/?");
    weir__url_clear(&url);
    check(weir_http_same_origin("https://b\xC3\xBC"
                                "cher.de/a",
                                "https://xn--BCHER-kva.DE:443/b"));
    check(!weir_http_same_origin("https://fa\xC3\x9F.de/", "https://fass.de/"));
    check(!weir_http_same_origin("https://\xC3\xBC.de/", "https://\xC3\xBC.de./"));
}

static void what_is_no_international_name_is_refused_with_its_label_and_reason(void)
{
    static const struct {
        const char *text;
        const char *part;
    } table[] = {
        {"http://\xFC.de/", "position 8: a host that is not ASCII must be UTF-8"},
        {"http://a.\xED\xA0\x80.de/", "position 10: a host that is not ASCII must be UTF-8"},
        {"http://a.\xC3", "position 10: a host that is not ASCII must be UTF-8"},
        {"http://\xC3\xBC..de/", "position 11: expected a name, and a dot"},
        {"http://.\xC3\xBC/", "position 8: expected a name, and a dot"},
        {"http://\xC3\xBC\xE3\x80\x82.de/", "position 13: expected a name, and a dot"},
        {"http://\xC2\xAD.de/", "position 8: expected a name, and a dot"},
        {"http://\xC2\xAD/", "position 8: expected a"},
        {"http://-\xC3\xBC.de/",
         "position 8: an international name must not begin or end with a hyphen"},
        {"http://a.\xC3\xBC-.de/", "position 10: an international name must not begin or end with"},
        {"http://ab--\xC3\xBC.de/", "position 8: an international name must not have hyphens"},
        {"http://x.\xCC\x80"
         "a.de/",
         "position 10: a name must not begin with a combining mark"},
        {"http://b.a\xD7\x90.com/", "position 10: a name must not mix directions"},
        {"http://1\xD7\x90.com/", "position 8: a name must not mix directions"},
        {"http://xn--\xC3\xBC.de/", "position 8: this xn-- name"},
        {"http://\xE2\x80\x8D.com/", "position 8: this name has a character that is not"},
        {"http://h.\xE2\x84\x80.com/",
         "position 10: this name has a character that is not"}, /* a/c */
        {"http://h\xEF\xBC\x8F"
         "evil/",
         "is not allowed in a host"},
        {"http://h\xEF\xBC\x9A"
         "80/",
         "is not allowed in a host"},
        {"http://u\xEF\xBC\xA0h/", "is not allowed in a host"},
        {"http://h\xEF\xBC\x9F/", "is not allowed in a host"},
        {"http://h\xEF\xBC\x85"
         "41/",
         "is not allowed in a host"},
        {"http://\xEE\x80\x80.com/", "position 8: this name has a character that is not"},
        {"http://\xC3\xBC%41.de/", "position 10: this character is not allowed in a host"},
        {"http://\xC3\xBC*.de/", "position 10: this character is not allowed in a host"},
        {"http://\xC3\xBC de/", "position 10: this character is not allowed in a host"},
        {"http://\xC3\xBC\\.evil/", "position 10: this character is not allowed in a host"},
        {"http://\xC3\xBC:x/", "position 11: expected a port of digits"},
        {"http://\xC3\xBC/a b", "position 12: this character must be percent-encoded"},
        {"http://u@\xC3\xBC/", "must not hold a user or password"},
        {"http://[\xC3\xBC]/", "expected an IPv6 address"},
        {"http://\xF0\x9F\x92\xA9\xC3\x9F.la", "is not allowed in a host"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_invalid(table[i].text, table[i].part);
}

/* So many bytes of a letter of two. */
static void check_length(size_t size, const char *before, const char *part)
{
    char text[4096] = "http://";

    strcat(text, before);
    for (size_t i = 0; i < size; i += 2)
        strcat(text, "\xC3\xBC");
    strcat(text, ".de/");
    check_invalid(text, part);
}

static void a_label_and_a_name_have_their_limits_in_either_form(void)
{
    char text[128];

    check_length(160, "", "position 8: a label of a host has at most 63 characters");
    check_length(160, "a.", "position 10: a label of a host has at most 63 characters");
    check_length(3000, "", "position 8: a host has at most 254 characters");
    snprintf(text, sizeof text, "http://%064d/", 0);
    check_invalid(text, "position 8: a label of a host has at most 63 characters");
    snprintf(text, sizeof text, "http://h.%064d/", 0);
    check_invalid(text, "position 10: a label of a host has at most 63 characters");
    check_invalid("http://a..b/", "position 10: expected a name, and a dot");
    check_invalid("http://.a/", "position 8: expected a name, and a dot");
    check_invalid("http://./", "position 8: expected a name, and a dot");
    check_invalid("http://a../", "position 10: expected a name, and a dot");
}

int main(void)
{
    run(an_international_host_is_what_its_ascii_form_is);
    run(what_is_sent_and_shown_has_the_ascii_form);
    run(what_is_no_international_name_is_refused_with_its_label_and_reason);
    run(a_label_and_a_name_have_their_limits_in_either_form);
    return check_done();
}
