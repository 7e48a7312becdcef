#!/usr/bin/env bash
# demo/run.sh - the main job, for a person to watch: build a small C project inside a boundary, then let a hostile script loose under the
# same contract, and look at the host afterwards; then one hostile program as a native one and as a Wasm guest, side by side. `make demo`
# calls it; as root it runs again as an ordinary user.
set -euo pipefail
cd "$(dirname "$0")/.."

user_id=1000
bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' plain=$'\e[0m'
fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

scratch=$(mktemp -d)
listener_pid=''
cleanup() {
    [ -z "$listener_pid" ] || kill "$listener_pid" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT
chmod 755 "$scratch"
cp build/bvisor "$scratch/bvisor"

# A listener of the demo's own on the loopback: whatever it hears left the boundary.
python3 - "$scratch" <<'PY' &
import socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(8)
open(sys.argv[1] + "/heard", "w").close()
with open(sys.argv[1] + "/port.new", "w") as port:
    port.write(str(listener.getsockname()[1]))
import os
os.rename(sys.argv[1] + "/port.new", sys.argv[1] + "/port")
while True:
    peer = listener.accept()[0]
    with open(sys.argv[1] + "/heard", "ab") as heard:
        heard.write(b"connected " + peer.recv(100) + b"\n")
PY
listener_pid=$!
for _ in $(seq 100); do [ -e "$scratch/port" ] && break || sleep 0.05; done
port=$(cat "$scratch/port")

# The budgets of the contract; an entry that this layout's planner refuses is dropped below, aloud.
declare -A budget=([wall_micros]='--wall 60s' [cpu_micros]='--cpu 40s' [resident_bytes]='--mem 512M' [process_count]='--procs 64'
    [storage_bytes]='--storage 64M')

as() { # UID COMMAND...
    local uid=$1
    shift
    if [ "$uid" = "$(id -u)" ]; then
        "$@"
    else
        setpriv --reuid="$uid" --regid="$uid" --clear-groups -- "$@"
    fi
}

demo_as() {
    local uid=$1 place="$scratch/uid-$1" dropped='' status=0 name="bvdemo$1x$$"
    local -a contract limits
    mkdir "$place" "$place/out"
    cp -r demo/project "$place/src"
    head -c 12 /dev/urandom | base64 >"$place/secret"
    [ "$uid" = "$(id -u)" ] || chown -R "$uid:$uid" "$place"

    say "== as uid $(as "$uid" id -u): $(as "$uid" "$scratch/bvisor" version)"
    contract=(--no-journal --system --ro "$place/src" --rw "$place/out" --spawn any --tmp=64M --net none --env PATH=/usr/bin:/bin)
    for dimension in wall_micros cpu_micros resident_bytes process_count storage_bytes; do
        read -r -a words <<<"${budget[$dimension]}"
        if as "$uid" "$scratch/bvisor" plan "${contract[@]}" "${words[@]}" -q -- /bin/sh -c : >"$place/plan.txt" 2>&1; then
            limits+=("${words[@]}")
        else
            status=$?
            [ "$status" = 126 ] || { cat "$place/plan.txt" >&2; fail "plan ended with $status"; }
            echo "the planner refuses ${words[*]} here:"
            sed 's/^/    /' "$place/plan.txt"
            dropped="$dropped ${words[*]}"
        fi
    done
    # A live writable root cannot be bounded without quotas: the storage budget above may be refused for that.
    [ -z "$dropped" ] || echo "so this contract goes without:$dropped"

    say "-- build the project inside the boundary"
    echo "\$ bvisor run ${contract[*]} ${limits[*]} -- /bin/sh src/build.sh src out"
    as "$uid" "$scratch/bvisor" run "${contract[@]}" "${limits[@]}" -q --report "$place/build.json" -- \
        /bin/sh "$place/src/build.sh" "$place/src" "$place/out" ||
        fail "the build failed with $?"
    as "$uid" "$scratch/bvisor" show "$place/build.json"

    say "-- run the result: reads its one input, may start nothing"
    as "$uid" "$scratch/bvisor" run --no-journal --system --rx "$place/out" --ro "$place/src" -q -- "$place/out/words" "$place/src/main.c" ||
        fail "the program failed with $?"

    say "-- a hostile script under the same contract"
    : >"$scratch/heard"
    as "$uid" "$scratch/bvisor" run "${contract[@]}" "${limits[@]}" -q --report "$place/hostile.json" -- \
        /bin/sh "$place/src/hostile.sh" "$place/secret" "$port" "$name" >"$place/hostile.txt" || status=$?
    sed 's/^/    /' "$place/hostile.txt"
    as "$uid" "$scratch/bvisor" show "$place/hostile.json"
    as "$uid" "$scratch/bvisor" verify "$place/build.json" "$place/hostile.json"

    say "-- what the host sees"
    local lost=0
    if grep -qF -f "$place/secret" "$place/hostile.txt"; then echo "the secret came out"; lost=1; else echo "the secret did not come out"; fi
    if [ -s "$scratch/heard" ]; then echo "the listener was reached: $(cat "$scratch/heard")"; lost=1; else echo "the listener heard nothing"; fi
    if pgrep -f "^$name" >/dev/null 2>&1; then echo "the daemon lives"; lost=1; else echo "the daemon is dead"; fi
    [ "$lost" = 0 ] || fail "the boundary did not hold"
    both_ways "$uid" "$place"
}

# One program, one contract, two backends: what each attempt met, and the two reports side by side.
both_ways() {
    local uid=$1 place=$2 status lost=0
    local -a contract=(--no-journal --ro "$place/src" --tmp=8M --net none --spawn none --handles 64 --wall 2s)
    say "-- the same hostile program under the same contract, native and as a Wasm guest"
    cp "$scratch/hostile.native" "$scratch/hostile.wasm" "$place/"
    [ "$uid" = "$(id -u)" ] || chown "$uid:$uid" "$place/hostile.native" "$place/hostile.wasm"
    for kind in native wasm; do
        status=0
        echo "\$ bvisor run ${contract[*]} -- hostile.$kind secret src"
        as "$uid" "$scratch/bvisor" run "${contract[@]}" -q --report "$place/$kind.json" -- "$place/hostile.$kind" "$place/secret" "$place/src" \
            >"$place/$kind.txt" || status=$?
        [ "$status" = 124 ] || fail "hostile.$kind ended with $status, and not at the wall limit"
        if grep -qF -f "$place/secret" "$place/$kind.txt"; then echo "the secret came out of hostile.$kind"; lost=1; fi
    done
    as "$uid" "$scratch/bvisor" verify "$place/native.json" "$place/wasm.json"
    python3 demo/side_by_side.py "$place/native.txt" "$place/wasm.txt" "$place/native.json" "$place/wasm.json"
    [ ! -e /etc/bvisor-demo-planted ] && [ ! -e "$place/src/planted" ] || lost=1
    [ "$lost" = 0 ] || fail "the boundary did not hold"
    echo "the host: no secret came out, nothing was planted"
}

cc -O2 -static -o "$scratch/hostile.native" demo/guest/hostile.c
clang-14 --target=wasm32-wasi --sysroot=/usr -O2 -c -o "$scratch/hostile.o" demo/guest/hostile.c
clang-14 --target=wasm32-wasi --sysroot=/usr -o "$scratch/hostile.wasm" "$scratch/hostile.o"

if [ "$(id -u)" = 0 ]; then
    demo_as 0
    demo_as "$user_id"
else
    demo_as "$(id -u)"
fi
