#!/usr/bin/env bash
# `make demo`: finds or starts Cockpit, then runs `jetway-demo` with the arguments given. Ctrl-C, a closed terminal (SIGHUP)
# or SIGTERM stops the processes that were started. COCKPIT_URL=URL names a Cockpit, and then nothing is installed or started
# beside Jetway.
#
# With `needs` before the arguments it only makes sure that there is what the demo needs, and installs Cockpit where it may:
# that is for before the build, which takes minutes.
#
# As root, Cockpit's web service is always started, with single sign-on in its configuration; with `--password` among the
# arguments the demo of root is the same as that of other accounts.
set -euo pipefail
cd "$(dirname "$0")/.."

jetway=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release/jetway-demo
usual=http://localhost:9090
# Where `jetway-demo` listens when the arguments do not say.
usual_address=127.0.0.1
usual_port=8443
usual_provider_port=8444
packages=(cockpit-ws cockpit-bridge cockpit-system)
# Space for a first build, in MiB, and what people read about it.
build_space=1600
first_build='about ten minutes on two cores, and 1.5 GB'
# The options of `jetway-demo`: those with a value, and those without.
options=(--host --address --provider-port --upstream --authority --session-folder --unix-user --log-level --log-format)
flags=(--password --probe --help --version -h -V)
# Lists the packages that this script has installed. The check before the build writes it, the end of the demo reads it.
installed_list=/run/jetway-demo.installed
cockpit_ws=/usr/lib/cockpit/cockpit-ws
cockpit_session=/usr/lib/cockpit/cockpit-session

folder=
cockpit_pid=
jetway_pid=
# Not empty once the demo has started, and once it has started the machine's own Cockpit.
ran=
started_socket=

# The terminal may be closed: a message that cannot be printed must not stop the clean-up.
say() {
  printf 'demo: %s\n' "$@" 2>/dev/null || true
}

give_up() {
  printf 'demo: %s\n' "$@" >&2
  exit 1
}

# Prints the processes below a process, itself included.
family() {
  local child
  printf '%s\n' "$1"
  for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
    family "$child"
  done
}

# Prints the processes of the session that a process began with setsid.
session() {
  local stat fields
  for stat in /proc/[0-9]*/stat; do
    # After the name, which may hold anything: state, parent, group, session.
    read -r -a fields < <(sed 's/.*) //' "$stat" 2>/dev/null) || continue
    [ "${fields[3]:-}" != "$1" ] || printf '%s\n' "$(basename "$(dirname "$stat")")"
  done
}

# Terminals have sessions of their own, and Cockpit leaves the message buses of its logins behind: the processes below it and
# in its session end with it.
stop_cockpit() {
  local pid below
  below=$(family "$cockpit_pid")
  kill "$cockpit_pid" 2>/dev/null || true
  wait "$cockpit_pid" 2>/dev/null || true
  for pid in $below $(session "$cockpit_pid"); do
    kill "$pid" 2>/dev/null || true
  done
  say "removed: Cockpit's web service of the demo, its logins and its configuration"
}

# Says what the demo leaves on this machine.
say_what_stays() {
  local name names=
  while read -r name; do
    ! has_package "$name" || names="$names $name"
  done < <(sort -u "$installed_list" 2>/dev/null)
  [ -z "$names" ] || say "stays: the packages that the demo has installed: sudo apt-get purge --autoremove$names"
  [ -z "$started_socket" ] || say 'stays: cockpit.socket, which the demo has started: sudo systemctl disable --now cockpit.socket'
  say "stays: the build in \`${CARGO_TARGET_DIR:-target}\`: cargo clean"
}

stop_all() {
  trap '' INT TERM HUP
  # A signal may come between a start and the line that notes it.
  [ -n "$jetway_pid" ] || [ -z "${!:-}" ] || [ "$!" = "$cockpit_pid" ] || jetway_pid=$!
  if [ -n "$jetway_pid" ]; then
    kill "$jetway_pid" 2>/dev/null || true
    wait "$jetway_pid" 2>/dev/null || true
  fi
  [ -z "$cockpit_pid" ] || stop_cockpit
  [ -z "$folder" ] || rm -rf "$folder"
  [ -z "$ran" ] || say_what_stays
}
trap stop_all EXIT
# Make passes on a signal that its group gets as well, and people press Ctrl-C twice: an `exit` within `stop_all` would
# leave Cockpit running.
trap "trap '' INT TERM HUP; exit 0" INT TERM HUP

# What `jetway-demo` would find at a URL: ready, refuses, unknown or silent.
state_of() {
  local answer
  answer=$("$jetway" "${arguments[@]}" --upstream "$1" --probe) || exit 1
  printf '%s' "${answer%%$'\n'*}"
}

runs_systemd() {
  [ -d /run/systemd/system ]
}

has_package() {
  [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = 'install ok installed' ]
}

# Prints the packages of the demo that are missing. Single sign-on needs a sudo as well: alice becomes root by it.
missing_packages() {
  local name
  for name in "${packages[@]}"; do
    has_package "$name" || printf '%s\n' "$name"
  done
  ! wants_single_sign_on || [ -d /etc/sudoers.d ] || printf 'sudo\n'
}

installed() {
  [ -z "$(missing_packages)" ]
}

install_cockpit() {
  local missing command
  mapfile -t missing < <(missing_packages)
  command="apt-get install --no-install-recommends ${missing[*]}"
  command -v apt-get >/dev/null || give_up \
    "Cockpit is not installed on this machine, and there is no apt-get to install it with" \
    'install and start Cockpit, or name one elsewhere: COCKPIT_URL=http://host:9090 make demo'
  [ "$(id -u)" = 0 ] || give_up \
    'Cockpit is not installed on this machine. Either install it:' \
    "    sudo $command" \
    'or let this script do it: sudo make demo' \
    'or name a Cockpit elsewhere: COCKPIT_URL=http://host:9090 make demo'
  say "installing from the distribution: $command"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || say 'apt-get update has failed; the packages that it knows are tried'
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || give_up \
    "Cockpit cannot be installed: $command" \
    'install it by hand, or name one elsewhere: COCKPIT_URL=http://host:9090 make demo'
  printf '%s\n' "${missing[@]}" >>"$installed_list"
}

# answers IP PORT: whether something listens there.
answers() {
  (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

free_port() {
  local port
  for port in $(seq 9091 9199); do
    answers 127.0.0.1 "$port" || { printf '%s' "$port"; return; }
  done
  give_up 'there is no free port between 9091 and 9199 for a Cockpit of our own'
}

# Since version 330 logins go through units of systemd, and the account exists only while they run.
can_start_cockpit() {
  [ "$(id -u)" = 0 ] && getent passwd cockpit-wsinstance >/dev/null && [ -u "$cockpit_session" ]
}

ensure_root_to_start_cockpit() {
  [ "$(id -u)" = 0 ] || give_up "starting Cockpit's web service needs root: sudo make demo" \
    'or name one that runs: COCKPIT_URL=http://host:9090 make demo'
}

# A web service of our own on loopback, with a configuration that fits; the machine's own configuration stays as it is.
start_cockpit() {
  local port=$1
  ensure_root_to_start_cockpit
  can_start_cockpit || give_up \
    "this Cockpit ($(dpkg-query -W -f '${Version}' cockpit-ws)) can only be started by systemd" \
    'start it with systemctl start cockpit.socket, or name one elsewhere: COCKPIT_URL=http://host:9090 make demo'
  folder=$(mktemp -d)
  mkdir "$folder/cockpit" "$folder/session"
  if wants_single_sign_on; then
    arguments+=(--session-folder "$folder/session")
  fi
  # The first line is the finding, the rest is for cockpit.conf.
  "$jetway" "${arguments[@]}" --upstream "http://127.0.0.1:$port" --probe | tail -n +2 >"$folder/cockpit/cockpit.conf"
  chmod -R a+rX "$folder"
  say "starting Cockpit's web service on 127.0.0.1:$port with a configuration of its own"
  # A session of its own, so that Ctrl-C reaches it through this script only.
  (cd / && exec setsid setpriv --reuid cockpit-wsinstance --regid cockpit-wsinstance --clear-groups \
    env XDG_CONFIG_DIRS="$folder" "$cockpit_ws" --no-tls --address 127.0.0.1 --port "$port") \
    >"$folder/log" 2>&1 </dev/null &
  cockpit_pid=$!
  COCKPIT_URL=http://127.0.0.1:$port
  for _ in $(seq 100); do
    kill -0 "$cockpit_pid" 2>/dev/null || break
    # Another program could answer on the port; then Cockpit cannot listen, and has ended by now.
    if [ "$(state_of "$COCKPIT_URL")" = ready ] && kill -0 "$cockpit_pid" 2>/dev/null; then return 0; fi
    sleep 0.1
  done
  cat "$folder/log" >&2
  give_up "Cockpit's web service did not start"
}

wants_single_sign_on() {
  local argument
  [ "$(id -u)" = 0 ] || return 1
  for argument in "${arguments[@]}"; do
    [ "$argument" != --password ] || return 1
  done
}

# Sets COCKPIT_URL to a Cockpit that is ready, starting one where necessary.
find_cockpit() {
  local state
  if wants_single_sign_on; then
    installed || install_cockpit
    if can_start_cockpit; then
      start_cockpit "$(free_port)"
      return
    fi
    say 'this Cockpit can only be started by systemd: it asks for a password here; `jetway cockpit setup` ends that'
  fi
  state=$(state_of "$usual")
  if [ "$state" = silent ]; then
    installed || install_cockpit
    if runs_systemd && [ "$(id -u)" = 0 ]; then
      say 'starting Cockpit: systemctl start cockpit.socket (it stays on, as the package means it to)'
      systemctl start cockpit.socket || give_up 'cockpit.socket does not start: systemctl status cockpit.socket'
      started_socket=yes
      state=$(state_of "$usual")
    fi
  fi
  case $state in
    ready)
      COCKPIT_URL=$usual
      ;;
    silent)
      start_cockpit 9090
      ;;
    refuses)
      # With TLS, Cockpit compares the browser's origin with the public host name, which Jetway then passes on.
      if [ "$(state_of https://localhost:9090)" = ready ]; then
        COCKPIT_URL=https://localhost:9090
        say "$usual would refuse our address, https://localhost:9090 takes it: using that"
      elif ! can_start_cockpit; then
        # Jetway prints what that Cockpit needs.
        COCKPIT_URL=$usual
      else
        say "the Cockpit at $usual would refuse our address: it stays as it is"
        start_cockpit "$(free_port)"
      fi
      ;;
    unknown)
      say "what answers at $usual is not a Cockpit that can be used"
      installed || install_cockpit
      start_cockpit "$(free_port)"
      ;;
    *)
      give_up "jetway-demo --probe says \`$state\`"
      ;;
  esac
}

# argument NAME OTHERWISE: the value that the arguments give to a name.
argument() {
  local place value=$2
  for ((place = 0; place < ${#arguments[@]}; place++)); do
    case ${arguments[place]} in
      "$1") value=${arguments[place + 1]:-} ;;
      "$1="*) value=${arguments[place]#*=} ;;
    esac
  done
  printf '%s' "$value"
}

# ensure_free IP PORT ARGUMENT
ensure_free() {
  local first_for_all
  first_for_all=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null || printf 1024)
  [ "$(id -u)" = 0 ] || [ "$2" -ge "$first_for_all" ] || give_up \
    "listening on port $2 needs root: sudo make demo, or choose another port: make demo ARGS=\"$3\""
  ! answers "$1" "$2" || give_up \
    "port $2 is taken on $1, and the demo listens there: stop what does, or choose another port: make demo ARGS=\"$3\""
}

# What `jetway-demo` reads itself when it is built: an address with or without a port, IPv6 with or without brackets.
ensure_free_ports() {
  local address ip port=$usual_port
  address=$(argument --address "$usual_address")
  case $address in
    \[*\]:*) ip=${address%]:*} ip=${ip#[} port=${address##*:} ;;
    *:*:*) ip=${address#[} ip=${ip%]} ;;
    *:*) ip=${address%:*} port=${address##*:} ;;
    *) ip=$address ;;
  esac
  case $port in '' | *[!0-9]*) return ;; esac
  ensure_free "$ip" "$port" '--address 127.0.0.1:PORT'
  port=$(argument --provider-port "$usual_provider_port")
  case $port in '' | *[!0-9]*) return ;; esac
  ensure_free "$ip" "$port" '--provider-port PORT'
}

# Whether a list has a word: has WORD LIST...
has() {
  local word
  for word in "${@:2}"; do
    [ "$word" != "$1" ] || return 0
  done
  return 1
}

# Refuses arguments that `jetway-demo` would refuse after the build.
ensure_known_arguments() {
  local place=0 name user
  while [ "$place" -lt "${#arguments[@]}" ]; do
    name=${arguments[place]%%=*}
    if has "$name" "${options[@]}"; then
      [ "$name" != "${arguments[place]}" ] || place=$((place + 1))
      [ "$place" -lt "${#arguments[@]}" ] || give_up "the option $name needs a value"
    else
      has "${arguments[place]}" "${flags[@]}" || give_up \
        "\`${arguments[place]}\` is not an option of the demo; it has ${options[*]} and --password"
    fi
    place=$((place + 1))
  done
  case $(argument --host '') in
    *:*:*) ;; # An IPv6 address.
    */* | *:*) give_up '--host takes a name or an IP address; the port goes to --address' ;;
  esac
  user=$(argument --unix-user '')
  [ -z "$user" ] || getent passwd -- "$user" >/dev/null || give_up \
    "there is no Unix user \`$user\` on this machine: omit --unix-user to create two for the demo"
}

# Says how long the build takes, when it is the first one, and refuses a disk that is too small for it.
announce_build() {
  local place free
  [ ! -x "$jetway" ] || return 0
  place=${CARGO_TARGET_DIR:-target}
  [ -d "$place" ] || place=.
  free=$(df --output=avail -m "$place" 2>/dev/null | tail -n 1) || return 0
  [ "${free:-$build_space}" -ge "$build_space" ] || give_up \
    "the build needs $build_space MiB, and there are ${free// /} MiB free at $place: make room, or name another folder in CARGO_TARGET_DIR"
  say "everything is there. The first build takes $first_build; later ones take seconds."
}

# What can be told without `jetway`, which may not be built yet.
ensure_needs() {
  ensure_known_arguments
  ensure_free_ports
  ensure_cockpit
  announce_build
}

ensure_cockpit() {
  [ -z "${COCKPIT_URL:-}" ] || return 0
  # What answers may do, which only `jetway-demo --probe` can tell; with single sign-on it is not asked.
  ! answers localhost 9090 || wants_single_sign_on || return 0
  installed || install_cockpit
  ensure_root_to_start_cockpit
}

if [ "${1:-}" = needs ]; then
  arguments=("${@:2}")
  ensure_needs
  exit
fi
arguments=("$@")
[ -x "$jetway" ] || give_up "\`$jetway\` is missing: run make demo, which builds it"
[ -n "${COCKPIT_URL:-}" ] || find_cockpit
export COCKPIT_URL

# Sign-ins, refusals and failures of Cockpit are worth reading here; lines about every request are not.
export RUST_LOG=${RUST_LOG:-warn,plugin=info}
"$jetway" "${arguments[@]}" </dev/null &
jetway_pid=$!
ran=yes
wait "$jetway_pid"
