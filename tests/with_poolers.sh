#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a command with a temporary PostgreSQL cluster and the poolers of this machine in front of it:
# tests/with_poolers.sh COMMAND [ARGUMENT…]
#
# Beside the environment of tests/with_postgres.sh the command finds, for each pooler that is installed,
#   WEIR_TEST_PGBOUNCER_TRANSACTION_URL, WEIR_TEST_PGBOUNCER_SESSION_URL   one server connection each, no password
#   WEIR_TEST_PGPOOL_URL                                                  pgpool-II, no password
#   WEIR_TEST_ODYSSEY_TRANSACTION_URL, WEIR_TEST_ODYSSEY_SESSION_URL       no password
#   WEIR_TEST_POOLERS                                                     the versions, for people
# Poolers have their defaults: nothing is set but where the server is and whom to let in. They are gone when the
# command ends. WEIR_TEST_PGBOUNCER names another pgbouncer than the machine's.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
if [ "${WEIR_TEST_POOLERS_INSIDE:-}" != 1 ]; then
    WEIR_TEST_POOLERS_INSIDE=1 exec "$here/with_postgres.sh" "$0" "$@"
fi
unset WEIR_TEST_POOLERS_INSIDE

pgbouncer=${WEIR_TEST_PGBOUNCER:-$(command -v pgbouncer || ls /usr/sbin/pgbouncer 2>/dev/null || true)}
pgpool=$(command -v pgpool || ls /usr/sbin/pgpool 2>/dev/null || true)
odyssey=$(command -v odyssey || ls /usr/bin/odyssey /usr/sbin/odyssey 2>/dev/null | head -n 1 || true)
if [ -z "$pgbouncer$pgpool$odyssey" ]; then
    echo "1..0 # SKIP no pooler is installed (Debian packages pgbouncer, pgpool2)"
    exit 0
fi

query=${WEIR_TEST_PG_SOCKET_URL#*\?}
server_home=$(echo "$query" | sed 's/^host=//; s/&.*//')
server_port=$(echo "$query" | sed 's/.*port=//')
. "$here/owner.sh"
home=$(mktemp -d "${TMPDIR:-/tmp}/weir-poolers.XXXXXX")
chmod 755 "$home"
echo '"weir" ""' >"$home/users"
started=

finish() {
    status=$?
    trap - EXIT
    for pid in $started; do kill "$pid" 2>/dev/null || true; done
    for pid in $started; do wait "$pid" 2>/dev/null || true; done
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$home"/*.log | sed 's/^/# /' >&2
    fi
    rm -rf "$home"
    exit "$status"
}
trap finish EXIT
trap 'exit 143' TERM INT HUP

# Whether somebody answers a query there, within five seconds.
answers() {
    attempt=0
    until "$WEIR_TEST_PG_BIN/psql" "host=127.0.0.1 port=$1 user=weir dbname=weir connect_timeout=2" -Atc 'SELECT 1' >/dev/null 2>&1; do
        attempt=$((attempt + 1))
        [ "$attempt" -lt 100 ] && kill -0 "$2" 2>/dev/null || return 1
        sleep 0.05
    done
}

# A free port is found by trying; the pooler itself finds out.
first_port=$((server_port + 100))

start_pgbouncer() {
    mode=$1
    for attempt in 1 2 3 4 5 6; do
        port=$((first_port + attempt * 3))
        first_port=$port
        cat >"$home/$mode.ini" <<INI
[databases]
* = host=$server_home port=$server_port
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = trust
auth_file = $home/users
pool_mode = $mode
default_pool_size = 1
INI
        [ "$mode" = session ] && echo "max_client_conn = 100" >>"$home/$mode.ini" && sed -i 's/^default_pool_size.*/default_pool_size = 20/' "$home/$mode.ini"
        (cd "$home" && exec env -u LD_PRELOAD $as_owner "$pgbouncer" "$home/$mode.ini") >"$home/$mode.log" 2>&1 9>&- &
        pid=$!
        if answers "$port" "$pid"; then
            started="$started $pid"
            return
        fi
        kill "$pid" 2>/dev/null || true
    done
    echo "# pgbouncer does not start" >&2
    exit 1
}

start_pgpool() {
    for attempt in 1 2 3 4 5 6; do
        port=$((first_port + attempt * 5))
        first_port=$port
        cat >"$home/pgpool.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
pcp_port = $((port + 1))
unix_socket_directories = '$home/sockets'
pcp_socket_dir = '$home/sockets'
wd_ipc_socket_dir = '$home/sockets'
pid_file_name = '$home/sockets/pgpool.pid'
logdir = '$home/sockets'
backend_clustering_mode = 'raw'
backend_hostname0 = '$server_home'
backend_port0 = $server_port
CONF
        mkdir -p "$home/sockets"
        : >"$home/pool_hba.conf"
        : >"$home/pcp.conf"
        [ "$owner" != postgres ] || chown -R postgres "$home/sockets" "$home/pgpool.conf"
        (cd "$home" && exec env -u LD_PRELOAD $as_owner "$pgpool" -n -f "$home/pgpool.conf" -F "$home/pcp.conf" -a "$home/pool_hba.conf") \
            >"$home/pgpool.log" 2>&1 9>&- &
        pid=$!
        if answers "$port" "$pid"; then
            started="$started $pid"
            return
        fi
        kill "$pid" 2>/dev/null || true
    done
    echo "# pgpool does not start" >&2
    exit 1
}

start_odyssey() {
    mode=$1
    for attempt in 1 2 3 4 5 6; do
        port=$((first_port + attempt * 3))
        first_port=$port
        cat >"$home/odyssey-$mode.conf" <<CONF
daemonize no
log_to_stdout yes
log_format "%t %l [%i %s] (%c) %m\n"
workers 1
pid_file "$home/odyssey-$mode.pid"
unix_socket_dir "$home"
unix_socket_mode "0600"
listen { host "127.0.0.1" port $port }
storage "server" { type "remote" host "127.0.0.1" port $server_port }
database default { user default {
    authentication "none" storage "server" storage_db "weir" storage_user "weir" storage_password "$WEIR_TEST_PG_PASSWORD"
    pool "$mode" pool_size $2
} }
CONF
        (cd "$home" && exec env -u LD_PRELOAD $as_owner "$odyssey" "$home/odyssey-$mode.conf") >"$home/odyssey-$mode.log" 2>&1 9>&- &
        pid=$!
        if answers "$port" "$pid"; then
            started="$started $pid"
            return
        fi
        kill "$pid" 2>/dev/null || true
    done
    echo "# odyssey does not start" >&2
    exit 1
}

[ "$owner" != postgres ] || chown -R postgres "$home"
WEIR_TEST_POOLERS=
if [ -n "$pgbouncer" ]; then
    start_pgbouncer transaction
    export WEIR_TEST_PGBOUNCER_TRANSACTION_URL="postgresql://weir@127.0.0.1:$port/weir"
    start_pgbouncer session
    export WEIR_TEST_PGBOUNCER_SESSION_URL="postgresql://weir@127.0.0.1:$port/weir"
    WEIR_TEST_POOLERS=$("$pgbouncer" --version | head -n 1)
fi
if [ -n "$pgpool" ]; then
    start_pgpool
    export WEIR_TEST_PGPOOL_URL="postgresql://weir@127.0.0.1:$port/weir"
    WEIR_TEST_POOLERS="${WEIR_TEST_POOLERS:+$WEIR_TEST_POOLERS, }$("$pgpool" --version 2>&1 | head -n 1)"
fi
if [ -n "$odyssey" ]; then
    start_odyssey transaction 1
    export WEIR_TEST_ODYSSEY_TRANSACTION_URL="postgresql://weir@127.0.0.1:$port/weir"
    start_odyssey session 20
    export WEIR_TEST_ODYSSEY_SESSION_URL="postgresql://weir@127.0.0.1:$port/weir"
    WEIR_TEST_POOLERS="${WEIR_TEST_POOLERS:+$WEIR_TEST_POOLERS, }$("$odyssey" --version 2>&1 | head -n 1)"
fi
export WEIR_TEST_POOLERS

"$@" 9>&- &
command_pid=$!
started="$started $command_pid"
status=0
wait "$command_pid" || status=$?
exit "$status"
