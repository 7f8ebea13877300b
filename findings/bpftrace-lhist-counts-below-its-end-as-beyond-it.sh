#!/usr/bin/env bash
# bpftrace's lhist(value, min, max, step) is a linear histogram with buckets from min to max, and one at each side for what lies outside. Where step
# does not divide max - min, one expects a last bucket that is narrower, or an error. Version 0.17 has neither: of lhist(us, 0, 1000, 300) a value
# of 950 is counted in "[1000, ...)", as beyond the end, for the index of a bucket is (value - min) / step and the labels are made of the whole
# steps alone. So "waits of a second and more" has those of 0.9 s too, and the range from 900 to 1000 has no line at all. And max() starts
# at 0: of negative numbers (a lag, a difference of clocks) there is no maximum, not even a line, where min() and stats() know the sign. As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, for bpf(2)"

debian bpftrace=0.17.0-1 libbpfcc=0.26.0+ds-1 libbpf1=1:1.1.2-0+deb12u1 libclang1-14=1:14.0.6-12 libllvm14=1:14.0.6-12
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu):$work/root/usr/lib/llvm-14/lib
export LD_LIBRARY_PATH LC_ALL=C
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
"$work/root/usr/bin/bpftrace" -e "$program" >"$work/out" 2>"$work/said" || cannot "bpftrace does not run here: $(tail -n 1 "$work/said")"
seen=$(sed -nE 's/^(\[[^)]*\)|@[a-z]+:.*[0-9]) *([0-9]*) *\|?.*/\1 \2/p' "$work/out" | sed 's/ *$//')
expect "899, 950, 999 and 1000; the least and the most of -5; the most of 7" "$seen" "@both: 7
@least: -5
[600, 900) 1
[1000, ...) 3"
