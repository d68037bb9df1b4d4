#!/usr/bin/env bash
# The README's two commands on a newcomer's machine: a fresh Debian 12, with Rust from rustup and nothing else of this
# machine. `make demo` has to answer and sign in, the peers have to install, and one scenario with each of them has to pass.
#
# The fresh machine is a root folder in target/peers/newcomer, made once, which runs in namespaces of its own under a layer
# that is thrown away at the end. It gets the files that take long to make again: the files that Git tracks, the crates that
# cargo has fetched, the Rust toolchain, and the finished build (`make test` makes it). All of it stays as it is here.
# Only the settings that a network may need come from this machine's environment: mirrors, proxies, and authorities.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
. tests/debian.sh

source=$(pwd -P)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
newcomer=$target/peers/newcomer
# Packages that README requires before its first command, and that rustup's own instructions use.
packages=build-essential,ca-certificates,curl
# Settings of a network.
variables=(http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY PIP_INDEX_URL
  PIP_EXTRA_INDEX_URL npm_config_registry NPM_CONFIG_REGISTRY)
# A run takes less than five minutes on two idle cores; beyond this, something hangs.
most_seconds=1200
work=

stop() {
  printf 'newcomer: %s\n' "$@" >&2
  exit 1
}

# Debian 12 as the mirrors of this machine have it, with its security updates where they are known here.
debian_sources() {
  local main security
  main=$(debian_mirror Debian)
  security=$(debian_mirror Debian-Security)
  [ -n "$main" ] || { apt-get update -qq && main=$(debian_mirror Debian) && security=$(debian_mirror Debian-Security); }
  [ -n "$main" ] || stop 'no mirror of Debian is in the sources of apt'
  printf 'deb %s bookworm main\n' "$main"
  [ -z "$security" ] || printf 'deb %s bookworm-security main\n' "$security"
}

make_root() {
  local root=$newcomer/root stamp sources=()
  mapfile -t sources < <(debian_sources)
  [ ${#sources[@]} -gt 0 ] || exit 1
  stamp=$(printf '%s\n' "$packages" "${sources[@]}" | sha256sum)
  if [ "$(cat "$newcomer/stamp" 2>/dev/null)" = "$stamp" ] && [ -d "$root" ]; then return; fi
  printf 'newcomer: making a fresh Debian 12 in %s\n' "$root"
  if ! command -v mmdebstrap >/dev/null; then
    apt_install "$newcomer/apt.log" mmdebstrap || stop 'mmdebstrap could not be installed'
  fi
  rm -rf "$root" "$newcomer/stamp"
  # Its files need not survive a power failure.
  mmdebstrap --quiet --variant=apt --include="$packages" --dpkgopt=force-unsafe-io bookworm "$root" "${sources[@]}" \
    >"$newcomer/root.log" 2>&1 || { tail -n 20 "$newcomer/root.log" >&2; stop 'the fresh Debian 12 could not be made'; }
  printf '%s' "$stamp" >"$newcomer/stamp"
}

# The rest of this script up to `enter` runs in the newcomer's namespaces.

# layer NAME LOWER PLACE: changes are discarded at the end.
layer() {
  mkdir -p "$work/$1/changes" "$work/$1/work" "$3"
  mount -t overlay overlay -o "lowerdir=$2,upperdir=$work/$1/changes,workdir=$work/$1/work" "$3"
}

mount_devices() {
  local root=$1 name
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for name in null zero full random urandom tty; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
  done
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  for name in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${name%%:*}" "$root/dev/${name##*:}"
  done
}

# How this machine reaches registries.
bring_network() {
  local root=$1 file
  cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
  printf '127.0.0.1 localhost newcomer\n::1 localhost\n' >"$root/etc/hosts"
  apt-config dump | grep -iE '^Acquire::(https?|ftp)::proxy' >"$root/etc/apt/apt.conf.d/90proxy" || true
  if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
    chroot "$root" update-ca-certificates >/dev/null 2>&1
  fi
  for file in pip.conf .pip/pip.conf .config/pip/pip.conf; do
    if [ -f "$HOME/$file" ]; then install -D -m 600 "$HOME/$file" "$root/root/$file"; fi
  done
  if [ -f /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/pip.conf"; fi
  if [ -f "$HOME/.npmrc" ]; then grep -E '^(//|.*(registry|proxy|cafile))' "$HOME/.npmrc" >"$root/root/.npmrc" || true; fi
}

# At the same places, with the same times of change, folders included: for cargo, the finished build belongs to these files.
bring_sources() {
  local root=$1
  mkdir -p "$root$source"
  { git ls-tree -z -r -t -d --name-only HEAD; git ls-files -z; } | tar --create --null --no-recursion --files-from=- --file=- \
    | tar --extract --preserve-permissions --delay-directory-restore --directory="$root$source"
}

bring_build() {
  local root=$1 folder
  for folder in release module; do
    [ -d "$target/$folder" ] || stop "there is no finished build in $target/$folder: make test makes it"
    layer "$folder" "$target/$folder" "$root$target/$folder"
  done
  mkdir -p "$root$target/tools/bin"
  cp "$(command -v cargo-nextest)" "$root$target/tools/bin/" || stop 'cargo-nextest is not built: make nextest'
}

bring_rust() {
  local root=$1 cargo=${CARGO_HOME:-$HOME/.cargo} rustup=${RUSTUP_HOME:-$HOME/.rustup}
  [ -x "$cargo/bin/rustup" ] || stop "there is no rustup in $cargo/bin"
  layer cargo "$cargo" "$root/root/.cargo"
  layer rustup "$rustup" "$root/root/.rustup"
  # The programs that rustup installs; others belong to this machine.
  find "$root/root/.cargo/bin" -mindepth 1 ! -name 'rust*' ! -name 'cargo' ! -name 'cargo-clippy' ! -name 'cargo-fmt' \
    ! -name 'clippy-driver' -delete
  rm -f "$root/root/.cargo/credentials" "$root/root/.cargo/credentials.toml"
}

enter() {
  local root name clean
  work=$1
  root=$work/fresh
  # Other tools of the build folder.
  export PATH="$target/tools/bin:$PATH"
  layer root "$newcomer/root" "$root"
  mount_devices "$root"
  hostname newcomer
  bring_network "$root"
  bring_sources "$root"
  bring_build "$root"
  bring_rust "$root"
  clean=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb)
  for name in "${variables[@]}"; do
    [ -z "${!name:-}" ] || clean+=("$name=${!name}")
  done
  # Programs with their own authorities need the path of the system's, if this machine has additional ones.
  [ -z "${NODE_EXTRA_CA_CERTS:-}" ] || clean+=(NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt)
  # Where the finished build is.
  [ -z "${CARGO_TARGET_DIR:-}" ] || clean+=("CARGO_TARGET_DIR=$CARGO_TARGET_DIR")
  cd /
  exec env --ignore-environment "${clean[@]}" chroot "$root" bash "$source/tests/newcomer/steps.sh"
}

if [ "${1:-}" = enter ]; then
  enter "$2"
fi

[ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null || stop 'the fresh machine is made of Debian packages, and this system has no apt-get'
[ "$(id -u)" = 0 ] || stop 'root is needed, for a root folder of its own'

mkdir -p "$newcomer"
make_root
work=$(mktemp -d "$newcomer/run.XXXXXX")
trap 'rm -rf "$work"' EXIT
began=$SECONDS
# With the end of its first process, the kernel ends all that runs there, and takes down what is mounted.
timeout --foreground --kill-after=10 "$most_seconds" \
  unshare --mount --pid --ipc --uts --fork --kill-child -- "$BASH" tests/newcomer.sh enter "$work" \
  || stop 'what README promises does not work on a fresh Debian 12'
printf 'newcomer: make demo, tests/setup.sh and one scenario with each peer work on a fresh Debian 12 (%s s)\n' \
  "$((SECONDS - began))"
