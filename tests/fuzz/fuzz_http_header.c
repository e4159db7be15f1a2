/* SPDX-License-Identifier: MIT */
/* Any text as a header, of a request and of a response: refused, or one clean field that splits nothing. */
#include "fuzz.h"

#include "http/request.h"
#include "http/response.h"
#include "http/text.h"

#define LIMIT 1024

const char *const fuzz_seeds[] = {
    "Accept: text/html, */*;q=0.1",
    "X-Empty:",
    "Authorization: Bearer a.b.c==",
    "cOOKIE: a=1; b=2",
    "Content-Length: 7",
    "transfer-encoding: chunked",
    "Idempotency-Key: 1",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n folded\r\n \r\nC: d\r\n\r\n",
    "HTTP/2 204\nKeep-Alive: timeout=5, max=100\nSet-Cookie: a\nset-cookie: b\n",
    "X: a\r\nEvil: yes",
    "\x7F\x01\x80\xFF",
    NULL,
};

/* ---- of a request ------------------------------------------------------------------------ */

static bool is_token(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && weir__token_length(text, size) == size;
}

static bool is_clean(const char *text)
{
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7F)
            return false;
    return true;
}

/* One field, as the line that libcurl sends. */
static void check_line(const char *line)
{
    size_t name = strcspn(line, ":;");

    must(is_clean(line));
    must(name > 0 && strcspn(line, " \t\"(),/<=>?@[\\]{}") >= name);
    must(line[name] != ';' || line[name + 1] == '\0');
    must(line[name] != ':' || (line[name + 1] == ' ' && line[name + 2] > ' ') ||
         (unsigned char)line[name + 2] >= 0x80);
    must(strncasecmp(line, "Host:", 5) != 0 && strncasecmp(line, "Content-Length:", 15) != 0);
    must(strncasecmp(line, "Transfer-Encoding:", 18) != 0);
    must(line[strlen(line) - 1] != ' ' && line[strlen(line) - 1] != '\t');
}

static void check_request(weir_http_request *request, weir_status status, size_t fields)
{
    const weir_error *error = weir_http_request_error(request);
    size_t sizes = 0;

    must(status == WEIR_OK || status == WEIR_INVALID || status == WEIR_LIMIT);
    must(request->field_count == fields + (status == WEIR_OK));
    must(status == WEIR_OK || (error != NULL && error->text[0] != '\0'));
    for (size_t i = 0; i < request->field_count; i++) {
        check_line(request->fields[i].line);
        sizes += strlen(request->fields[i].line) + 2;
        if (strncasecmp(request->fields[i].line, "Authorization", 13) == 0 &&
            strchr(":;", request->fields[i].line[13]) != NULL)
            must(request->fields[i].is_secret);
    }
    must(sizes == request->fields_size && sizes <= FIELDS_SIZE_LIMIT);
}

/* A value that begins with a mark is not quoted by whatever refuses it. */
static void check_quiet(weir_http_request *request, const char *name, const char *value)
{
    size_t size = strlen(value) + sizeof "hunter2";
    char *marked = malloc(size);

    if (marked == NULL)
        abort();
    snprintf(marked, size, "hunter2%s", value);
    size_t fields = request->field_count;
    check_request(request, weir_http_request_secret(request, name, marked), fields);
    fields = request->field_count;
    check_request(request, weir_http_request_bearer(request, marked), fields);
    fields = request->field_count;
    check_request(request, weir_http_request_basic_auth(request, name, marked), fields);
    if (weir_http_request_error(request) != NULL && strstr(name, "hunter2") == NULL)
        must(strstr(weir_http_request_error(request)->text, "hunter2") == NULL);
    free(marked);
}

/* What stands before the first colon is the name, the rest the value. */
static void build(const char *text)
{
    weir_http_request *request = NULL;
    size_t size = strcspn(text, ":");
    char *name = fuzz_text((const uint8_t *)text, size);
    const char *value = text[size] == '\0' ? "" : text + size + 1;

    if (weir_http_request_open(name, "http://h/", &request, NULL) == WEIR_OK) {
        must(is_token(name));
        weir_http_request_close(request);
    }
    must(weir_http_request_open("GET", "http://h/", &request, NULL) == WEIR_OK);
    check_request(request, weir_http_request_header(request, name, value), 0);
    check_quiet(request, name, value);
    weir_status status = weir_http_request_body(request, "", 0, value);
    must((status == WEIR_OK) == request->has_body);
    must(request->content_type == NULL || is_clean(request->content_type));
    weir_http_request_close(request);
    free(name);
}

/* ---- of a response ----------------------------------------------------------------------- */

static void check_response(const weir_http_response *response)
{
    const char *name = NULL;
    const char *value = NULL;
    size_t count = 0;
    size_t sizes = 0;

    while (weir_http_response_header_at(response, count, &name, &value)) {
        size_t size = strlen(value);

        must(is_token(name));
        must(is_clean(value));
        must(size == 0 ||
             (strchr(" \t", value[0]) == NULL && strchr(" \t", value[size - 1]) == NULL));
        must(weir_http_response_header(response, name) != NULL);
        must(weir__response_values(response, name, NULL, 0) >= 1);
        sizes += strlen(name) + size + 2;
        count++;
    }
    must(count == response->field_count && count <= RESPONSE_FIELDS_LIMIT);
    /* Between a name and its value blanks are kept; no text is longer than what came. */
    must(sizes <= response->head_size && response->head_size <= response->received + count);
    must(response->received <= LIMIT);
    must(response->status == 0 || (response->status >= 100 && response->status <= 999));
}

/* Line by line, each in memory of just its size, so that a read behind it is seen. */
static void receive(const uint8_t *data, size_t size)
{
    weir_http_response *response = weir__response_new();

    if (response == NULL)
        abort();
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end == NULL ? size : (size_t)(end - data) + 1;
        char *line = malloc(length);
        if (line == NULL)
            abort();
        memcpy(line, data, length);
        weir_error error = {0};
        weir_status status = weir__response_add_line(response, line, length, LIMIT, &error);
        free(line);
        must(status == WEIR_OK || status == WEIR_PROTOCOL || status == WEIR_LIMIT);
        must((status == WEIR_OK) == (error.text[0] == '\0'));
        check_response(response);
        data += length;
        size -= length;
    }
    weir__response_clear(response);
    check_response(response);
    weir_http_response_close(response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);

    build(text);
    receive(data, size);
    free(text);
    return 0;
}
