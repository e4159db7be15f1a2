#!/bin/sh
# SPDX-License-Identifier: MIT
# Lay out every C file of the tree with clang-format, or with --check say what it would change.
#
# The layout is that of one version, since each has its own mind about some lines. With another one nothing is
# laid out or checked, and the exit status is 77.
set -eu

version=14
cd "$(dirname "$0")/.."
for program in "clang-format-$version" clang-format; do
    # "Debian clang-format version 14.0.6"
    found=$("$program" --version 2>/dev/null | sed -nE 's/.*version ([0-9]+).*/\1/p')
    if [ "$found" = "$version" ]; then
        case "${1:-}" in
        --check) tools/sources.sh | xargs "$program" --dry-run -Werror ;;
        '') tools/sources.sh | xargs "$program" -i ;;
        *)
            echo "usage: $0 [--check]" >&2
            exit 2
            ;;
        esac
        exit
    fi
done
echo "the layout is that of clang-format $version, and here is ${found:-none}" >&2
exit 77
