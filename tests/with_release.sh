#!/bin/sh
# SPDX-License-Identifier: MIT
# Run a command in another Debian release: tests/with_release.sh [--bare] RELEASE COMMAND [ARGUMENT…]
#
#   tests/with_release.sh trixie tests/run_all.py --only gcc
#   tests/with_release.sh forky make test
#   tests/with_release.sh --bare bookworm sh -c 'apt-get install -y make git && make run'
#
# RELEASE is bookworm, trixie, forky or sid. The first use makes the system with debootstrap, from the mirror and with
# the settings of this machine's apt, and installs the packages of tools/packages.txt; with --bare it is what
# debootstrap's minbase has and no more. Systems are kept in build-releases/ of the tree, or in WEIR_RELEASES, which
# several trees may share; removing RELEASE or RELEASE-bare there has it made again.
#
# The command sees the tree at its own path and runs as root there, in mount, process and IPC namespaces of its own.
# What it changes outside of the tree is gone when it ends, however it ends; nothing stays mounted and no process
# stays. Build directories are the release's own: BUILD=build-RELEASE, which make and tests/run_all.py take.
# Needed: root, debootstrap, a kernel with overlayfs. Ports are shared with this machine.
set -eu

usage() {
    echo "usage: $0 [--bare] bookworm|trixie|forky|sid COMMAND [ARGUMENT…]" >&2
    exit 2
}
give_up() {
    echo "with_release.sh: $*" >&2
    exit 1
}

bare=
if [ "${1:-}" = --bare ]; then
    bare=-bare
    shift
fi
release=${1:-}
case "$release" in
bookworm | trixie | forky | sid) ;;
'') usage ;;
*)
    echo "with_release.sh: unknown release \"$release\"" >&2
    usage
    ;;
esac
shift
[ $# -gt 0 ] || usage
[ "$(id -u)" -eq 0 ] || give_up "only root can enter another release (mount and chroot)"
for program in debootstrap unshare setpriv flock apt-get; do
    command -v "$program" >/dev/null || give_up "$program is needed (Debian packages debootstrap, util-linux, apt)"
done

tree=$(cd "$(dirname "$0")/.." && pwd -P)
releases=${WEIR_RELEASES:-$tree/build-releases}
mkdir -p "$releases"
releases=$(cd "$releases" && pwd -P)
# A work tree's repository is elsewhere.
repository=$(git -c safe.directory='*' -C "$tree" rev-parse --path-format=absolute --git-common-dir 2>/dev/null || true)

# Runs after unshare, as the first process of the namespaces: mounts, then the command, whose orphans it collects.
# Arguments: the root directory, the system that lies below it or nothing, the tree, its repository, the command.
inside='
set -eu
exec 8>&-
root=$1 below=$2 tree=$3 repository=$4
shift 4
if [ -n "$below" ]; then
    mount -t overlay -o "lowerdir=$below,upperdir=$root.run/upper,workdir=$root.run/work" weir-release "$root"
fi
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mkdir "$root.run/tmp"
chmod 1777 "$root.run/tmp"
mount --bind "$root.run/tmp" "$root/tmp"
for seen in "$tree" "$repository"; do
    if [ -n "$seen" ]; then
        mkdir -p "$root$seen"
        mount --bind "$seen" "$root$seen"
    fi
done
# How names are resolved and whom TLS trusts, as this machine has it.
mkdir -p "$root/etc/ssl/certs"
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
    if [ -s "$file" ]; then
        rm -f "$root$file"
        cp -L "$file" "$root$file"
    fi
done
printf "[safe]\n\tdirectory = *\n" >"$root/etc/gitconfig"
status=0
chroot "$root" /bin/sh -c "cd \"\$1\" && shift && exec \"\$@\"" enter "$tree" "$@" || status=$?
exit "$status"
'

# Run a command in a root directory: as it is, or with a system below it that is left untouched.
enter() {
    root=$1 below=$2
    shift 2
    home=~root
    mkdir -p "$root.run/upper" "$root.run/work" "$root"
    # The environment is the release's; what leads to the network, and what the tests read, is this machine's.
    set -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=$home LANG=C.UTF-8 \
        BUILD="build-$release" "$@"
    passed=$(env | sed -nE 's/^(TERM|CI|DEBIAN_FRONTEND|WEIR_TEST_[A-Z_]+|(http|https|no|HTTP|HTTPS|NO)_(proxy|PROXY)|NODE_EXTRA_CA_CERTS|npm_config_[a-z_]+)=.*/\1/p')
    for name in $passed; do
        eval "value=\$$name"
        shift 2
        set -- env -i "$name=$value" "$@"
    done
    # In the background, because a shell runs its traps only when the foreground is done. There sh ignores the
    # terminal's signals, and so would all that it starts. If it is killed, so is the command.
    env --default-signal=INT,QUIT setpriv --pdeathsig KILL \
        unshare --mount --pid --ipc --fork --kill-child --propagation private \
        sh -c "$inside" inside "$root" "$below" "$tree" "$repository" "$@" <&9 9<&- &
    entered=$!
    status=0
    wait "$entered" || status=$?
    entered=
    rm -rf "$root.run"
    return "$status"
}

# The shell gives a command in the background no standard input unless it is told to.
exec 9<&0
entered=
scratch=
finish() {
    status=$?
    trap - EXIT
    if [ -n "$entered" ]; then
        kill -KILL "$entered" 2>/dev/null || true
        wait "$entered" 2>/dev/null || true
    fi
    if [ -n "$scratch" ]; then
        rm -rf "$scratch" "$scratch.run"
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# The address that this machine's apt has for a source of Debian's, by the label in its Release file.
source_of() {
    apt-get indextargets --format '$(ORIGIN)/$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        sed -nE "s,^Debian/$1 (https?://.*)\$,\\1,p" | head -n 1
}

# What debootstrap makes, with apt set up as on this machine.
make_bare() {
    mirror=$(source_of Debian)
    if [ -z "$mirror" ]; then
        apt-get -qq update
        mirror=$(source_of Debian)
    fi
    [ -n "$mirror" ] || give_up "apt of this machine has no source of Debian's packages over HTTP"
    # Older debootstraps do not know the newest names; all take the same script.
    echo "with_release.sh: making $release with debootstrap" >&2
    unshare --mount --propagation private debootstrap --variant=minbase "$release" "$1" "$mirror" \
        /usr/share/debootstrap/scripts/sid >"$1.log" 2>&1 8>&- </dev/null || {
        tail -n 20 "$1.log" "$1/debootstrap/debootstrap.log" >&2 2>/dev/null || true
        give_up "debootstrap could not make $release"
    }
    rm -f "$1.log"
    echo "deb $mirror $release main" >"$1/etc/apt/sources.list"
    if [ "$release" != sid ]; then
        echo "deb $mirror $release-updates main" >>"$1/etc/apt/sources.list"
        security=$(source_of Debian-Security)
        if [ -n "$security" ]; then
            echo "deb $security $release-security main" >>"$1/etc/apt/sources.list"
        fi
    fi
    # Proxies, retries and the like.
    apt-config dump | grep -E '^Acquire::[^ ]+ "' | grep -vE '^Acquire::(IndexTargets|Changelogs|CompressionTypes|GzipIndexes)' \
        >"$1/etc/apt/apt.conf.d/99machine" || true
    # What is thrown away need not be safe from power failures.
    echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/unsafe-io"
    # Packages that bring a service must not start it.
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
    enter "$1" '' apt-get -qq update || give_up "apt-get update failed in $release"
}

# The bare system and the packages of tools/packages.txt.
make_full() {
    cp -a "$releases/$release-bare" "$1"
    if [ "$release" = forky ]; then
        borrow_from_sid "$1"
    fi
    echo "with_release.sh: installing packages in $release" >&2
    enter "$1" '' tools/packages.sh build check test || give_up "not all packages of tools/packages.txt could be installed in $release"
}

# Testing lacks a package now and then, while a new version of it waits for others.
borrow_from_sid() {
    # shellcheck disable=SC2016 # the release's shell expands it
    missing=$(enter "$1" '' sh -c 'for package in $(awk "!/^#|^cross/ { print \$2 }" tools/packages.txt); do
        apt-cache policy "$package" | grep -q "Candidate: [^(]" || apt-cache showpkg "$package" |
            sed -n "/^Reverse Provides/,\$p" | grep -q "^[a-z]" && continue
        echo "$package"
    done' </dev/null)
    if [ -n "$missing" ]; then
        echo "with_release.sh: forky lacks $(echo "$missing" | tr '\n' ' '): from sid" >&2
        sed -n 's/ forky main$/ sid main/p' "$1/etc/apt/sources.list" >"$1/etc/apt/sources.list.d/sid.list"
        printf 'Package: *\nPin: release n=sid\nPin-Priority: 100\n' >"$1/etc/apt/preferences.d/sid"
        enter "$1" '' apt-get -qq update || give_up "apt-get update failed in $release"
    fi
}

# Make a system unless it is there: make what, by which function.
provide() {
    [ -d "$releases/$1" ] && return
    scratch=$releases/$1.new
    rm -rf "$scratch" "$scratch.run"
    "$2" "$scratch"
    mv "$scratch" "$releases/$1"
    scratch=
}

# Who runs commands shares the lock; who makes the release, or removes what a killed run has left, holds it alone.
exec 8>"$releases/$release.lock"
if flock -xn 8; then
    rm -rf "$releases/$release-root."*
elif [ ! -d "$releases/$release$bare" ]; then
    echo "with_release.sh: waiting for others that use $release" >&2
    flock -x 8
fi
provide "$release-bare" make_bare
if [ -z "$bare" ]; then
    provide "$release" make_full
fi
flock -s 8

scratch=$(mktemp -d "$releases/$release-root.XXXXXX")
status=0
if [ -z "$bare" ]; then
    # Whatever the list has gained since the system was made.
    set -- sh -c 'tools/packages.sh build check test && exec "$@"' packages "$@"
fi
enter "$scratch" "$releases/$release$bare" "$@" || status=$?
exit "$status"
