# The entry point. `make` lists the targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The folder where rustup installs cargo, for a shell that has not read its profile since.
export PATH := $(PATH):$(HOME)/.cargo/bin

# With `sudo make demo` the build runs as the user who called sudo, whose Rust tools it needs.
ifneq ($(filter-out root,$(SUDO_USER)),)
PERSON_HOME := $(shell getent passwd $(SUDO_USER) | cut -d: -f6)
AS_PERSON := sudo -u $(SUDO_USER) env HOME=$(PERSON_HOME) PATH=$(PERSON_HOME)/.cargo/bin:$(PATH) \
  $(if $(CARGO_TARGET_DIR),CARGO_TARGET_DIR=$(CARGO_TARGET_DIR))
endif
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(TARGET_DIR)/tools
NEXTEST := PATH="$(abspath $(TOOLS))/bin:$$PATH" cargo nextest run --release --locked
# Tests that boot their own machines.
SYSTEMD := (binary_id(jetway-tests::systemd) + binary_id(jetway-tests::package))
# The fuzz targets, which `make test` runs with a few changed inputs each.
FUZZ := test(/(^|::)(fuzz|fuzzing)::/)
FUZZ_SECONDS := 30
# The tests of `make test`, as a filter expression of nextest.
TESTS := not $(SYSTEMD)
# The number of conversations of `make differential`.
CASES := 5000

.PHONY: help
help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

# Prerequisites run in order, also with `make -j`: missing programs are reported before the build, which takes minutes.
.NOTPARALLEL:

.PHONY: demo
demo: rust-tools demo-needs build ## try it: Jetway, a demo sign-in and Cockpit on this machine; ARGS="--host NAME --address IP", COCKPIT_URL=URL
	@host/demo.sh $(ARGS)

.PHONY: build
build: rust-tools ## build target/release/jetway, which carries the module, jetway-cockpit-session and jetway-demo
	$(AS_PERSON) cargo build --release --locked --package jetway --package jetway-cockpit-session --package jetway-demo

.PHONY: test
test: nextest ## install the real peers and run every test but those of test-systemd (root, Debian or Ubuntu); TESTS='test(NAME)'
	tests/setup.sh
	@$(MAKE) --no-print-directory build
	$(NEXTEST) --filterset '$(strip $(TESTS))'

.PHONY: deb
deb: build ## build the Debian packages in target/debian, and check them with lintian (Debian or Ubuntu)
	host/package/deb.sh

.PHONY: test-systemd
test-systemd: nextest ## run the packages and single sign-on on servers with systemd: Debian 12, and 13 with Cockpit of its backports (root, Debian)
	tests/setup.sh
	tests/machines.sh
	@$(MAKE) --no-print-directory deb
	$(NEXTEST) --filterset '$(SYSTEMD)'

.PHONY: test-core
test-core: rust-tools nextest ## run the tests that need nothing but Rust
	$(NEXTEST) --filterset 'not package(jetway-tests) and not (package(jetway-cockpit-session) and kind(test))'

# The development profile with incremental compilation rebuilds only the core after a change of it.
.PHONY: test-core-quick
test-core-quick: rust-tools ## run the core's unit tests without optimisation, in seconds; CORE_TESTS=gate::tests::sign_in
	CARGO_INCREMENTAL=1 cargo test --package jetway-core --lib --locked -- $(CORE_TESTS)

# For a quick whole-system test after a change of the core: link-time optimisation alone takes minutes.
.PHONY: quick-module
quick-module: rust-tools ## build the module without link-time optimisation, for JETWAY_FILTER_WASM
	cargo build --package jetway-filter --target wasm32-wasip1 --profile module --target-dir $(TARGET_DIR)/module \
	  --config profile.module.lto=false --config profile.module.codegen-units=16 --locked

.PHONY: fuzz
fuzz: rust-tools nextest ## try each parser with changed inputs for FUZZ_SECONDS=30
	JETWAY_FUZZ_SECONDS=$(FUZZ_SECONDS) $(NEXTEST) --filterset '$(FUZZ)'

.PHONY: differential
differential: rust-tools ## compare the host with Envoy in CASES=5000 generated conversations; SEED=NUMBER repeats a run
	tests/setup.sh
	@$(MAKE) --no-print-directory build
	JETWAY_DIFF_CASES=$(CASES) JETWAY_DIFF_SEED=$(or $(SEED),random) cargo test --release --locked --package jetway-tests --test differential

.PHONY: bench
bench: rust-tools ## measure CPU time and memory beside nginx and Envoy, in ten minutes (root, Debian or Ubuntu); ARGS="--only tls"
	tests/setup.sh
	tests/bench/setup.sh
	python3 -B tests/bench/bench.py $(ARGS)

.PHONY: instructions
instructions: rust-tools valgrind ## count the core's instructions per request and compare them with tests/hot-path/counts.tsv; WRITE=1 keeps them
	python3 -B tests/hot-path/instructions.py $(if $(WRITE),--write) $(if $(PROGRAM),--program $(PROGRAM))

.PHONY: profile
profile: rust-tools valgrind ## write the functions that a request's instructions are spent in to target/profile
	python3 -B tests/hot-path/instructions.py --profile $(TARGET_DIR)/profile

.PHONY: fmt
fmt: ## format the source
	cargo fmt --all

.PHONY: lint
lint: rust-tools ## formatting, clippy and documentation, with warnings as errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --document-private-items --locked

.PHONY: ci
ci: ## run all checks that a change has to pass
	.ci/run

# Helpers, which `make help` does not list. They install missing programs.

.PHONY: rust-tools
rust-tools:
	@$(AS_PERSON) host/rust-tools.sh

.PHONY: demo-needs
demo-needs:
	@host/demo.sh needs $(ARGS)

.PHONY: nextest
nextest:
	@command -v cargo-nextest >/dev/null || [ -x $(TOOLS)/bin/cargo-nextest ] || { echo "installing cargo-nextest into $(TOOLS)"; cargo install cargo-nextest --locked --debug --root $(TOOLS); }

.PHONY: valgrind
valgrind:
	@command -v valgrind >/dev/null || { . tests/debian.sh; echo 'installing valgrind'; mkdir -p $(TARGET_DIR); apt_install $(TARGET_DIR)/valgrind.log valgrind; }
