#!/bin/sh
# SPDX-License-Identifier: MIT
# DISCARD PLANS has PostgreSQL plan anew what is prepared; every prepared statement stays. pgpool-II takes it for the
# end of them: it forgets all that the session has prepared, while the server still lists it, answers the next use of
# any of them with XX000 "unable to bind", and ends the session.
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
backend_clustering_mode = 'streaming_replication'
backend_hostname0 = '$folder/work'
backend_port0 = $port
CONF
touch work/pool_hba.conf work/pcp.conf
$as_nobody pgpool -n -f work/pgpool.conf -a work/pool_hba.conf -F work/pcp.conf >work/pgpool.log 2>&1 &
started="$started $!"

cat >seen.js <<'SCRIPT'
const { Client } = require("pg");

const [folder, port] = [process.argv[2], Number(process.argv[3])];
const ways = {
    direct: { host: folder, port },
    pgpool: { host: "127.0.0.1", port: port + 1 },
};
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function connect(options) {
    for (let tries = 0; ; tries++) {
        const client = new Client({ ...options, user: "tester", database: "postgres" });
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

/* One use of a statement that the driver prepares once. */
async function use(client) {
    try {
        return (await client.query({ name: "twice", text: "SELECT 2 * $1::int AS n", values: [21] })).rows[0].n;
    } catch (error) {
        return `${error.code} ${error.message}`;
    }
}

async function look(options) {
    const client = await connect(options);
    let has_ended = false;
    client.on("error", () => { has_ended = true; });
    const seen = [await use(client), await use(client)];
    await client.query("DISCARD PLANS");
    const { rows } = await client.query("SELECT count(*)::int AS n FROM pg_prepared_statements WHERE name = 'twice'");
    seen.push(await use(client));
    await sleep(500);
    if (!has_ended)
        await client.end();
    return { seen, listed: rows[0].n, has_ended };
}

(async () => {
    const told = {};
    for (const [name, options] of Object.entries(ways)) {
        const { seen, listed, has_ended } = told[name] = await look(options);
        console.log(`${name}: ${seen[0]}, ${seen[1]}, DISCARD PLANS, ${listed} listed by the server, ${seen[2]}; ` +
            `the session ${has_ended ? "was ended" : "goes on"}`);
    }
    const { direct, pgpool } = told;
    const is_as_seen = direct.seen.every((n) => n === 42) && direct.listed === 1 && !direct.has_ended &&
        pgpool.seen[0] === 42 && pgpool.seen[1] === 42 && pgpool.listed === 1 &&
        pgpool.seen[2] === "XX000 unable to bind" && pgpool.has_ended;
    process.exit(is_as_seen ? 0 : 1);
})();
SCRIPT
node seen.js "$folder/work" "$port" || { tail -n 3 work/pgpool.log; exit 1; }
