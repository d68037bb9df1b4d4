# Shell functions about Debian packages, for the scripts beside this file that install some.

is_installed() {
  [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = 'install ok installed' ]
}

# apt_install LOG PACKAGE...: only the packages and their dependencies. Their services are not started:
# `policy-rc.d` is the administrator's file, which Debian's packages ask before they start one.
apt_install() {
  local log=$1 policy=/usr/sbin/policy-rc.d status=0
  shift
  # In a shell of its own, whose end removes the file, also when it is interrupted.
  (
    if [ ! -e "$policy" ]; then
      trap 'rm -f "$policy"' EXIT
      trap 'exit 130' INT TERM HUP
      printf '#!/bin/sh\nexit 101\n' >"$policy"
      chmod 755 "$policy"
    fi
    apt-get update -qq \
      && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
  ) >"$log" 2>&1 || status=$?
  [ "$status" = 0 ] || tail -n 20 "$log" >&2
  return "$status"
}

# apt_unpack LOG FOLDER PACKAGE...: puts the packages, and what they depend on and is not installed, into a folder. Nothing
# is configured, and the system stays as it is.
apt_unpack() {
  local log=$1 folder=$2 file
  shift 2
  rm -rf "$folder" "$folder.packages"
  mkdir -p "$folder" "$folder.packages/partial"
  # `--reinstall`: also when the system has it. The sandbox's user may not be able to write here.
  if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends --download-only --reinstall \
    -o "Dir::Cache::archives=$folder.packages" -o APT::Sandbox::User=root "$@"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    return 1
  fi
  for file in "$folder.packages"/*.deb; do
    dpkg-deb --extract "$file" "$folder" || return 1
  done
  rm -rf "$folder.packages"
}

# debian_mirror LABEL: the mirror of Debian, or of its security updates (Debian-Security), that this machine uses itself.
# What apt fetched last names the origins.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' \
    | awk -v label="$1" '$2 == "Debian" && $3 == label && !found { print $1; found = 1 }'
}
