#!/bin/sh
# SPDX-License-Identifier: MIT
# Tell the loader of new libraries, and say what is missing where it or pkg-config does not look: after_install.sh PREFIX LIBDIR
set -eu

prefix=$1
libraries=$1/$2
PATH=$PATH:/usr/sbin:/sbin # a plain `su` leaves them out

ldconfig 2>/dev/null || true
"$prefix/bin/weir" --version >/dev/null 2>&1 || echo "The loader does not look for libraries in $libraries yet:
name it in a file in /etc/ld.so.conf.d and run ldconfig, or set LD_LIBRARY_PATH=$libraries" >&2
pkg-config --exists libweir 2>/dev/null || echo "pkg-config does not look there yet: set PKG_CONFIG_PATH=$libraries/pkgconfig" >&2
