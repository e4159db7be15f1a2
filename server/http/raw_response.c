/* SPDX-License-Identifier: MIT */
/* Responses that are written to a socket past libmicrohttpd. */
#include "raw_response.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BODY_BEGIN "{\"detail\": \""
#define BODY_END "\"}"

size_t raw_response_body_size(const struct raw_response *response)
{
    return sizeof(BODY_BEGIN) - 1 + strlen(response->detail) + sizeof(BODY_END) - 1;
}

bool raw_response_send(int fd, const struct raw_response *response)
{
    char body[128];
    char text[768];
    char date[64];
    time_t now = time(NULL);
    struct tm parts;
    int size;

    gmtime_r(&now, &parts);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    snprintf(body, sizeof(body), BODY_BEGIN "%s" BODY_END, response->detail);
    size = snprintf(text, sizeof(text),
                    "HTTP/1.1 %u %s\r\nDate: %s\r\n"
                    "Content-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n"
                    "Connection: close\r\n%sX-Request-Id: %s\r\n\r\n%s",
                    response->status, response->reason, date, raw_response_body_size(response),
                    response->fields, response->request_id, response->is_head ? "" : body);
    return send(fd, text, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) == size;
}
