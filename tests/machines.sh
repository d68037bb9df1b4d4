#!/usr/bin/env bash
# Makes the machines of the tests under a real systemd: root folders of Debian 12 with its Cockpit (287), and of Debian 13 with
# the newest Cockpit that Debian's backports offer, in target/peers/machines. The tests boot them with systemd-nspawn and
# change nothing in them. Safe to run again: with everything there it takes well under a second.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
. tests/debian.sh

machines=$(realpath -m "${CARGO_TARGET_DIR:-target}")/peers/machines
# Packages of a server with Cockpit. Without dbus-user-session, newer bridges end at once.
packages=cockpit-ws,cockpit-bridge,cockpit-system,systemd-sysv,dbus,dbus-user-session,libpam-systemd,passwd,sudo,procps,curl

stop() {
  printf 'machines: %s\n' "$@" >&2
  exit 1
}

install_tools() {
  command -v mmdebstrap >/dev/null && command -v systemd-nspawn >/dev/null && return
  printf 'machines: installing Debian packages: mmdebstrap systemd-container\n'
  apt_install "$machines/apt.log" mmdebstrap systemd-container || stop 'mmdebstrap and systemd-container could not be installed'
}

# make NAME SUITE [SUITE WHENCE COCKPIT COMES] [FURTHER PACKAGES]
make_machine() {
  local name=$1 suite=$2 backports=${3:-} further=${4:-} root new log stamp
  root=$machines/$name new=$machines/$name.new log=$machines/$name.log
  stamp=$(sha256sum <tests/machines.sh)
  if [ "$(cat "$machines/$name.stamp" 2>/dev/null)" = "$stamp" ] && [ -d "$root" ]; then return; fi
  printf 'machines: installing %s into %s\n' "$name" "$root"
  local uri sources=()
  uri=$(debian_mirror Debian)
  [ -n "$uri" ] || { apt-get update -qq && uri=$(debian_mirror Debian); }
  [ -n "$uri" ] || stop 'no mirror of Debian is in the sources of apt: these tests need Debian'
  sources=("deb $uri $suite main" ${backports:+"deb $uri $backports main"})
  rm -rf "$new" "$root"
  mmdebstrap --quiet --variant=apt --include="$packages${further:+,$further}" \
    ${backports:+--setup-hook="mkdir -p \"\$1/etc/apt/preferences.d\" && printf 'Package: cockpit*\nPin: release n=$backports\nPin-Priority: 600\n' >\"\$1/etc/apt/preferences.d/cockpit\""} \
    "$suite" "$new" "${sources[@]}" >"$log" 2>&1 || { tail -n 20 "$log" >&2; stop "the root folder of $name could not be made"; }
  mv "$new" "$root"
  printf '%s' "$stamp" >"$machines/$name.stamp"
}

[ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null || stop 'the machines are made of Debian packages, and this system has no apt-get'
[ "$(id -u)" = 0 ] || stop 'root is needed, to boot machines' 'run: sudo --preserve-env=HOME env "PATH=$PATH" make test-systemd'

mkdir -p "$machines"
install_tools
make_machine bookworm bookworm
# A test puts sudo-rs in the place of sudo; Cockpit then becomes root by polkit.
make_machine trixie trixie trixie-backports polkitd,sudo-rs
for name in bookworm trixie; do
  printf 'machines: %-9s Cockpit %s\n' "$name" "$(chroot "$machines/$name" dpkg-query -W -f '${Version}' cockpit-ws)"
done
