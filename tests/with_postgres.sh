#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a command with a temporary PostgreSQL cluster: tests/with_postgres.sh COMMAND [ARGUMENT…]
#
# The cluster lives in a directory of its own, listens on a free port of 127.0.0.1 and on a unix
# socket, and is gone when the command ends, however it ends: a keeper in a session of its own holds
# the reading end of a fifo and cleans up as soon as the last writer is gone. Root runs the server
# as the user postgres, anyone else as himself.
#
# The command finds in its environment:
#   WEIR_TEST_PG_URL         over TCP; SCRAM, with a password that needs percent-encoding
#   WEIR_TEST_PG_SOCKET_URL  over the unix socket; no password
#   WEIR_TEST_PG_PASSWORD    the password itself, to prove that it appears nowhere
#   WEIR_TEST_PG_BIN         where initdb, psql and postgres are
#   WEIR_TEST_PG_CONTROL     a command: `start`, `stop` (sessions are ended), `crash` (kill -9 of all); `standby`
#                            (makes a streaming standby and prints its port), `promote`, `freeze-standby`,
#                            `thaw-standby`, `end-standby`
# Without a server installed it says so as a skipped TAP test. WEIR_TEST_PG_DURABLE=1 leaves fsync and
# synchronous_commit on, for tests that pull the plug.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: $0 COMMAND [ARGUMENT…]" >&2
    exit 2
fi

find_binaries() {
    for directory in "${WEIR_TEST_PG_BIN:-}" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) \
        "$(dirname "$(command -v initdb 2>/dev/null || echo /nowhere/initdb)")"; do
        if [ -x "$directory/initdb" ] && [ -x "$directory/postgres" ]; then
            echo "$directory"
            return
        fi
    done
}

WEIR_TEST_PG_BIN=$(find_binaries)
if [ -z "$WEIR_TEST_PG_BIN" ]; then
    echo "1..0 # SKIP no PostgreSQL server is installed (Debian package postgresql)"
    exit 0
fi

. "$(dirname "$0")/owner.sh"

home=$(mktemp -d "${TMPDIR:-/tmp}/weir-pg.XXXXXX")
chmod 755 "$home"
data=$home/data
log=$home/log
mkfifo "$home/life"

# What starts and stops the server, also for tests that do so in the middle.
cat >"$home/control" <<CONTROL
#!/bin/sh
cd "$home"
run() { env -u LD_PRELOAD $as_owner "$WEIR_TEST_PG_BIN/pg_ctl" -s -D "$data" "\$@"; }
standby() { env -u LD_PRELOAD $as_owner "$WEIR_TEST_PG_BIN/pg_ctl" -s -D "$home/standby" "\$@"; }
standby_pids() {
    postmaster=\$(head -n 1 "$home/standby/postmaster.pid")
    echo "\$postmaster" \$(cat "/proc/\$postmaster/task/\$postmaster/children")
}
case "\$1" in
start) run -l "$log" -w -t 60 -o "\$(cat "$home/options")" start </dev/null >/dev/null 9>&- ;;
stop) run -m fast -w -t 60 stop ;;
crash)
    # Stopped first, so that the postmaster can neither see its children die nor clean up.
    postmaster=\$(head -n 1 "$data/postmaster.pid")
    kill -STOP "\$postmaster"
    for pid in \$(cat "/proc/\$postmaster/task/\$postmaster/children") "\$postmaster"; do kill -KILL "\$pid" 2>/dev/null; done
    while kill -0 "\$postmaster" 2>/dev/null; do sleep 0.02; done
    # What a killed server leaves behind; a real restart of the machine would be without it.
    rm -f "$data/postmaster.pid"
    ;;
standby)
    # A streaming standby of the running server, made anew, on a port of its own, which is printed.
    "\$0" end-standby
    port=\$(sed 's/^-p //' "$home/options")
    env -u LD_PRELOAD $as_owner "$WEIR_TEST_PG_BIN/pg_basebackup" -h "$home" -p "\$port" -U weir -D "$home/standby" -R -X stream -c fast >&2 || exit 1
    attempt=1
    until
        echo "-p \$((port + attempt))" >"$home/standby-options"
        standby -l "$home/standby-log" -w -t 60 -o "\$(cat "$home/standby-options")" start </dev/null >/dev/null 2>>"$home/start.log" 9>&-
    do
        attempt=\$((attempt + 7))
        [ "\$attempt" -lt 80 ] || exit 1
    done
    echo "\$((port + attempt))"
    ;;
promote) standby -w -t 60 promote ;;
freeze-standby) kill -STOP \$(standby_pids) ;;
thaw-standby) kill -CONT \$(standby_pids) ;;
end-standby)
    if [ -d "$home/standby" ]; then
        kill -CONT \$(standby_pids) 2>/dev/null
        standby -m immediate -w -t 20 stop 2>/dev/null
        rm -rf "$home/standby"
    fi
    ;;
clean) "\$0" end-standby; run -m immediate -w -t 20 stop 2>/dev/null; rm -rf "$home" ;;
*) echo "usage: \$0 start|stop|crash|standby|promote|freeze-standby|thaw-standby|end-standby" >&2; exit 2 ;;
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

WEIR_TEST_PG_PASSWORD='p@ss/w:r%d?#&'
encoded='p%40ss%2Fw%3Ar%25d%3F%23%26'

echo "$WEIR_TEST_PG_PASSWORD" >"$home/password"
if [ "$owner" = postgres ]; then
    chown -R "$owner" "$home"
fi

# A server's library paths and sanitizer settings are not the tested program's business.
(cd "$home" && env -u LD_PRELOAD $as_owner "$WEIR_TEST_PG_BIN/initdb" -D "$data" -U weir --pwfile="$home/password" \
    --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8 --no-sync >"$home/initdb.log" 2>&1 9>&-) || {
    cat "$home/initdb.log" >&2
    exit 1
}
cat >>"$data/postgresql.conf" <<CONF
unix_socket_directories = '$home'
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = 64MB
log_min_messages = warning
log_min_error_statement = panic
timezone = 'Asia/Kolkata'
CONF
# A certificate for tests that turn TLS on (ALTER SYSTEM SET ssl = on), where it can be made.
openssl req -new -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 30 -subj /CN=localhost \
    -keyout "$data/server.key" -out "$data/server.crt" >"$home/openssl.log" 2>&1 &&
    chmod 600 "$data/server.key" && chown "$owner" "$data/server.key" "$data/server.crt" || true

if [ "${WEIR_TEST_PG_DURABLE:-0}" != 1 ]; then
    printf 'fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n' >>"$data/postgresql.conf"
fi

# The server itself finds out whether a port is free. Below 32768 no outgoing connection takes one.
attempt=0
until
    port=$((10240 + ($$ * 37 + attempt * 1009) % 22000))
    echo "-p $port" >"$home/options"
    "$home/control" start 2>>"$home/start.log"
do
    attempt=$((attempt + 1))
    if [ "$attempt" -ge 10 ]; then
        exit 1
    fi
done

(cd "$home" && PGOPTIONS= "$WEIR_TEST_PG_BIN/createdb" -h "$home" -p "$port" -U weir weir 9>&-)

export WEIR_TEST_PG_BIN WEIR_TEST_PG_PASSWORD
export WEIR_TEST_PG_CONTROL="$home/control"
export WEIR_TEST_PG_URL="postgresql://weir:$encoded@127.0.0.1:$port/weir"
export WEIR_TEST_PG_SOCKET_URL="postgresql://weir@/weir?host=$home&port=$port"
unset PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD PGOPTIONS PGSERVICE PGSSLMODE

# In the background, because a shell runs its traps only when the foreground is done.
"$@" 9>&- &
command_pid=$!
status=0
wait "$command_pid" || status=$?
command_pid=
exit "$status"
