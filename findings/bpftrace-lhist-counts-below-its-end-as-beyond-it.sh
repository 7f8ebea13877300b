#!/usr/bin/env bash
# bpftrace's lhist(value, min, max, step) is a linear histogram with buckets from min to max, and one at each side for what lies outside. Where step
# does not divide max - min, one expects a last bucket that is narrower, or an error. Version 0.17 has neither: of lhist(us, 0, 1000, 300) a value
# of 950 is counted in "[1000, ...)", as beyond the end, for the index of a bucket is (value - min) / step and the labels are made of the whole
# steps alone. So "waits of a second and more" has those of 0.9 s too, and the range from 900 to 1000 has no line at all. And max() starts
# at 0: of negative numbers (a lag, a difference of clocks) there is no maximum, not even a line, where min() and stats() know the sign. As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
# shellcheck disable=SC2016
program='BEGIN {
    @us = lhist(899, 0, 1000, 300);
    @us = lhist(950, 0, 1000, 300);
    @us = lhist(999, 0, 1000, 300);
    @us = lhist(1000, 0, 1000, 300);
    @least = min(-5);
    @most = max(-5);
    @both = max(7);
    exit();
}'
bpftrace_of_debian "$program"
seen=$(sed -nE 's/^(\[[^)]*\)|@[a-z]+:.*[0-9]) *([0-9]*) *\|?.*/\1 \2/p' "$work/out" | sed 's/ *$//')
expect "899, 950, 999 and 1000; the least and the most of -5; the most of 7" "$seen" "@both: 7
@least: -5
[600, 900) 1
[1000, ...) 3"
