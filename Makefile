# SPDX-License-Identifier: MIT
# The front door: `make help` says what it does. Meson and ninja do the work behind it.
BUILD  ?= build
PREFIX ?= /usr/local
# Debian's own tools first, because Debian's packages are what we install and test with.
MESON  ?= $(firstword $(wildcard /usr/bin/meson) meson)
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
# Where below PREFIX the libraries go; meson's own guess is wrong on a Debian without dpkg-dev.
LIBDIR ?= $(shell tools/libdir.sh)
SETUP   = $(MESON) setup $(BUILD) $(MESON_FLAGS)
# Also a build directory that was set up for another place.
TARGET  = $(MESON) configure $(BUILD) -Dprefix=$(abspath $(PREFIX)) -Dlibdir=$(LIBDIR)
RETRY   = echo 'The build could not be configured; "make deps" installs what it needs.' >&2

.DEFAULT_GOAL := build
.PHONY: build run check test test-db test-http test-server test-nocodb bench install uninstall format clean deps help

build: $(BUILD)/build.ninja ## build everything into build/
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@$(SETUP) || { $(RETRY); exit 1; }

run: ## start the backend on SQLite at http://127.0.0.1:8000, nothing to configure
	@tools/packages.sh build
	@tools/quiet_build.sh $(BUILD) cli/weir $(SETUP)
	@exec $(BUILD)/cli/weir serve

test: ## run every test: two compilers, sanitizers, clang-tidy, format (half an hour on two cores)
	@tools/packages.sh build check test
	@$(PYTHON) tests/run_all.py

# make check T=pool_events N=a_part_of_a_name
ONE_TEST = $(if $(T),--test '$(T)') $(if $(N),-k '$(N)')
check: ## gcc: unit tests, includes, docs, format (a minute); with T=TEST only that one, with N=NAME only its functions like that
	@$(PYTHON) tests/run_all.py $(if $(T)$(N),$(ONE_TEST),--only gcc,format --suites unit,tree) || \
		{ tools/packages.sh --missing build check; exit 1; }

test-db: ## gcc: databases, on SQLite and a temporary PostgreSQL, with and without poolers
	@tools/packages.sh build check test
	@$(PYTHON) tests/run_all.py --suites db

test-http: ## gcc: HTTP sessions, against servers within the tests and a temporary nginx
	@tools/packages.sh build check test
	@$(PYTHON) tests/run_all.py --suites http

test-server: ## gcc: weir serve and the other commands, on SQLite and PostgreSQL
	@tools/packages.sh build check test
	@$(PYTHON) tests/run_all.py --suites server

# NOCODB_FLAGS=--record writes what the servers answered to tests/integration/recorded; --version=0.265.1 takes another NocoDB.
test-nocodb: ## hold weir against a live NocoDB, on SQLite and PostgreSQL, from npm (a gigabyte; not part of make test)
	@tools/packages.sh build check test
	@test -f $(BUILD)/build.ninja || $(SETUP) >&2
	@ninja -C $(BUILD) cli/weir >&2
	@tests/with_postgres.sh $(PYTHON) -B tests/nocodb/test_live.py $(BUILD)/cli/weir $(BUILD)/nocodb $(NOCODB_FLAGS)

bench: ## measure the pool, databases on SQLite and a temporary PostgreSQL, HTTP on a temporary nginx
	@tools/packages.sh build check test
	@test -f $(BUILD)/build.ninja || $(SETUP) >&2
	@ninja -C $(BUILD) bench/bench_pool bench/bench_db bench/bench_http bench/bench_metrics bench/bench_trace bench/bench_writers >&2
	@$(BUILD)/bench/bench_pool
	@$(BUILD)/bench/bench_metrics
	@$(BUILD)/bench/bench_trace
	@tests/with_postgres.sh $(BUILD)/bench/bench_db
	@$(BUILD)/bench/bench_writers
	@tests/with_nginx.sh $(BUILD)/bench/bench_http

install: $(BUILD)/build.ninja ## install into PREFIX (/usr/local) below DESTDIR
	$(TARGET)
	ninja -C $(BUILD) $$(tools/targets.py $(BUILD) installed)
	DESTDIR=$(abspath $(DESTDIR)) $(MESON) install -C $(BUILD) --no-rebuild --quiet
	@test -n "$(DESTDIR)" || tools/after_install.sh $(abspath $(PREFIX)) $(LIBDIR)

uninstall: $(BUILD)/build.ninja ## remove from PREFIX below DESTDIR what `make install` puts there
	$(TARGET)
	ninja -C $(BUILD) build.ninja
	@tools/uninstall.py $(BUILD) $(abspath $(DESTDIR))
	@test -n "$(DESTDIR)" || PATH=$$PATH:/usr/sbin:/sbin ldconfig 2>/dev/null || true

format: ## let clang-format lay out every C file
	@tools/format.sh

clean: ## remove every build directory
	rm -rf build build-*

deps: ## install the Debian packages that building and testing need
	@tools/packages.sh build check test

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18
