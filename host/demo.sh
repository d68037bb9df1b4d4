#!/usr/bin/env bash
# `make demo`: finds or starts Cockpit, then runs `jetway-demo` with the arguments given. Ctrl-C or SIGTERM stops whatever
# was started. COCKPIT_URL=URL names a Cockpit, and then nothing is installed or started beside Jetway.
#
# With `needs` before the arguments it only makes sure that there is what the demo needs, and installs Cockpit where it may:
# that is for before the build, which takes minutes.
#
# As root, Cockpit's web service is always started, with single sign-on in its configuration; with `--password` among the
# arguments it is as it is for everybody else.
set -euo pipefail
cd "$(dirname "$0")/.."

jetway=$(realpath -m "${CARGO_TARGET_DIR:-target}")/release/jetway-demo
usual=http://localhost:9090
# Where `jetway-demo` listens when the arguments do not say.
usual_address=127.0.0.1
usual_port=8443
usual_provider_port=8444
packages=(cockpit-ws cockpit-bridge cockpit-system)
cockpit_ws=/usr/lib/cockpit/cockpit-ws
cockpit_session=/usr/lib/cockpit/cockpit-session

folder=
cockpit_pid=
jetway_pid=

say() {
  printf 'demo: %s\n' "$@"
}

give_up() {
  printf 'demo: %s\n' "$@" >&2
  exit 1
}

# Everybody below a process, itself included.
family() {
  local child
  printf '%s\n' "$1"
  for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
    family "$child"
  done
}

# Everybody in the session that a process began with setsid.
session() {
  local stat fields
  for stat in /proc/[0-9]*/stat; do
    # After the name, which may hold anything: state, parent, group, session.
    read -r -a fields < <(sed 's/.*) //' "$stat" 2>/dev/null) || continue
    [ "${fields[3]:-}" != "$1" ] || printf '%s\n' "$(basename "$(dirname "$stat")")"
  done
}

# Terminals have sessions of their own, and Cockpit leaves the message buses of its logins behind: whoever was below it or
# in its session goes with it.
stop_cockpit() {
  local pid below
  below=$(family "$cockpit_pid")
  kill "$cockpit_pid" 2>/dev/null || true
  wait "$cockpit_pid" 2>/dev/null || true
  for pid in $below $(session "$cockpit_pid"); do
    kill "$pid" 2>/dev/null || true
  done
}

stop_all() {
  trap '' INT TERM
  # A signal may come between a start and the line that notes it.
  [ -n "$jetway_pid" ] || [ -z "${!:-}" ] || [ "$!" = "$cockpit_pid" ] || jetway_pid=$!
  if [ -n "$jetway_pid" ]; then
    kill "$jetway_pid" 2>/dev/null || true
    wait "$jetway_pid" 2>/dev/null || true
  fi
  [ -z "$cockpit_pid" ] || stop_cockpit
  [ -z "$folder" ] || rm -rf "$folder"
}
trap stop_all EXIT
# Make passes on a signal that its group gets as well, and people press Ctrl-C twice: an `exit` within `stop_all` would
# leave Cockpit running.
trap "trap '' INT TERM; exit 0" INT TERM

# What `jetway-demo` would find at a URL: ready, refuses, unknown or silent.
state_of() {
  local answer
  answer=$("$jetway" "${arguments[@]}" --upstream "$1" --probe) || exit 1
  printf '%s' "${answer%%$'\n'*}"
}

runs_systemd() {
  [ -d /run/systemd/system ]
}

installed() {
  local name
  for name in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${Status}' "$name" 2>/dev/null)" = 'install ok installed' ] || return 1
  done
}

install_cockpit() {
  local command="apt-get install --no-install-recommends ${packages[*]}"
  command -v apt-get >/dev/null || give_up \
    'nothing answers at '"$usual"', and this system has no apt-get to install Cockpit with' \
    'install and start Cockpit, or name one elsewhere: COCKPIT_URL=http://host:9090 make demo'
  [ "$(id -u)" = 0 ] || give_up \
    'Cockpit is not installed on this machine. Either install it:' \
    "    sudo $command" \
    'or let this script do it: sudo make demo' \
    'or name a Cockpit elsewhere: COCKPIT_URL=http://host:9090 make demo'
  say "installing Cockpit from the distribution: $command"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
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
  "$jetway" "${arguments[@]}" --upstream "http://localhost:$port" --probe | tail -n +2 >"$folder/cockpit/cockpit.conf"
  chmod -R a+rX "$folder"
  say "starting Cockpit's web service on 127.0.0.1:$port with a configuration of its own"
  # A session of its own, so that Ctrl-C reaches it through this script only.
  (cd / && exec setsid setpriv --reuid cockpit-wsinstance --regid cockpit-wsinstance --clear-groups \
    env XDG_CONFIG_DIRS="$folder" "$cockpit_ws" --no-tls --address 127.0.0.1 --port "$port") \
    >"$folder/log" 2>&1 </dev/null &
  cockpit_pid=$!
  COCKPIT_URL=http://localhost:$port
  for _ in $(seq 100); do
    [ "$(state_of "$COCKPIT_URL")" != ready ] || return 0
    kill -0 "$cockpit_pid" 2>/dev/null || break
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
      systemctl start cockpit.socket
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

# What can be told without `jetway`, which may not be built yet.
ensure_needs() {
  ensure_free_ports
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

# Sign-ins and refusals are worth reading here, every request is not.
export RUST_LOG=${RUST_LOG:-warn,plugin=info}
"$jetway" "${arguments[@]}" </dev/null &
jetway_pid=$!
wait "$jetway_pid"
