#!/usr/bin/env bash
# The newcomer's steps of tests/newcomer.sh, on its own machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

# A longer run means that the finished build is built again.
demo_seconds=180
application=https://cockpit.localhost:8443/
jar=$(mktemp)

step() {
  printf 'newcomer: [%s s] %s\n' "$SECONDS" "$1"
}

stop() {
  printf 'newcomer: %s\n' "$@" >&2
  exit 1
}

# As a browser without scripts, which is redirected. The certificate is the demo's own, of which a browser warns.
browse() {
  curl --silent --show-error --insecure --location --max-time 30 --cookie "$jar" --cookie-jar "$jar" \
    --header 'Accept: text/html' "$@"
}

start_demo() {
  make demo >/tmp/demo.log 2>&1 &
  demo=$!
  for _ in $(seq "$demo_seconds"); do
    ! grep -q 'Ctrl-C' /tmp/demo.log || return 0
    kill -0 "$demo" 2>/dev/null || break
    sleep 1
  done
  cat /tmp/demo.log >&2
  stop "\`make demo\` did not get ready within $demo_seconds s"
}

sign_in() {
  local page request
  page=$(browse "$application")
  request=$(sed -n 's/.*name="request" value="\([^"]*\)".*/\1/p' <<<"$page")
  [ -n "$request" ] || stop 'the application does not lead to the page of the demo provider:' "$page"
  page=$(browse --data-urlencode "request=$request" --data-urlencode "account=$1" https://idp.localhost:8444/authorize)
  # Cockpit's login page, which continues by itself.
  grep -q '/.pomerium/cockpit/token' <<<"$page" || stop "signed in as $1, the application does not show Cockpit:" "$page"
}

stop_demo() {
  kill "$demo"
  wait "$demo" || true
  ! browse "$application" >/dev/null 2>&1 || stop 'the demo still answers after it was stopped'
}

step 'make demo'
start_demo
! grep -q ' Compiling ' /tmp/demo.log || { cat /tmp/demo.log >&2; stop 'the finished build was not taken for one'; }
step 'signing in'
sign_in alice@example.com
stop_demo

# Envoy with the certified provider, Glewlwyd with it, Cockpit, and both browsers in front of Cockpit.
step 'make test, one scenario with each peer'
scenarios=(
  'binary(sign_in) and test(=permitted_users_reach_the_application::envoy)'
  'binary(glewlwyd) and test(=permitted_users_of_glewlwyd_reach_the_application::envoy)'
  'binary(cockpit) and test(=cockpit_logs_in_and_runs_a_command::envoy)'
  'binary(cockpit_sso) and test(=an_administrator_signs_on_once_in_chromium::host)'
  'binary(cockpit_sso) and test(=a_user_with_limited_access_signs_on_once_in_firefox::host)'
)
filter=$(printf ' or (%s)' "${scenarios[@]}")
make test TESTS="${filter# or }" 2>&1 | tee /tmp/test.log
# A renamed test would be omitted silently.
grep -qE "Summary .* ${#scenarios[@]} tests run: ${#scenarios[@]} passed" /tmp/test.log \
  || stop "not all of the ${#scenarios[@]} scenarios were run"
step 'done'
