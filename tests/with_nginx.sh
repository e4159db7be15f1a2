#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a command with a temporary nginx: tests/with_nginx.sh COMMAND [ARGUMENT…]
#
# The server has a directory of its own, reads no other configuration, listens on two free ports of
# 127.0.0.1 and is gone when the command ends, however it ends: a keeper in a session of its own holds
# the reading end of a fifo and cleans up as soon as the last writer is gone.
#
# The command finds in its environment:
#   WEIR_TEST_NGINX_HTTP     http://127.0.0.1:port
#   WEIR_TEST_NGINX_HTTPS    https://127.0.0.1:port, with a certificate for 127.0.0.1 and localhost
#   WEIR_TEST_NGINX_CA       that certificate, as the file to trust
#   WEIR_TEST_NGINX_STATUS   the URL of stub_status: connections and requests as nginx counts them
#   WEIR_TEST_NGINX_PID      the file with the process id of the master, whose only child is the worker
#   WEIR_TEST_NGINX_CONTROL  a command: `start`, `stop` (connections are cut), `reload` (they are closed
#                            when their exchange is over); each returns when it is done
# GET / answers 200 with 1024 bytes of text, "0123456789abcdef" 64 times over; GET /gzip with 65536 bytes
# of other text, gzipped, whoever asks. A connection serves any number of requests.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: $0 COMMAND [ARGUMENT…]" >&2
    exit 2
fi

# Debian keeps it where only root's PATH leads.
nginx=$(PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nginx || true)
if [ -z "$nginx" ] || ! command -v openssl >/dev/null; then
    echo "Bail out! nginx and openssl are needed (Debian packages nginx-light and openssl)"
    exit 1
fi

home=$(mktemp -d "${TMPDIR:-/tmp}/weir-nginx.XXXXXX")
log=$home/log
mkfifo "$home/life"

# What starts and stops the server, also for tests that do so in the middle.
cat >"$home/control" <<CONTROL
#!/bin/sh
# Dead and not yet waited for counts as gone.
is_alive() { grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/\$1/status"; }
wait_for() { # until a command succeeds, ten seconds at most
    for _ in \$(seq 500); do
        if "\$@"; then return 0; fi
        sleep 0.02
    done
    return 1
}
are_gone() { for pid in "\$@"; do if is_alive "\$pid"; then return 1; fi; done; }
# nginx writes nginx.pid when it listens already.
is_up_or_gone() { [ -s "$home/nginx.pid" ] || ! is_alive "\$master"; }
master=\$(cat "$home/master" 2>/dev/null || echo none)
case "\$1" in
start)
    env -u LD_PRELOAD setsid "$nginx" -p "$home" -c "$home/nginx.conf" -e "$log" \
        </dev/null >>"$log" 2>&1 9>&- &
    master=\$!
    echo "\$master" >"$home/master"
    wait_for is_up_or_gone && is_alive "\$master"
    ;;
stop) kill -TERM "\$master" && wait_for are_gone "\$master" ;;
reload)
    workers=\$(cat "/proc/\$master/task/\$master/children")
    # shellcheck disable=SC2086 # a list of process ids
    kill -HUP "\$master" && wait_for are_gone \$workers
    ;;
clean)
    if is_alive "\$master"; then
        kill -TERM "\$master"
        wait_for are_gone "\$master" || kill -KILL "\$master" \$(cat "/proc/\$master/task/\$master/children")
    fi
    rm -rf "$home"
    ;;
*) echo "usage: \$0 start|stop|reload" >&2; exit 2 ;;
esac
CONTROL
chmod 755 "$home/control"

# The keeper: waits for the end of everyone who holds descriptor 9, then cleans up.
setsid sh -c 'trap "" INT TERM HUP; read -r nothing <"$1/life"; exec "$1/control" clean' keeper "$home" \
    </dev/null >/dev/null 2>&1 &
keeper=$!
exec 9>"$home/life"

finish() {
    status=$?
    trap - EXIT
    if [ -n "${command_pid:-}" ]; then
        kill -TERM "$command_pid" 2>/dev/null || true
        wait "$command_pid" 2>/dev/null || true
    fi
    if [ "$status" -ne 0 ] && [ -f "$log" ]; then
        echo "# exit status $status; the server's last words:" >&2
        tail -n 20 "$log" | sed 's/^/# /' >&2
    fi
    exec 9>&-
    wait "$keeper" 2>/dev/null || true
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

openssl req -new -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 30 -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout "$home/key.pem" -out "$home/certificate.pem" \
    >>"$log" 2>&1

body=$(for _ in $(seq 64); do printf 0123456789abcdef; done)

# What a table looks like as JSON. The server's worker may be another user.
seq 5000 | awk '{ printf "{\"Id\":%d,\"Name\":\"row %d\",\"Value\":%d.%02d}\n", $1, $1 * 7919 % 1009, $1 * 31 % 977, $1 % 100 }' |
    head -c 65536 | gzip -c >"$home/text.gz"
chmod 711 "$home"
chmod 644 "$home/text.gz"

# The paths of temporary files are those of the system unless each is set, and nginx makes them all.
configure() {
    cat >"$home/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid $home/nginx.pid;
events {
    worker_connections 1024;
}
http {
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path $home/body;
    proxy_temp_path $home/proxy;
    fastcgi_temp_path $home/fastcgi;
    uwsgi_temp_path $home/uwsgi;
    scgi_temp_path $home/scgi;
    server {
        listen 127.0.0.1:$port;
        listen 127.0.0.1:$((port + 1)) ssl;
        ssl_certificate $home/certificate.pem;
        ssl_certificate_key $home/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        default_type text/plain;
        location = / {
            return 200 $body;
        }
        location = /gzip {
            add_header Content-Encoding gzip;
            alias $home/text.gz;
        }
        location = /status {
            stub_status;
        }
    }
}
CONF
}

# The server itself finds out whether its ports are free. Below 32768 no outgoing connection takes one.
attempt=0
until
    port=$((10240 + ($$ * 74 + attempt * 1010) % 22000))
    configure
    "$home/control" start
do
    attempt=$((attempt + 1))
    if [ "$attempt" -ge 10 ]; then
        exit 1
    fi
done

export WEIR_TEST_NGINX_HTTP="http://127.0.0.1:$port"
export WEIR_TEST_NGINX_HTTPS="https://127.0.0.1:$((port + 1))"
export WEIR_TEST_NGINX_CA="$home/certificate.pem"
export WEIR_TEST_NGINX_STATUS="http://127.0.0.1:$port/status"
export WEIR_TEST_NGINX_PID="$home/nginx.pid"
export WEIR_TEST_NGINX_CONTROL="$home/control"

# In the background, because a shell runs its traps only when the foreground is done.
"$@" 9>&- &
command_pid=$!
status=0
wait "$command_pid" || status=$?
command_pid=
exit "$status"
