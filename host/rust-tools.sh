#!/usr/bin/env bash
# Makes sure that there is what the build needs: cargo, a C compiler (for the TLS library), Linux-PAM (its library, without
# development files) and the module's Rust target.
set -euo pipefail

command -v cargo >/dev/null || {
  echo 'cargo is missing: install Rust from https://rustup.rs, or take it from your distribution' >&2
  exit 1
}
command -v cc >/dev/null || {
  echo 'a C compiler is missing: on Debian and Ubuntu, sudo apt-get install build-essential' >&2
  exit 1
}
[ "$(cc -print-file-name=libpam.so.0)" != libpam.so.0 ] || {
  echo 'Linux-PAM is missing: on Debian and Ubuntu, sudo apt-get install libpam0g' >&2
  exit 1
}
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/wasm32-wasip1" ]; then
  command -v rustup >/dev/null || {
    echo 'the Rust target wasm32-wasip1 is missing, and there is no rustup to add it: install your distribution'"'"'s package for it' >&2
    exit 1
  }
  echo 'adding the Rust target wasm32-wasip1'
  rustup target add wasm32-wasip1
fi
