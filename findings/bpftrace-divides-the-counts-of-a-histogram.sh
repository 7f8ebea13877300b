#!/usr/bin/env bash
# bpftrace has times in nanoseconds, and the third argument of print(@map, top, div) divides what is printed, so that print(@ns, 0, 1000) of sums,
# averages and maxima shows microseconds. One expects of a histogram the same: waits in microseconds, as many as there were. Version 0.17 divides how
# many there were and leaves the edges: of 1999 waits of 1.5 us and 999 of 3 ms it shows "[1K, 2K) 1" and "[2M, 4M) 0". The edges read as microseconds
# are a thousand times too long, which looks like an overloaded machine and not like a mistake, and whatever is rarer than div is 0 behind a bar that
# is there. The averages beside are cut, not rounded, and toward 0: of 1 and 2 it is 1, of -1 and -2 it is -1. What helps: divide what goes into
# hist(). As root.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
# shellcheck disable=SC2016
program='BEGIN {
    $i = 0;
    while ($i < 1999) { @ns = hist(1500); $i++; }
    $i = 0;
    while ($i < 999) { @ns = hist(3000000); $i++; }
    @sum = sum(2998000);
    @up = avg(1); @up = avg(2);
    @down = avg(-1); @down = avg(-2);
    print(@ns, 0, 1000); print(@sum, 0, 1000); print(@up); print(@down);
    clear(@ns); clear(@sum); clear(@up); clear(@down);
    exit();
}'
bpftrace_of_debian "$program"
seen=$(sed -nE 's/^(\[[^)]*\)) +([0-9]+) \|@.*/\1 \2/p; /^@[a-z]+: .*[0-9]/p' "$work/out")
expect "bars of the histogram by 1000; a sum of 2998000 by 1000; averages of 1 and 2, and of -1 and -2" "$seen" "[1K, 2K) 1
[2M, 4M) 0
@sum: 2998
@up: 1
@down: -1"
