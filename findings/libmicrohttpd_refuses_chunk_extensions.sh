#!/bin/sh
# SPDX-License-Identifier: MIT
# libmicrohttpd 1.0.1 answers 400 to every request with an extension at a chunk that has data, whatever its level of
# strictness. RFC 9112 (7.1.1) has a recipient ignore extensions that it does not know; clients that sign their
# chunks ("5;chunk-signature=...") send one with each. 0.9.75 (Debian 12) and 1.0.10 take them.
#
# Seen with Debian 13's libmicrohttpd 1.0.1: 200 for the body without an extension, 400 for each with one, at the
# default strictness, at the most lenient and at the strictest; an extension of the last, empty chunk alone is
# taken, but for the strictest.
set -eu

version=1.0.1-4
folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

# The library and all it needs of Debian 13, beside this system: an apt that knows of no installed package.
mkdir -p state/lists/partial cache/archives/partial system
: >status
apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    sed -nE 's,^Debian/Debian (https?://.*)$,deb \1 trixie main,p' | sort -u >sources.list
apt="apt-get -qq -o APT::Sandbox::User=root -o Dir::State=$folder/state -o Dir::State::status=$folder/status
    -o Dir::Cache=$folder/cache -o Dir::Etc::sourcelist=$folder/sources.list -o Dir::Etc::sourceparts=/dev/null"
$apt update
$apt --yes --no-install-recommends --download-only install "libmicrohttpd-dev=$version" >/dev/null
for package in cache/archives/*.deb; do
    dpkg -x "$package" system
done
libraries=$folder/system/usr/lib/x86_64-linux-gnu

cat >server.c <<'SOURCE'
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int known;

/* The whole body is read, and the answer is 200. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **state)
{
    struct MHD_Response *response;
    enum MHD_Result result;

    (void)arg, (void)url, (void)method, (void)version, (void)data;
    if (*state == NULL || *size > 0) {
        *state = &known;
        *size = 0;
        return MHD_YES;
    }
    response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

int main(int argc, char **argv)
{
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL,
                         MHD_OPTION_CLIENT_DISCIPLINE_LVL, argc > 1 ? atoi(argv[1]) : 0, MHD_OPTION_END);

    if (daemon == NULL)
        return 1;
    printf("%s %u\n", MHD_get_version(), MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    pause();
}
SOURCE
cc -isystem system/usr/include -isystem system/usr/include/x86_64-linux-gnu -o server server.c "$libraries/libmicrohttpd.so" \
    -Wl,--allow-shlib-undefined

cat >client.mjs <<'SCRIPT'
import net from "node:net";

const bodies = {
    "no extension": "5\r\nhello\r\n0\r\n\r\n",
    "a name": "5;a\r\nhello\r\n0\r\n\r\n",
    "a name and a value": "5;chunk-signature=0123456789abcdef\r\nhello\r\n0\r\n\r\n",
    "a quoted value": '5;a="b c"\r\nhello\r\n0\r\n\r\n',
    "one at the last chunk": "5\r\nhello\r\n0;a=b\r\n\r\n",
};
for (const [what, body] of Object.entries(bodies)) {
    const socket = net.connect(Number(process.argv[2]), "127.0.0.1");
    socket.write(`POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
    let answer = "";
    for await (const piece of socket) answer += piece;
    console.log(`${what}: ${answer.split(" ")[1]}`);
}
SCRIPT

for level in 0 -3 3; do
    "$folder"/system/usr/lib64/ld-linux-x86-64.so.2 --library-path "$libraries" ./server "$level" >port &
    server=$!
    while [ ! -s port ]; do sleep 0.05; done
    echo "libmicrohttpd $(cut -d ' ' -f 1 port), strictness $level"
    node client.mjs "$(cut -d ' ' -f 2 port)" | tee -a seen
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
    rm port
done
[ "$(cut -d : -f 2 seen | tr -d '\n')" = " 200 400 400 400 200 200 400 400 400 200 200 400 400 400 400" ]
