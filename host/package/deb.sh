#!/usr/bin/env bash
# Builds the Debian packages from the programs in target/release, into target/debian, and lets lintian check them.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/debian.sh

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
made=$target/release/package
export PATH="$target/tools/bin:$PATH"
# Packages of the same commit are the same.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

command -v cargo-deb >/dev/null || cargo install cargo-deb --locked --debug --root "$target/tools"
for tool in lintian dpkg-shlibdeps; do
  command -v "$tool" >/dev/null && continue
  printf 'deb: installing Debian packages: lintian dpkg-dev\n'
  apt_install "$target/lintian.log" lintian dpkg-dev
  break
done

jetway=$target/release/jetway
rm -rf "$made"
mkdir -p "$made/man" "$target/debian"
"$jetway" manual "$made/man"
gzip -9n "$made"/man/*.1
"$jetway" completions bash >"$made/jetway.bash"
"$jetway" completions zsh >"$made/_jetway"
"$jetway" completions fish >"$made/jetway.fish"

# The version of the workspace, with Debian's revision.
version=$(cargo metadata --no-deps --format-version 1 --locked | sed 's/.*"name":"jetway","version":"\([^"]*\)".*/\1/')-1
for package in jetway jetway-cockpit-session jetway-demo; do
  {
    printf '%s (%s) unstable; urgency=medium\n\n' "$package" "$version"
    printf '  * The changes are in CHANGELOG.md of the sources.\n\n'
    printf ' -- Jetway maintainers <jetway@example.org>  %s\n' "$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")"
  } >"$made/changelog.$package"
  rm -f "$target/debian/${package}_"*.deb
  # In CI, where the packages are thrown away, with a light compression.
  cargo deb --quiet --no-build --locked --package "$package" ${CI:+--fast}
done

# Notes on style are for the maintainers of Debian's own packages.
lintian --fail-on error --tag-display-limit 0 --display-level '>=warning' --allow-root "$target"/debian/jetway*_"$version"_*.deb
printf 'deb: %s\n' "$target"/debian/jetway*_"$version"_*.deb
