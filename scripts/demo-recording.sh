#!/bin/sh
# Makes the demo recording of crates/recording/demo anew: two seconds of burners of several nice values, sleepers, and a pipeline.
# Needs root. Usage: scripts/demo-recording.sh TOMBOLA SCRUB OUT (the two programs are built by
# cargo build -p tombola && cargo build -p tombola-recording --example scrub).
set -eu
tombola=$1 scrub=$2 out=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sed 's/DURATION/600s/' >"$dir/long.toml" <<'TOML'
name = "long"
duration = "DURATION"
[[task]]
name = "a"
run = "1ms"
sleep = "1ms"
TOML
"$tombola" simulate "$dir/long.toml" --policy rr --runs 1 --record "$dir/long.pftrace" --output /dev/null
cat >"$dir/load" <<LOAD
for nice in 0 5 10; do "$tombola" workload --duration 2 --nice \$nice & done
"$tombola" workload --duration 2 --pattern sleep --burst 2ms --pause 8ms &
"$tombola" workload --duration 2 --pattern sleep --burst 500us --pause 19500us &
# A pipe between two of them: each waits for the other.
timeout 2 "$tombola" convert "$dir/long.pftrace" - --format csv | timeout 2 "$tombola" info - &
wait
LOAD
# In a session of its own, whose autogroup is the heaviest: whoever else is busy hardly shows.
# shellcheck disable=SC2016 # the inner shell expands them
setsid --wait sh -c 'echo -20 >/proc/self/autogroup 2>/dev/null || :; "$1" record -o "$2" -- sh "$3"' \
    sh "$tombola" "$dir/raw.pftrace" "$dir/load" >"$dir/log" || :
"$scrub" "$dir/raw.pftrace" "$out" =tombola tombola-burn tombola-record
ls -l "$out"
