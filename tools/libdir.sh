#!/bin/sh
# SPDX-License-Identifier: MIT
# Print the folder below a prefix where this machine keeps libraries: where the C library is, the loader and pkg-config look.
# That is lib/x86_64-linux-gnu on Debian, lib64 on Fedora, lib on Arch. Meson knows Debian's only where dpkg-dev is installed.
set -eu

# The compiler may be several words.
libc=$(${CC:-cc} -print-file-name=libc.so.6 2>/dev/null || true)
folder=$(cd "$(dirname "${libc:-.}")" && pwd -P)
case "$folder" in
/usr/lib*) echo "${folder#/usr/}" ;;
/lib*) echo "${folder#/}" ;;
*) echo lib ;;
esac
