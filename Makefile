# Everything that is done to this repository, by name. `make help` lists it; CI calls the same targets.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# What the services are built from, on Debian 12 with a Swift 6.3 toolchain.
PACKAGES := libssl-dev libargon2-dev libpq-dev libidn2-dev libsqlite3-dev zlib1g-dev pkg-config binutils
# What the tests start or call besides.
TEST_PACKAGES := postgresql pgbouncer openssl python3 python3-venv curl jq \
	nginx haproxy apache2-bin libapache2-mod-auth-openidc nodejs golang-go
# What the benchmarks make load with; pgbench and pg_stat_statements come with postgresql.
BENCH_PACKAGES := wrk

BUILD_FLAGS := --explicit-target-dependency-import-check error
# The build id leads a debugger from the binary to its symbols.
RELEASE_FLAGS := -c release --product tessera --static-swift-stdlib -Xlinker --build-id $(BUILD_FLAGS)
# Where `make release` leaves the binary and its symbols. Not where the linker left them: the build would link again
# what has changed behind its back.
DIST := dist
BENCH_FLAGS := $(subst --product tessera,--product storage-bench,$(RELEASE_FLAGS))
VERIFIER_BENCH_FLAGS := $(subst --product tessera,--product verifier-bench,$(RELEASE_FLAGS))
EXAMPLE_FLAGS := $(subst --product tessera,--product WhoAmI,$(RELEASE_FLAGS))
# Of Benchmarks/run.py, for a quick look: --only update --seconds 2 --rounds 1
BENCH_ARGUMENTS ?=
# How many tests run at a time: many wait for a server or a clock, few for the processor.
TEST_WIDTH ?= 6
SWIFT_SOURCES := Package.swift Sources Tests Benchmarks Examples

.PHONY: help
help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Installs the system libraries that are missing (Debian)
	@scripts/install-packages $(PACKAGES)

.PHONY: test-deps
test-deps: deps ## Installs what the tests need besides: PostgreSQL, gateways, Python packages in .venv
	@scripts/install-packages $(TEST_PACKAGES)
	@scripts/python-venv

.PHONY: build
build: deps ## Builds everything for development
	swift build $(BUILD_FLAGS)

.PHONY: release
release: deps ## Builds dist/tessera, optimised, with Swift's libraries inside, and its symbols beside it
	swift build $(RELEASE_FLAGS)
	@scripts/package-binary "$$(swift build $(RELEASE_FLAGS) --show-bin-path)/tessera" $(DIST)

.PHONY: run
run: release ## Builds, then runs both services on SQLite, with nothing to configure
	@exec $(DIST)/tessera dev

# How a built test runs, after the log that its output goes to.
RUN_TESTS = swift test --skip-build --disable-xctest $(TEST_FLAGS)
# Where answers are noted, to be compared with openapi.yaml at the end.
ANSWERS := TESSERA_TEST_ANSWERS=$(CURDIR)/.build/answers
# Suites that hold times: they run alone, before the others.
TIMED := EndToEndTests\.(WorkCases|CallerShareTests|StreamPlaceTests)/
test check test-long: export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH = $(TEST_WIDTH)

.PHONY: check
check: deps ## Checks format and prose, and tests on SQLite alone, with no other program (before each commit)
	@scripts/format-check $(SWIFT_SOURCES)
	@scripts/lint-prose
	swift build --build-tests $(BUILD_FLAGS)
	@TESSERA_TEST_SCOPE=check scripts/summarise-tests .build/check.log $(RUN_TESTS) --skip EndToEndTests

.PHONY: test
test: test-deps ## Runs every test, on SQLite and on a PostgreSQL that it starts and stops
	swift build --build-tests $(BUILD_FLAGS)
	@$(if $(TEST_FLAGS),,$(ANSWERS) scripts/with-postgres scripts/summarise-tests .build/test-timed.log \
		$(RUN_TESTS) --no-parallel --filter '$(TIMED)')
	@$(ANSWERS) scripts/with-postgres scripts/summarise-tests .build/test.log \
		$(RUN_TESTS) $(if $(TEST_FLAGS),,--skip '$(TIMED)')

.PHONY: test-long
test-long: test-deps ## As test, with all rounds of the long loops, and the proofs of the security classes
	swift build --build-tests $(BUILD_FLAGS)
	@TESSERA_TEST_SCOPE=long $(ANSWERS) scripts/with-postgres scripts/summarise-tests .build/test-long-timed.log \
		$(RUN_TESTS) --no-parallel --filter '$(TIMED)'
	@TESSERA_TEST_SCOPE=long $(ANSWERS) scripts/with-postgres scripts/summarise-tests .build/test-long.log \
		$(RUN_TESTS) --skip '$(TIMED)'
	@scripts/with-postgres scripts/prove-classes

# How long `make fuzz` goes on, per service, and from where.
FUZZ_ARGUMENTS ?= --examples 200 --seconds 600 --seed $$RANDOM

.PHONY: fuzz
fuzz: release test-deps ## Asks the release binary at random what openapi.yaml allows (20 minutes; FUZZ_ARGUMENTS)
	.venv/bin/python scripts/fuzz-contract "$$(swift build $(RELEASE_FLAGS) --show-bin-path)/tessera" $(FUZZ_ARGUMENTS)

# For how long `make soak` uses the services, and with how many clients.
SOAK_ARGUMENTS ?= --seconds 1200 --clients 4

.PHONY: soak
soak: release ## Uses the release binary as many people would, and checks what that leaves (20 minutes; SOAK_ARGUMENTS)
	@python3 -I scripts/soak "$$(swift build $(RELEASE_FLAGS) --show-bin-path)/tessera" $(SOAK_ARGUMENTS)

.PHONY: graph-check
graph-check: deps ## Compares the imports and the target graph with docs/architecture.md
	swift build --build-tests $(BUILD_FLAGS)
	swift test --skip-build --disable-xctest --filter GraphTests

.PHONY: format
format: ## Formats the Swift code
	swift format --in-place --parallel --recursive $(SWIFT_SOURCES)

.PHONY: format-check
format-check: ## Refuses Swift code that is not formatted
	@scripts/format-check $(SWIFT_SOURCES)

.PHONY: prose-check
prose-check: ## Refuses hard words and long lines where scripts/prose-checked says so
	@scripts/lint-prose

.PHONY: measure
measure: release test-deps ## Measures the time to the first readyz 200 and the memory after 100 logins
	scripts/measure-start $(DIST)/tessera

.PHONY: bench-build
bench-build: test-deps
	@scripts/install-packages $(BENCH_PACKAGES)
	swift build $(RELEASE_FLAGS)
	swift build $(BENCH_FLAGS)
	swift build $(VERIFIER_BENCH_FLAGS)
	swift build $(EXAMPLE_FLAGS)

.PHONY: bench
bench: bench-build ## Measures storage beside pgbench and GRDB, with wrk (20 minutes; BENCH_ARGUMENTS)
	@python3 Benchmarks/run.py --bin-dir "$$(swift build $(RELEASE_FLAGS) --show-bin-path)" $(BENCH_ARGUMENTS)

.PHONY: bench-trust
bench-trust: bench-build ## Measures verifying, /v1/validate, introspection, and how soon a revocation is everywhere
	@python3 Benchmarks/run.py --bin-dir "$$(swift build $(RELEASE_FLAGS) --show-bin-path)" --group trust $(BENCH_ARGUMENTS)

.PHONY: bench-chat
bench-chat: bench-build ## Measures chat's data at a million messages
	@python3 Benchmarks/run.py --bin-dir "$$(swift build $(RELEASE_FLAGS) --show-bin-path)" --group chat $(BENCH_ARGUMENTS)

.PHONY: bench-large
bench-large: bench-build ## Measures growth up to 10⁶ users and 10⁷ messages, built once into .bench
	@python3 Benchmarks/run.py --bin-dir "$$(swift build $(RELEASE_FLAGS) --show-bin-path)" --large $(BENCH_ARGUMENTS)

.PHONY: clean
clean: ## Removes what was built, and .venv; keeps tessera-data
	rm -rf .build .venv $(DIST)
