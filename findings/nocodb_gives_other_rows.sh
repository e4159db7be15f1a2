#!/bin/sh
# SPDX-License-Identifier: MIT
# Lists of NocoDB that answer 200 and hold other rows than were asked for:
#   - `(Day,is,null)` on a Date or DateTime column gives every row, those with a value included; `(Day,is,blank)` gives
#     those without one.
#   - `(At,eq,exactDate,…)` on a DateTime column gives all rows of that day, whatever the time of the day says.
#   - API v3 leaves out `next` when the offset is no multiple of the limit, as at the end of a list, though rows follow.
#
# Seen with nocodb 0.301.3 from npm on its own SQLite, Node.js 20.
set -eu

folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
# Of xlsx, which nocodb asks for by a URL, npm has 0.18.5. Only SQLite's driver has to be built.
cat >package.json <<'PACKAGE'
{ "private": true, "dependencies": { "nocodb": "0.301.3" }, "overrides": { "xlsx": "0.18.5" } }
PACKAGE
[ ! -f /usr/include/node/node.h ] || export npm_config_nodedir=/usr
npm install --silent --ignore-scripts --omit=dev --omit=optional --no-audit --no-fund
npm rebuild --silent sqlite3

cat >start.js <<'SCRIPT'
(async () => {
    const app = require("express")();
    const { Noco } = require("nocodb");
    const server = app.listen(Number(process.env.PORT), "127.0.0.1");
    app.use(await Noco.init({}, server, app));
})();
SCRIPT
port=$((20000 + $$ % 20000))
PORT=$port NC_DISABLE_TELE=true NC_ADMIN_EMAIL=admin@example.com NC_ADMIN_PASSWORD=Finding-Test-1 \
    node start.js >server.log 2>&1 &
server=$!

cat >seen.mjs <<'SCRIPT'
const origin = `http://127.0.0.1:${process.argv[2]}`;
let headers = { "Content-Type": "application/json" };

async function ask(method, path, body) {
    const answer = await fetch(origin + path, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok)
        throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
}

async function signIn() {
    for (let tries = 0; ; tries++) {
        try {
            return await ask("POST", "/api/v1/auth/user/signin", { email: "admin@example.com", password: "Finding-Test-1" });
        } catch (error) {
            if (tries === 600)
                throw error;
            await new Promise((done) => setTimeout(done, 500));
        }
    }
}

headers["xc-auth"] = (await signIn()).token;
const base = (await ask("POST", "/api/v2/meta/bases", { title: "finding" })).id;
const columns = [["Id", "ID"], ["Day", "Date"], ["At", "DateTime"]]
    .map(([title, uidt]) => ({ title, column_name: title.toLowerCase(), uidt }));
const table = (await ask("POST", `/api/v2/meta/bases/${base}/tables`, { title: "Things", table_name: "things", columns })).id;
const rows = [
    { Day: "2024-01-31", At: "2024-01-31 10:20:30+00:00" },
    { Day: "2024-01-31", At: "2024-01-31 23:00:00+00:00" },
    { Day: "2024-02-01", At: "2024-02-01 00:00:00+00:00" },
    { Day: null, At: null },
    { Day: null, At: null },
];
await ask("POST", `/api/v2/tables/${table}/records`, rows);

const listed = async (where) => (await ask("GET",
    `/api/v2/tables/${table}/records?sort=Id&where=${encodeURIComponent(where)}`)).list.map((row) => row.Id).join(" ");
const seen = {};
for (const where of ["(Day,is,blank)", "(Day,is,null)", "(At,is,null)", "(At,eq,exactDate,2024-01-31 10:20:30+00:00)"])
    console.log(`${where}: rows ${seen[where] = await listed(where)}`);
for (const offset of [0, 1, 2]) {
    const answer = await ask("GET", `/api/v3/data/${base}/${table}/records?limit=2&offset=${offset}`);
    console.log(`v3, limit 2, offset ${offset} of 5: ${answer.records.length} rows, ${seen[offset] = answer.next ? "next" : "no next"}`);
}
process.exit(seen["(Day,is,blank)"] === "4 5" && seen["(Day,is,null)"] === "1 2 3 4 5" && seen["(At,is,null)"] === "1 2 3 4 5" &&
    seen["(At,eq,exactDate,2024-01-31 10:20:30+00:00)"] === "1 2" && seen[0] === "next" && seen[1] === "no next" &&
    seen[2] === "next" ? 0 : 1);
SCRIPT
node seen.mjs "$port"
