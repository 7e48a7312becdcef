# A thin front over Meson: each target installs what it lacks, configures once and does one thing.
# The build itself is meson.build's; a target here never adds a flag that the code depends on.

MESON := meson
SETUP := --buildtype=debugoptimized -Doptimization=2
ASAN := -Db_sanitize=address,undefined -Db_lundef=false
T ?=
S ?= 60

.PHONY: all demo check bench asan fuzz fuzz-ledger format soak claims load badinput check-kernels deb check-deb install clean

all: build/build.ninja
	@ninja -C build

build/build.ninja: | packages-build
	@test -e $@ || $(MESON) setup build $(SETUP)

build-asan/build.ninja: | packages-build
	@test -e $@ || $(MESON) setup build-asan $(SETUP) $(ASAN)

build-fuzz/build.ninja: | packages-build packages-fuzz
	@test -e $@ || CC=clang-14 $(MESON) setup build-fuzz $(SETUP) $(ASAN) -Dfuzz=true

.PHONY: packages-build packages-check packages-fuzz packages-format
packages-%:
	@tools/packages.sh $*

# Every target below prints its figures; none needs another to have run first.
demo: all packages-check
	@demo/run.sh

check: all packages-check packages-kernels build-asan/build.ninja build-tsan/build.ninja
	@tools/check.sh

asan: build-asan/build.ninja packages-check
	@rm -f build-asan/meson-logs/testlog.json
	@ninja -C build-asan
	@$(MESON) test -C build-asan --no-rebuild --print-errorlogs; python3 tools/ci_summary.py build-asan

fuzz: build-fuzz/build.ninja
	@ninja -C build-fuzz $$(ninja -C build-fuzz -t targets all | sed -n 's/^\(fuzz\/fuzz_[a-z_]*\):.*/\1/p')
	@tools/fuzz.sh build-fuzz "$(S)" $(T)

fuzz-ledger:
	@tools/fuzz.sh --ledger

bench: all packages-check
	@python3 bench/run.py

# The engine beside node, and against it: N modules that binaryen makes for each of the seeds.
N ?= 1000
SEED ?= 1
.PHONY: bench-wasm differential
bench-wasm: all packages-wasm
	@python3 bench/wasm.py build

differential: all packages-wasm
	@python3 tests/wasm/differential.py --seed $(SEED) $(N)

# The Wasm backend by ground truth, with its figures; and many guests at once under the thread sanitizer.
.PHONY: guests tsan
guests: all packages-check
	@python3 tests/wasm/backend.py --bvisor build/bvisor --figures

build-tsan/build.ninja: | packages-build
	@test -e $@ || $(MESON) setup build-tsan $(SETUP) -Db_sanitize=thread -Db_lundef=false

tsan: build-tsan/build.ninja
	@ninja -C build-tsan tests/wasm/test_wasm_many tests/wasm/test_wasm_cache
	@$(MESON) test -C build-tsan --no-rebuild --print-errorlogs 'wasm many' 'wasm cache'

# Staging beside a plain tree: N sequences of file operations; and what it costs.
.PHONY: property bench-staging
property: all
	@python3 tests/stage/property.py --bvisor build/bvisor --ops build/tests/stage/ops --sequences $(if $(filter command line,$(origin N)),$(N),10000)
	@python3 tests/stage/property.py --bvisor build/bvisor --ops build/tests/stage/ops --guest tests/stage/ops.c --sequences $(if $(filter command line,$(origin N)),$(N),10000)

bench-staging: all
	@python3 bench/staging.py

# A crash at every step of a run, a disposition and a recovery, and a medium that fails at every call.
.PHONY: crash bench-journal
crash: all
	@python3 tests/crash/crash.py build/tests/crash/bvisor-steps
	@python3 tests/crash/faults.py build/tests/crash/bvisor-steps

bench-journal: all
	@python3 bench/journal.py build
	@python3 bench/staging.py

soak: all
	@python3 tests/soak/soak.py --bvisor build/bvisor

claims: all packages-check
	@python3 tests/escape/escape.py --bvisor build/bvisor --attempts build/tests/escape --table
	@for who in root user; do python3 tests/escape/escape.py --bvisor build/bvisor --attempts build/tests/escape --audit --as $$who || \
	    [ $$? = 77 ] || exit 1; done

load: all packages-check
	@python3 tests/escape/load.py --bvisor build/bvisor --load build/tests/escape/load

# Boots Debian's kernels in virtual machines; their packages are kept in build/kernels. Writes docs/kernels.md.
check-kernels: all packages-check packages-kernels
	@tests/kernels/kernels.py --build build --docs docs/kernels.md --jobs $$(($$(nproc) + 1))

badinput: all packages-check
	@$(MESON) test -C build --no-rebuild --suite badinput --verbose

format: packages-format
	@git ls-files -co --exclude-standard -- '*.c' '*.h' | xargs clang-format -i

deb: packages-build packages-deb
	@tools/deb.sh build-deb/out

check-deb: packages-build packages-check-deb
	@tools/check_deb.sh "$$(tools/deb.sh build-deb/out)"

install: all
	@$(MESON) install -C build --no-rebuild

clean:
	@rm -rf build build-asan build-fuzz build-deb
