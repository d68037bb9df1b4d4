#!/usr/bin/env bash
# Installs the programs that `make bench` measures with: nginx, wrk, h2load and openssl, as Debian packages.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null
. tests/debian.sh

log=$(realpath -m "${CARGO_TARGET_DIR:-target}")/peers/bench-apt.log
packages=()
# Debian has nginx in a folder that a user's search path lacks.
PATH=$PATH:/usr/sbin:/sbin
command -v nginx >/dev/null || packages+=(nginx-light)
command -v wrk >/dev/null || packages+=(wrk)
command -v h2load >/dev/null || packages+=(nghttp2-client)
command -v openssl >/dev/null || packages+=(openssl)
[ ${#packages[@]} -gt 0 ] || exit 0

printf 'bench: installing Debian packages, which stay on this machine: %s\n' "${packages[*]}"
had_nginx=$(command -v nginx || true)
mkdir -p "${log%/*}"
apt_install "$log" "${packages[@]}" || {
  printf 'bench: these packages could not be installed: %s\n' "${packages[*]}" >&2
  exit 1
}
# The package enables a service on port 80, which systemd would start with this machine.
if [ -z "$had_nginx" ] && command -v systemctl >/dev/null; then
  systemctl --quiet disable nginx.service
fi
