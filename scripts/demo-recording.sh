#!/bin/sh
# Makes the demo recording of crates/recording/demo anew: two seconds of burners of several nice values, sleepers, and a pipeline.
# Needs root. Usage: scripts/demo-recording.sh TOMBOLA SCRUB OUT (the two programs are built by
# cargo build -p tombola && cargo build -p tombola-recording --example scrub).
set -eu
tombola=$1 scrub=$2 out=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$tombola" simulate web-and-batch --policy eevdf-linux --runs 1 --record "$dir/long.pftrace" --output /dev/null
pids=
start() { "$@" >"$dir/log" 2>&1 & pids="$pids $!"; }
start "$tombola" workload --duration 4 --nice 0
start "$tombola" workload --duration 4 --nice 5
start "$tombola" workload --duration 4 --nice 10
start "$tombola" workload --duration 4 --pattern sleep --burst 2ms --pause 8ms
start "$tombola" workload --duration 4 --pattern sleep --burst 500us --pause 19500us
# A pipe between two of them: each waits for the other.
start sh -c "exec 3>&1; while :; do $tombola convert $dir/long.pftrace - --format csv | $tombola workload --duration 0.01 >/dev/null; done"
loop=${pids##* }
sleep 0.5
"$tombola" record --duration 2s -o "$dir/raw.pftrace"
kill "$loop"
for pid in $pids; do wait "$pid" 2>/dev/null || :; done
"$scrub" "$dir/raw.pftrace" "$out" tombola
ls -l "$out"
