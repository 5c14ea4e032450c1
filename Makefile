# Thin: Meson builds, tools/setup installs what is missing, and each target is one command one could type.
#   make demo [PORT=8080]    the status page on http://127.0.0.1:8080; FRESH=1 forgets what was changed in it
#   make test                every test; the last line is "N passed, N failed"
#   make bench docs fuzz autobahn format
#   make install [PREFIX=/usr/local] [DESTDIR=]

BUILD ?= build
PORT ?= 8080
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@tools/setup build
	meson setup $(BUILD)

demo:
	@tools/setup demo
	@tools/npm-packages examples/status-page
	@$(MAKE) --no-print-directory all
	@mkdir -p $(BUILD)/demo
	@[ -z "$(FRESH)" ] || rm -f $(BUILD)/demo/status-page.db*
	$(BUILD)/examples/status-page/status-page --port $(PORT) --data $(BUILD)/demo/status-page.db

test:
	@tools/setup test
	@tools/npm-packages
	@tools/python-packages
	@tests/run

bench:
	@tools/setup test
	@$(MAKE) --no-print-directory release
	@meson configure build-release -Dbench=enabled
	@ninja -C build-release
	@tests/bench/run build-release
	@tools/node tests/bench/authload.js build-release

fuzz:
	@tools/setup test
	@tests/fuzz/run $(FUZZ_SECONDS)

autobahn: release
	@tools/setup test
	@tests/conformance/autobahn/run-all build-release

docs:
	@tools/setup docs
	@mkdir -p docs/reference
	doxygen docs/Doxyfile
	@echo "docs/reference/html/index.html"

format:
	@git ls-files --cached --others --exclude-standard '*.c' '*.h' ':!tests/abi/[0-9]*' | xargs clang-format -i

release:
	@tools/setup build
	@[ -f build-release/build.ninja ] || meson setup build-release --buildtype=release
	@ninja -C build-release

install: release
	@meson configure build-release -Dprefix=$(PREFIX)
	meson install -C build-release $(if $(DESTDIR),--destdir=$(DESTDIR))
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

.PHONY: all demo test bench fuzz autobahn docs format release install
