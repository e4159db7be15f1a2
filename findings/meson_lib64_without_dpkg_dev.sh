#!/bin/sh
# SPDX-License-Identifier: MIT
# On a Debian without the package dpkg-dev meson chooses another folder for libraries than with it: lib64, which
# neither the loader nor pkg-config looks into, so that what `meson install --prefix /usr` has put there is not found.
# It asks dpkg-architecture, which belongs to dpkg-dev, for the folder, and takes its absence for another system.
#
# Seen with Debian 12's meson 1.0.1-5 (and in 1.7.0 of Debian 13): lib/x86_64-linux-gnu with dpkg-architecture in
# the PATH, lib64 without.
set -eu

meson=1.0.1-5
ninja=1.11.1-2~deb12u1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download "meson=$meson" "ninja-build=$ninja" >/dev/null
for package in *.deb; do
    dpkg -x "$package" system
done
mkdir bin source
ln -s "$(python3 -c 'import sys; print(sys.executable)')" bin/python3
ln -s "$folder/system/usr/bin/ninja" bin/ninja
echo "project('nothing')" >source/meson.build

libdir() {
    PATH="$1" PYTHONPATH="$folder/system/usr/lib/python3/dist-packages" bin/python3 system/usr/bin/meson \
        setup --prefix /usr "$2" source >/dev/null
    PATH="$1" PYTHONPATH="$folder/system/usr/lib/python3/dist-packages" bin/python3 system/usr/bin/meson \
        introspect --buildoptions "$2" | bin/python3 -c '
import json, sys
print(next(option["value"] for option in json.load(sys.stdin) if option["name"] == "libdir"))'
}

without=$(libdir "$folder/bin" without)
printf '#!/bin/sh\necho x86_64-linux-gnu\n' >bin/dpkg-architecture
chmod 755 bin/dpkg-architecture
with=$(libdir "$folder/bin" with)
echo "meson $meson: libdir is $with with dpkg-architecture, $without without"
[ "$with" = lib/x86_64-linux-gnu ] && [ "$without" = lib64 ]
