#!/bin/sh
# SPDX-License-Identifier: MIT
# Build a target in one line of progress: quiet_build.sh BUILD TARGET SETUP..., the words after the target being the command that
# configures the build directory when it is none yet. What the tools said is shown when they fail. On standard error, all of it.
set -eu

build=$1
target=$2
shift 2

log=$(mktemp)
status=$(mktemp)
trap 'rm -f "$log" "$status"' EXIT
is_terminal=
[ ! -t 2 ] || is_terminal=yes
was_said=

# The line as it is now; where it cannot be written over, only its first words.
show() {
    if [ -n "$is_terminal" ]; then
        printf '\r\033[K%s' "$1" >&2
    elif [ -z "$was_said" ]; then
        echo "Building weir, for a minute or so" >&2
    fi
    was_said=yes
}

hide() {
    [ -z "$is_terminal" ] || printf '\r\033[K' >&2
}

fail() {
    hide
    cat "$log" >&2
    exit 1
}

if [ ! -f "$build/build.ninja" ]; then
    show "Building weir: looking at what is here"
    "$@" >"$log" 2>&1 </dev/null || fail
fi

{
    NINJA_STATUS='[%f/%t] ' ninja -C "$build" "$target" 2>&1 </dev/null || echo "$?" >"$status"
} | while IFS= read -r line; do
    printf '%s\n' "$line" >>"$log"
    case $line in
    '['*/*'] '*) show "Building weir: ${line%%]*}]" ;;
    esac
done
[ ! -s "$status" ] || fail
hide
