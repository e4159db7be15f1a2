/* SPDX-License-Identifier: MIT */
/* The listening socket: bound before the listener starts, and owned by it from then on. */
#include "http/listener.h"

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve_listener.h"

static void hello(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg, (void)request;
    http_reply_json_text(response, 200, strdup("{}"));
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/", .handler = hello, .is_inline = true}};

static struct listener_options any_port(void)
{
    struct listener_options options = LISTENER_OPTIONS_DEFAULT;

    options.port = 0;
    options.workers = 1;
    return options;
}

static int bind_any(struct listener_options *options)
{
    weir_error error = {0};
    int fd = -1;

    check(listener_bind(options, &fd, &error) == WEIR_OK);
    check_text(error.text, "");
    check(fd >= 0 && listener_socket_port(fd) > 0);
    return fd;
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void who_connects_before_the_start_is_answered_after_it(void)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct listener_options options = any_port();
    struct listener *listener = NULL;
    char answer[64] = "";

    options.socket = bind_any(&options);
    int port = listener_socket_port(options.socket);
    int client = connect_to(port);
    check_int(write(client, request, sizeof request - 1), sizeof request - 1);
    check(listener_start(&options, routes, 1, &listener, NULL) == WEIR_OK);
    check_int(listener_port(listener), port);
    check(recv(client, answer, 15, MSG_WAITALL) == 15);
    check_text(answer, "HTTP/1.1 200 OK");
    close(client);
    check(listener_stop(listener, WEIR_DEADLINE_NEVER, NULL) == WEIR_OK);
    check(!is_open(options.socket));
}

static void an_address_is_taken_as_soon_as_it_is_bound(void)
{
    struct listener_options options = any_port();
    int fd = bind_any(&options), other = -1;
    weir_error error = {0};

    options.port = listener_socket_port(fd);
    check(listener_bind(&options, &other, &error) == WEIR_SYSTEM);
    check_int(error.native, EADDRINUSE);
    check_int(other, -1);
    close(fd);
    check(listener_bind(&options, &other, NULL) == WEIR_OK);
    close(other);
}

static void a_start_that_fails_closes_the_socket_that_it_was_given(void)
{
    static const struct http_route wrong[] = {
        {.method = "GET", .pattern = "no slash", .handler = hello}};
    struct listener_options options = any_port();
    struct listener *listener = NULL;

    options.socket = bind_any(&options);
    options.workers = 0;
    check(listener_start(&options, routes, 1, &listener, NULL) == WEIR_INVALID);
    check(!is_open(options.socket));

    options.workers = 1;
    options.socket = bind_any(&options);
    check(listener_start(&options, wrong, 1, &listener, NULL) == WEIR_INVALID);
    check(!is_open(options.socket));
    check(listener == NULL);
}

static void a_host_that_is_no_address_is_refused(void)
{
    struct listener_options options = any_port();
    weir_error error = {0};
    int fd = -1;

    options.host = "db.example";
    check(listener_bind(&options, &fd, &error) == WEIR_INVALID);
    check_contains(error.text, "db.example");
    check_int(fd, -1);
}

/* Binds as the configuration says; the error's number, and its text where one is wanted. */
static int bind_error(const struct config *config, const char *part)
{
    struct serve_addresses addresses = {7, 7};
    weir_error error = {0};

    check(serve_bind(config, &addresses, &error) != WEIR_OK);
    check_contains(error.text, part);
    check(addresses.socket == -1 && addresses.health_socket == -1);
    check(serve_bind(config, &addresses, NULL) != WEIR_OK);
    return error.native;
}

static void what_keeps_an_address_from_being_bound_is_told_with_its_number(void)
{
    struct listener_options options = any_port();
    int fd = bind_any(&options);
    char local[] = "127.0.0.1", nobodys[] = "192.0.2.1", none[] = "db.example";
    struct config config = {.host = local, .port = listener_socket_port(fd)};

    check_int(bind_error(&config, "is in use by another program; --port"), EADDRINUSE);
    config = (struct config){.host = local, .health_port = config.port};
    check_int(bind_error(&config, "is in use by another program; --health-port"), EADDRINUSE);
    config.port = config.health_port;
    close(fd);
    check_int(bind_error(&config, "is already the main port: --health-port"), EADDRINUSE);
    config.health_host = nobodys;
    check_int(bind_error(&config, "listen on 192.0.2.1 port "), EADDRNOTAVAIL);
    config.health_host = none;
    check_int(bind_error(&config, "host \"db.example\": must be"), 0);
}

int main(void)
{
    run(who_connects_before_the_start_is_answered_after_it);
    run(an_address_is_taken_as_soon_as_it_is_bound);
    run(a_start_that_fails_closes_the_socket_that_it_was_given);
    run(a_host_that_is_no_address_is_refused);
    run(what_keeps_an_address_from_being_bound_is_told_with_its_number);
    return check_done();
}
