#!/bin/sh
# tools/check.sh - the whole test suite: every test of build/, then the unit tests, the fuzz corpora and the real launches once
# more under AddressSanitizer and UndefinedBehaviorSanitizer, and what threads share under ThreadSanitizer. `make check` calls it;
# the three builds are configured.
#
# Prints every skip with its reason and `N passed, N failed, N skipped` last; exits non-zero if anything failed.
set -u
cd "$(dirname "$0")/.." || exit 1

# A log of an earlier run must not be counted.
rm -f build/meson-logs/testlog.json build-asan/meson-logs/testlog.json build-tsan/meson-logs/testlog.json
ninja -C build || exit 1
meson test -C build --no-rebuild --print-errorlogs
# Builds what these suites need, not the attempts and benchmarks.
meson test -C build-asan --print-errorlogs --suite unit --suite fuzz --suite linux
# Where threads meet: a cache of compiled modules, and many guests at once.
meson test -C build-tsan --print-errorlogs 'wasm many' 'wasm cache'
# The logs are the truth: a test that Meson could not even start is a failure there too.
exec python3 tools/ci_summary.py build build-asan build-tsan
