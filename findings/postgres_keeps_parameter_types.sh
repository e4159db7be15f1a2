#!/bin/sh
# SPDX-License-Identifier: MIT
# PostgreSQL fixes the types of a prepared statement's parameters once. After ALTER TABLE it plans the statement
# anew, yet with the old types: a value for a column that was real and is double precision still goes through real.
# Nothing fails and nothing warns; the same statement sent as text stores what was given.
#
# Seen with @electric-sql/pglite 0.5.17 from npm, which is PostgreSQL itself compiled for Node.js: the prepared
# statement stores 0.10000000149011612 where 0.1 was given.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @electric-sql/pglite@0.5.17
cat >seen.mjs <<'SCRIPT'
import { PGlite } from "@electric-sql/pglite";

const db = new PGlite();
const { rows: [{ version }] } = await db.query("SELECT version()");
await db.exec(`
    CREATE TABLE measure (way text, value real);
    PREPARE store AS INSERT INTO measure VALUES ('prepared before', $1);
    ALTER TABLE measure ALTER COLUMN value TYPE double precision;
    EXECUTE store(0.1);
    INSERT INTO measure VALUES ('as text', 0.1);
`);
const { rows } = await db.query("SELECT way, value::text AS value FROM measure");
const { rows: [{ types }] } = await db.query(
    "SELECT parameter_types::text AS types FROM pg_prepared_statements WHERE name = 'store'");
console.log(version.split(" on ")[0]);
console.log(`the column is double precision, the parameter ${types}`);
for (const row of rows)
    console.log(`${row.way}: ${row.value}`);
const seen = Object.fromEntries(rows.map((row) => [row.way, row.value]));
process.exit(types === "{real}" && seen["prepared before"] === "0.10000000149011612" && seen["as text"] === "0.1" ? 0 : 1);
SCRIPT
node seen.mjs
