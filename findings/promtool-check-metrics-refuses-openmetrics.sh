#!/usr/bin/env bash
# Prometheus scrapes OpenMetrics, and promtool tsdb create-blocks-from openmetrics reads it, in the same program. One expects promtool check metrics,
# the linter for what an exporter serves, to read it too. It knows the older text format alone, and does not say so: an exemplar is a parse error
# ("spurious string after timestamp"), as if the exporter were wrong; without exemplars, OpenMetrics' rule that TYPE and HELP of a counter name the
# family (switches) and its sample has the suffix (switches_total) makes it say that there is no help text, and so do the _created lines. An
# exporter that has both formats passes by the older one alone; for the other, the command that makes blocks is the better check, though it
# makes of _created a series like any other.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

debian prometheus=2.42.0+ds-5+deb12u1
promtool=$work/root/usr/bin/promtool
cat >"$work/served" <<'T'
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
# HELP wait_seconds Time in the run queue.
wait_seconds_bucket{le="0.1"} 8 1700000100 # {trace_id="abc"} 0.05
wait_seconds_bucket{le="+Inf"} 10 1700000100
wait_seconds_count 10 1700000100
wait_seconds_sum 1.5 1700000100
# TYPE switches counter
# HELP switches Context switches.
switches_total 5 1700000100
switches_created 1700000000.5 1700000100
# EOF
T
check() {
    local status=0
    "$promtool" check metrics 2>&1 || status=$?
    echo "status $status"
}
expect "check metrics" "$(check <"$work/served")" 'error while linting: text format parsing error in line 4: spurious string after timestamp: " # {trace_id=\"abc\"} 0.05"
status 1'
expect "check metrics, without the exemplar" "$(sed 's/ # {.*//' "$work/served" | check)" "switches_created no help text
switches_total no help text
status 3"
status=0
"$promtool" tsdb create-blocks-from openmetrics "$work/served" "$work/blocks" >"$work/blocks.txt" 2>&1 || status=$?
# The columns are: ULID, times (3), samples, chunks, series, size.
expect "the same lines as blocks" "$(awk -v s="$status" 'END {print "samples", $5, "series", $7, "status", s}' "$work/blocks.txt")" \
    "samples 6 series 6 status 0"
