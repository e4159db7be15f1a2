#!/bin/sh
# SPDX-License-Identifier: MIT
# libcurl 8.14.1 looks for "close" only at the beginning of a response's Connection. Where a server or a proxy says
# "keep-alive, close" or "Upgrade, close", as RFC 9110 (7.6.1) lets them, the connection is put back and the next
# request goes over it: into a connection whose other end is about to close it. 7.88.1 (Debian 12) closes it.
#
# Seen with Debian 13's curl 8.14.1-2+deb13u7: two requests come over one connection for each value that does not
# begin with "close", over two for each that does. This server leaves the connection open, so both are answered.
set -eu

version=8.14.1-2+deb13u7
folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

# curl and all it needs of Debian 13, beside this system: an apt that knows of no installed package.
mkdir -p state/lists/partial cache/archives/partial system
: >status
apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    sed -nE 's,^Debian/Debian (https?://.*)$,deb \1 trixie main,p; s,^Debian/Debian-Security (https?://.*)$,deb \1 trixie-security main,p' |
    sort -u >sources.list
apt="apt-get -qq -o APT::Sandbox::User=root -o Dir::State=$folder/state -o Dir::State::status=$folder/status
    -o Dir::Cache=$folder/cache -o Dir::Etc::sourcelist=$folder/sources.list -o Dir::Etc::sourceparts=/dev/null"
$apt update
$apt --yes --no-install-recommends --download-only install "curl=$version" >/dev/null
for package in cache/archives/*.deb; do
    dpkg -x "$package" system
done

cat >server.mjs <<'SCRIPT'
import net from "node:net";

const said = decodeURIComponent(process.argv[2]);
let connections = 0;
net.createServer((socket) => {
    connections++;
    socket.on("data", (head) => {
        const body = head.toString().startsWith("GET /count") ? String(connections) : "";
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: ${said}\r\n\r\n${body}`);
    });
    socket.on("error", () => {});
}).listen(0, "127.0.0.1", function () { console.log(this.address().port); });
SCRIPT

run_curl() {
    "$folder"/system/usr/lib64/ld-linux-x86-64.so.2 --library-path "$folder/system/usr/lib/x86_64-linux-gnu" \
        "$folder/system/usr/bin/curl" --silent "$@"
}
# How many connections two requests of one curl take.
connections() {
    node server.mjs "$1" >port &
    server=$!
    while [ ! -s port ]; do sleep 0.05; done
    run_curl "http://127.0.0.1:$(cat port)/" "http://127.0.0.1:$(cat port)/count"
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
    rm port
}

run_curl --version | head -n 1 | cut -d ' ' -f 1-4
seen=
for said in close Close close,%20keep-alive keep-alive,%20close Upgrade,%20close x,close; do
    count=$(connections "$said")
    echo "Connection: $(echo "$said" | sed 's/%20/ /g') takes $count connections"
    seen="$seen$count"
done
[ "$seen" = 222111 ]
