#!/bin/sh
# SPDX-License-Identifier: MIT
# Print the C files of the tree, one per line: what the formatter and the static checks read.
set -eu

cd "$(dirname "$0")/.."
find include src server cli tests bench examples tools -type f \( -name '*.c' -o -name '*.h' \) | sort
