#!/bin/sh
# SPDX-License-Identifier: MIT
# pgpool-II in raw mode (no replication, one server) begins a transaction when the first write of a session comes by
# the extended protocol, as most drivers send statements with parameters, and never ends it: the client is told
# "INSERT 0 1", sees its row, and disconnects; pgpool sends ABORT, and the row is gone. Nothing fails and nothing
# warns; only ReadyForQuery says T, which drivers do not look at outside of a transaction. The same statement by the
# simple protocol is stored.
#
# Seen with Debian 12's pgpool2 4.3.5-1+deb12u1 before PostgreSQL 15.18, and pg 8.23.1 from npm.
set -eu

pgpool=4.3.5-1+deb12u1
postgres=15.18-0+deb12u1
memcached=1.1.4-1
folder=$(mktemp -d)
chmod 755 "$folder"
cd "$folder"
started=
finish() {
    for pid in $started; do kill -INT "$pid" 2>/dev/null || true; done
    for pid in $started; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT

apt-get -qq -o APT::Sandbox::User=root download "pgpool2=$pgpool" "libpgpool2=$pgpool" "libmemcached11=$memcached" \
    "postgresql-15=$postgres" "libpq5=$postgres" >/dev/null
for package in *.deb; do
    dpkg -x "$package" system
done
export LD_LIBRARY_PATH="$folder/system/usr/lib/x86_64-linux-gnu"
export PATH="$folder/system/usr/lib/postgresql/15/bin:$folder/system/usr/sbin:$PATH"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund pg@8.23.1

# Neither server runs as root.
mkdir work
chown nobody work
as_nobody="setpriv --reuid=nobody --regid=nogroup --clear-groups"
port=$((20000 + $$ % 20000))
$as_nobody initdb -D work/data -U tester -A trust >/dev/null
$as_nobody postgres -D work/data -k "$folder/work" -p "$port" -c listen_addresses= >work/postgres.log 2>&1 &
started="$!"
cat >work/pgpool.conf <<CONF
listen_addresses = '127.0.0.1'
port = $((port + 1))
pcp_port = $((port + 2))
socket_dir = '$folder/work'
pcp_socket_dir = '$folder/work'
wd_ipc_socket_dir = '$folder/work'
pid_file_name = '$folder/work/pgpool.pid'
logdir = '$folder/work'
backend_clustering_mode = 'raw'
backend_hostname0 = '$folder/work'
backend_port0 = $port
CONF
touch work/pool_hba.conf work/pcp.conf
$as_nobody pgpool -n -f work/pgpool.conf -a work/pool_hba.conf -F work/pcp.conf >work/pgpool.log 2>&1 &
started="$started $!"

cat >seen.js <<'SCRIPT'
const { Client } = require("pg");

const [folder, port] = [process.argv[2], Number(process.argv[3])];
const direct = { host: folder, port, user: "tester", database: "postgres" };
const through = { ...direct, host: "127.0.0.1", port: port + 1 };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function connect(options) {
    for (let tries = 0; ; tries++) {
        const client = new Client(options);
        try {
            await client.connect();
            return client;
        } catch (error) {
            if (tries === 50)
                throw error;
            await sleep(200);
        }
    }
}

const count = async (client) => (await client.query("SELECT count(*)::int AS rows FROM stored")).rows[0].rows;

/* Store one row in a session of its own; what the server has of it when the client has gone. */
async function store(observer, text, values) {
    const client = await connect(through);
    let state;
    client.connection.on("readyForQuery", (message) => { state = message.status; });
    await observer.query("TRUNCATE stored");
    const { command, rowCount } = await client.query(text, values);
    const answer = `${command} ${rowCount}, ready ${state}`;
    const seen = await count(client);
    await client.end();
    await sleep(500);
    return { answer, seen, stored: await count(observer) };
}

(async () => {
    const observer = await connect(direct);
    await observer.query("CREATE TABLE stored (n int)");
    const extended = await store(observer, "INSERT INTO stored VALUES ($1)", [1]);
    const simple = await store(observer, "INSERT INTO stored VALUES (1)");
    for (const [name, run] of Object.entries({ extended, simple }))
        console.log(`${name} protocol: ${run.answer}; the client sees ${run.seen}, stored are ${run.stored}`);
    await observer.end();
    process.exit(extended.answer === "INSERT 1, ready T" && extended.seen === 1 && extended.stored === 0 &&
        simple.stored === 1 ? 0 : 1);
})();
SCRIPT
node seen.js "$folder/work" "$port" || { tail -n 3 work/pgpool.log; exit 1; }
