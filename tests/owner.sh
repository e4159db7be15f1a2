# SPDX-License-Identifier: MIT
# Sourced by scripts that run servers which root must not run: who owns them, and the command in front of theirs.
# Root runs them as the user postgres, anyone else as himself.
if [ "$(id -u)" -eq 0 ]; then
    owner=postgres
    as_owner="setpriv --reuid=postgres --regid=postgres --init-groups --inh-caps=-all"
else
    owner=$(id -un)
    as_owner=
fi
