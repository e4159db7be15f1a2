/* SPDX-License-Identifier: MIT */
/* Hosts reached without a proxy: what each form of an entry means, and where a list that means nothing is wrong. */
#include "http/no_proxy.h"

#include "check.h"

#include <stdlib.h>

static void check_has(const char *list, const char *origin, bool expected)
{
    weir_error error = {.text = ""};
    char *copy = NULL;

    check_int(weir__no_proxy_copy(list, "no_proxy", &copy, &error), WEIR_OK);
    if (weir__no_proxy_has(copy, origin) != expected || error.text[0] != '\0')
        printf("# \"%s\" and %s %s\n", list, origin, error.text);
    check(weir__no_proxy_has(copy, origin) == expected);
    free(copy);
}

static void a_name_means_itself_and_what_is_below_it(void)
{
    static const char *const lists[] = {"example.com",
                                        ".example.com",
                                        "EXAMPLE.com",
                                        "example.com.",
                                        "a.test,example.com,b.test",
                                        " ,, example.com ,"};

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        check_has(lists[i], "https://example.com:443", true);
        check_has(lists[i], "http://example.com.:80", true);
        check_has(lists[i], "https://api.example.com:8443", true);
        check_has(lists[i], "https://my-example.com:443", false);
        check_has(lists[i], "https://example.com.test:443", false);
        check_has(lists[i], "https://com:443", false);
    }
    check_has("*.example.com", "https://api.example.com:443", true);
    check_has("*.example.com", "https://a.b.example.com:443", true);
    check_has("*.example.com", "https://example.com:443", false);
    check_has("localhost", "http://localhost:80", true);
    check_has("my_host", "http://my_host:80", true);
}

static void a_port_means_that_port_alone(void)
{
    static const struct {
        const char *list;
        const char *meant;
        const char *not_meant;
    } cases[] = {
        {"example.com:8080", "http://example.com:8080", "http://example.com:80"},
        {"*.example.com:443", "https://a.example.com:443", "https://a.example.com:8443"},
        {"127.0.0.1:8000", "http://127.0.0.1:8000", "http://127.0.0.1:8001"},
        {"[::1]:8000", "http://[::1]:8000", "http://[::1]:80"},
        {"*:8000", "http://any.test:8000", "http://any.test:80"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_has(cases[i].list, cases[i].meant, true);
        check_has(cases[i].list, cases[i].not_meant, false);
    }
}

static void an_address_means_itself_in_any_spelling_and_a_range_all_in_it(void)
{
    static const struct {
        const char *list;
        const char *meant;
        const char *not_meant;
    } cases[] = {
        {"127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.2:80"},
        {"::1", "http://[::1]:80", "http://[::2]:80"},
        {"[::1]", "http://[::1]:80", "http://[::2]:80"},
        {"0:0:0:0:0:0:0:1", "http://[::1]:80", "http://127.0.0.1:80"},
        {"FE80::A", "http://[fe80::a]:80", "http://[fe80::b]:80"},
        {"::1/128", "http://[::1]:80", "http://[::]:80"},
        {"[fe80::]/10", "http://[febf::1]:80", "http://[fec0::1]:80"},
        {"10.0.0.0/8", "http://10.255.1.2:80", "http://11.0.0.1:80"},
        {"192.168.128.0/17", "http://192.168.255.1:80", "http://192.168.127.1:80"},
        {"127.0.0.1/32", "http://127.0.0.1:80", "http://127.0.0.0:80"},
        {"0.0.0.0/0", "http://8.8.8.8:80", "http://[::1]:80"},
        {"::/0", "http://[2001:db8::1]:80", "http://8.8.8.8:80"},
        {"0.0.0.0/0", "http://1.2.3.4:80", "http://host.test:80"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_has(cases[i].list, cases[i].meant, true);
        check_has(cases[i].list, cases[i].not_meant, false);
    }
}

static void a_name_is_the_same_in_either_of_its_forms(void)
{
    static const char *const lists[] = {
        "b\xC3\xBC"
        "cher.example",
        ".B\xC3\x9C"
        "CHER.example",
        "bu\xCC\x88"
        "cher.example.",
        "a,b\xC3\xBC"
        "cher\xE3\x80\x82"
        "example\xE3\x80\x82,c",
        "XN--bcher-kva.example",
    };

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        check_has(lists[i], "https://xn--bcher-kva.example:443", true);
        check_has(lists[i], "https://a.xn--bcher-kva.example.:443", true);
        check_has(lists[i], "https://bcher.example:443", false);
    }
    check_has("*.\xC3\xBC:8080", "http://a.xn--tda:8080", true);
    check_has("*.\xC3\xBC:8080", "http://xn--tda:8080", false);
    check_has("*.\xC3\xBC:8080", "http://a.xn--tda:80", false);
    check_has("\xC3\xBC,\xC3\xA4 \xC3\xB6", "http://xn--fda:80", false);
    check_has("\xC3\xBC,\xC3\xA4 \xC3\xB6", "http://xn--4ca:80", true);
    check_has("\xC3\xBC,\xC3\xA4 \xC3\xB6", "http://xn--nda:80", true);
    check_has("\xEF\xBC\x91\xEF\xBC\x90.0.0.0/8", "http://10.1.2.3:80", true);
}

static void a_star_means_all_and_an_empty_list_nobody(void)
{
    static const char *const origins[] = {"http://a.test:80", "https://[::1]:443",
                                          "http://127.0.0.1:80"};

    for (size_t i = 0; i < 3; i++) {
        check_has("*", origins[i], true);
        check_has("localhost, *", origins[i], true);
        check_has("", origins[i], false);
        check_has(" , \t,", origins[i], false);
        check(!weir__no_proxy_has(NULL, origins[i]));
    }
}

static void what_means_nothing_is_refused_with_its_place(void)
{
    static const struct {
        const char *list;
        int position;
        const char *fault;
    } cases[] = {
        {"localhost,[::1", 11, "expected ] after an IPv6 address"},
        {"a,\xFC.test", 3, "a host that is not ASCII must be UTF-8"},
        {"\xC3\xBC, *.\xC3\xBC..x", 10, "expected a name, and a dot only between two names"},
        {".-\xC3\xBC", 2, "an international name must not begin or end"},
        {"\xC3\xBC:0", 4, "expected a port from 1 to 65535"},
        {"a,\xC3\xBC:http", 6, "expected a port from 1 to 65535"},
        {"*\xC3\xBC", 1, "this character is not allowed in a host"},
        {"[\xC3\xBC]", 1, "this character is not allowed in a host"},
        {"a,\xC3\xBC/8", 5, "this character is not allowed in a host"},
        {"\xEF\xBC\x91\xEF\xBC\x90.0.0.0/33", 14, "expected a number of bits up to 32"},
        {"\xEF\xBC\x91\xEF\xBC\x90.0", 1, "expected an IPv4 address of four numbers"},
        {"::1%lo", 1, "expected an IPv6 address, without a zone"},
        {"[fe80::1%25eth0]", 2, "expected an IPv6 address, without a zone"},
        {"a.test:b.test:c", 1, "expected an IPv6 address"},
        {"[::1]x", 6, "expected a / or a port after an address"},
        {"::1/129", 5, "expected a number of bits up to 128"},
        {"10.0.0.0/33", 10, "expected a number of bits up to 32"},
        {"10.0.0.0/", 10, "expected a number of bits"},
        {"10.0.0.0/8:80", 11, "expected a number of bits"},
        {"a.test, 10/8", 9, "expected an IPv4 address of four numbers"},
        {"192.168", 1, "expected an IPv4 address of four numbers"},
        {"192.168.", 1, "expected an IPv4 address of four numbers"},
        {"192.168.*", 9, "a * must stand alone"},
        {"256.1.1.1", 1, "expected an IPv4 address of four numbers"},
        {"*.1.2.3.4", 3, "expected a domain, not an address"},
        {"*example.com", 1, "a * must stand alone"},
        {"api.*.com", 5, "a * must stand alone"},
        {"example.com:0", 13, "expected a port from 1 to 65535"},
        {"example.com:65536", 13, "expected a port from 1 to 65535"},
        {"example.com:", 13, "expected a port from 1 to 65535"},
        {"example.com:http", 13, "expected a port from 1 to 65535"},
        {":80", 1, "expected a host"},
        {"*.", 3, "expected a host"},
        {".", 2, "expected a host"},
        {"a..test", 3, "expected a name between two dots"},
        {"http://a.test", 6, "expected a port from 1 to 65535"},
        {"a.test/path", 7, "this character is not allowed in a host"},
        {"<local>", 1, "this character is not allowed in a host"},
        {"b.test;a.test", 7, "this character is not allowed in a host"},
        {"user@a.test", 5, "this character is not allowed in a host"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_error error = {.text = ""};
        char text[64];

        check_int(weir__no_proxy_check(cases[i].list, "no_proxy", &error), WEIR_INVALID);
        snprintf(text, sizeof text, "no_proxy, position %d: %s", cases[i].position, cases[i].fault);
        check_contains(error.text, text);
    }
}

int main(void)
{
    run(a_name_means_itself_and_what_is_below_it);
    run(a_port_means_that_port_alone);
    run(an_address_means_itself_in_any_spelling_and_a_range_all_in_it);
    run(a_name_is_the_same_in_either_of_its_forms);
    run(a_star_means_all_and_an_empty_list_nobody);
    run(what_means_nothing_is_refused_with_its_place);
    return check_done();
}
