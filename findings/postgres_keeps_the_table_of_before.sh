#!/bin/sh
# SPDX-License-Identifier: MIT
# A prepared statement of PostgreSQL's goes on with the table that its name meant when it was prepared, though the name
# means another one by now: one that was created since in an earlier schema of search_path, or as a temporary one. The
# same statement sent as text goes to the new table, so that rows of one session end in two tables, without an error
# or a warning. DISCARD PLANS has the name looked up again; so has a change of search_path, and the first temporary
# table of a session is one, but not the second.
#
# Seen with @electric-sql/pglite 0.5.17 from npm, which is PostgreSQL itself compiled for Node.js.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @electric-sql/pglite@0.5.17
cat >seen.mjs <<'SCRIPT'
import { PGlite } from "@electric-sql/pglite";

const creations = {
    "an earlier schema": "CREATE TABLE earlier.stored (way text)",
    "the second temporary table": "CREATE TEMP TABLE stored (way text)",
};

async function look(creation) {
    const db = new PGlite();
    await db.exec(`
        CREATE SCHEMA earlier;
        CREATE TABLE public.stored (way text);
        SET search_path TO earlier, public;
        CREATE TEMP TABLE the_first (n int);
        PREPARE store AS INSERT INTO stored VALUES ($1);
        ${creation};
        EXECUTE store('prepared');
        INSERT INTO stored VALUES ('as text');
        DISCARD PLANS;
        EXECUTE store('prepared, plans discarded');
    `);
    const { rows } = await db.query("SELECT way FROM public.stored");
    const { rows: [{ version }] } = await db.query("SELECT version()");
    const { rows: later } = await db.query("SELECT way FROM stored ORDER BY way");
    await db.close();
    return { version: version.split(" on ")[0], before: rows.map((row) => row.way), now: later.map((row) => row.way) };
}

let isAsSeen = true;
for (const [name, creation] of Object.entries(creations)) {
    const { version, before, now } = await look(creation);
    console.log(`${version}, ${name}: in the table of before "${before.join('", "')}", in the new one "${now.join('", "')}"`);
    isAsSeen &&= before.join() === "prepared" && now.join("|") === "as text|prepared, plans discarded";
}
process.exit(isAsSeen ? 0 : 1);
SCRIPT
node seen.mjs
