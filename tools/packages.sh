#!/bin/sh
# SPDX-License-Identifier: MIT
# Install the missing Debian packages of the sets named (build, check, test, cross, coverage); silent and quick when none is missing.
# With --missing first, only say which are missing, and that `make deps` installs them.
set -eu

only_say=
if [ "${1:-}" = --missing ]; then
    only_say=yes
    shift
fi

list=$(dirname "$0")/packages.txt

# Elsewhere than on Debian the build itself says what it misses.
command -v dpkg-query >/dev/null 2>&1 || exit 0

wanted=$(for set in "$@"; do awk -v set="$set" '$1 == set { print $2 }' "$list"; done)
# What another installed package provides is present too: it may be one that conflicts with Debian's.
present=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
    awk '$1 == "installed" { gsub(/,|\([^)]*\)/, ""); for (i = 2; i <= NF; i++) print $i }' || true)
missing=$(for package in $wanted; do
    echo "$present" | grep -qxF "$package" || printf '%s ' "$package"
done)
[ -n "$missing" ] || exit 0
if [ -n "$only_say" ]; then
    echo "These Debian packages are missing, and \`make deps\` installs them: $missing" >&2
    exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    echo "weir needs these Debian packages, and there is neither root nor sudo to install them:" >&2
    echo "    apt-get install $missing" >&2
    exit 1
fi

echo "Installing the Debian packages $missing" >&2
quiet_apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" \
        </dev/null >/dev/null
}
# Servers are here for tests, which start their own: no package starts one as the system's service, and the poolers,
# which nobody asked for, do not start at boot either.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi
# A source that cannot be reached need not be one that is wanted.
quiet_apt update || true
# shellcheck disable=SC2086
if ! quiet_apt install -y --no-install-recommends --no-remove $missing; then
    echo "apt-get could not install them; by hand: apt-get install $missing" >&2
    exit 1
fi
for service in pgbouncer pgpool2; do
    case " $missing " in
    *" $service "*) $as_root systemctl disable "$service" >/dev/null 2>&1 || true ;;
    esac
done
