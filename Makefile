# Thin: Meson builds, tools/setup installs what is missing, and each target is one command one could type.
#   make demo [PORT=8080]    the status page on http://127.0.0.1:8080; FRESH=1 forgets what was changed in it
#   make demo-NAME           another application of examples/: pbx (8081), helpdesk (8082), provisioning (8083), gateways (8084); make demos: all of them
#   make test                every test; the last line is "N passed, N failed"
#   make test-python         the Python package alone; -long: a million of authorizations and of publishes, 100 exits
#   make test-pythons        ... on each other CPython from 3.11 on that this machine has, pyenv's too
#   make test-pages          the tests of pages with the sanitizers' build: slower, and seldom another result
#   make test-libuv          the C tests and those with stock clients on Debian 13's libuv, on Debian 12
#   make test-valkey         the tests of Redis and of linked servers with Valkey
#   make test-php            the PHP package's tests with a million questions and a hundred exits under load
#   make test-laravel        those of Laravel alone, with this system's version of it
#   make test-hostile        thousands of clients that do the same at once, and what others notice of attacks
#   make soak                churn of all kinds for an hour (SOAK_SECONDS), and a picture of the memory; SOAK_BUILD
#   make model               the model of the cluster layer, for some minutes
#   make fuzz-hours          all fuzz targets in turn, one at a time, for FUZZ_CPU_MINUTES (240) of processor time in all
#   make fuzz-coverage       what the fuzz targets reach by their corpora, as tables
#   make bench docs fuzz autobahn format
#   make install [PREFIX=/usr/local] [DESTDIR=]

BUILD ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
FUZZ_CPU_MINUTES ?= 240
SOAK_SECONDS ?= 3600
SOAK_BUILD ?= build-release

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@tools/setup build
	meson setup $(BUILD)

# Applications whose machines move by themselves.
SIMULATED = pbx provisioning gateway-monitor
# Where people.js, the people of a demo, find it.
PORT_pbx = 8081
PORT_helpdesk = 8082
PORT_gateway-monitor = 8084

demo: demo-status-page
demo-gateways: demo-gateway-monitor

demo-%:
	@tools/setup demo
	@tools/npm-packages examples/status-page
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@ninja -C $(BUILD) examples/$*/$*
	@mkdir -p $(BUILD)/demo
	@[ -z "$(FRESH)" ] || rm -f $(BUILD)/demo/$*.db*
	@people=; [ ! -f examples/$*/people.js ] || { tools/node examples/$*/people.js http://127.0.0.1:$(or $(PORT),$(PORT_$*)) & people=$$!; }; \
	    $(BUILD)/examples/$*/$* $(if $(PORT),--port $(PORT)) --data $(BUILD)/demo/$*.db $(if $(filter $*,$(SIMULATED)),--simulate); \
	    status=$$?; [ -z "$$people" ] || kill $$people 2>/dev/null; exit $$status

# All of them, each on its own port.
demos:
	@tools/setup demo
	@tools/npm-packages examples/status-page
	@$(MAKE) --no-print-directory all
	@$(MAKE) --no-print-directory -j9 $(addprefix demo-,status-page helpdesk $(SIMULATED)) PORT=

test:
	@tools/setup test
	@tools/npm-packages
	@tools/python-packages
	@tests/run

test-pages:
	@tools/setup test
	@tools/npm-packages
	@tests/run pages

test-libuv:
	@tools/setup test
	@tools/npm-packages
	@tools/python-packages
	@tests/run libuv

test-valkey:
	@tools/setup test
	@tools/npm-packages
	@tests/run valkey

test-php:
	@tools/setup test
	@tools/npm-packages
	@PUSHERC_QUESTIONS=1000000 PUSHERC_RUNS=100 tests/run php

test-python:
	@tools/setup test
	@tools/npm-packages
	@tools/python-packages
	@tests/run python

# On each other interpreter that this machine has.
test-pythons:
	@tools/setup test
	@tools/npm-packages
	@tools/python-packages
	@tests/run pythons

test-python-long:
	@PUSHERC_LONG=1 PUSHERC_EXITS=100 $(MAKE) --no-print-directory test-python

# Many of the tests with two servers that are linked over Redis; then three, with a thousand clients of each that come and
# go for a minute.
test-cluster:
	@tools/setup test
	@tools/npm-packages
	@[ -f build/build.ninja ] || meson setup build
	@ninja -C build
	@tests/cluster/two_nodes build
	@PUSHERC_CHURN=1000:60 PUSHERC_BUILD=build tools/node --test tests/integration/cluster-churn.test.js

test-laravel:
	@tools/setup test
	@tools/npm-packages
	@tests/run laravel

test-hostile: release
	@ninja -C build-release tests/turns tests/crowd
	build-release/tests/turns 10000 20
	build-release/tests/crowd 10000 3 60000
	@tools/node tests/bench/hostile.js build-release

soak: release
	@tools/setup test
	@tools/node tests/hostile/soak.js $(SOAK_BUILD) $(SOAK_SECONDS) $(SOAK_BUILD)/soak.svg

bench:
	@tools/setup test
	@$(MAKE) --no-print-directory release
	@meson configure build-release -Dbench=enabled
	@ninja -C build-release
	@tests/bench/run build-release
	@tools/node tests/bench/authload.js build-release
	@tools/node tests/bench/tls.js build-release
	@tools/npm-packages
	@tools/python-packages
	@tests/bench/broadcast build-release

fuzz:
	@tools/setup test
	@tests/fuzz/run $(FUZZ_SECONDS)

fuzz-hours:
	@tools/setup test
	@tests/fuzz/run build
	@nice -n 19 tests/fuzz/rotate build-fuzz/tests build-fuzz/found $(FUZZ_CPU_MINUTES)

fuzz-coverage:
	@tools/setup test
	@tests/fuzz/coverage

model: all
	tests/cluster/model/run.py --schedules 3000 --steps 500
	tests/cluster/model/run.py --schedules 2000 --steps 500 --no-faults
	tests/cluster/model/cached.py
	tests/cluster/model/cached.py --no-faults
	tests/cluster/model/orders.py
	tests/cluster/model/orders.py --mild
	tests/cluster/model/rejoin.py
	tests/cluster/model/seats.py
	tests/cluster/model/seats.py --no-faults
	tests/cluster/compare.py $(BUILD)/tests/cluster/authority_host --operations 300000 --seed 2

autobahn: release
	@tools/setup test
	@tests/conformance/autobahn/run-all build-release

docs:
	@tools/setup docs
	@mkdir -p docs/reference
	doxygen docs/Doxyfile
	@echo "docs/reference/html/index.html"

format:
	@git ls-files --cached --others --exclude-standard '*.c' '*.h' '*.cpp' '*.hpp' ':!tests/abi/[0-9]*' ':!bindings/php/ffi' | xargs clang-format -i

release:
	@tools/setup build
	@[ -f build-release/build.ninja ] || meson setup build-release --buildtype=release
	@ninja -C build-release

install: release
	@meson configure build-release -Dprefix=$(PREFIX)
	meson install -C build-release $(if $(DESTDIR),--destdir=$(DESTDIR))
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

.PHONY: all demo demos demo-gateways test test-cluster test-hostile soak test-pages test-libuv test-valkey test-php test-laravel test-python test-pythons test-python-long bench fuzz fuzz-hours fuzz-coverage model autobahn docs format release install
