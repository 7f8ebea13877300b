#!/usr/bin/env bash
# perf bench -r N, "Specify amount of times to repeat the run (default 10)", stands before the name of the collection, as if for all of them.
# Benchmarks of futexes do as it says. sched pipe and sched messaging run once whatever it says, and once where nothing is said, not ten times,
# without a message. So a figure of sched pipe "by perf bench's ten runs" is of one run, and whoever wants a median has to make the
# rounds himself. Counted here are the results that perf prints.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

perf_of_debian
for said in '' '-r 3'; do
    for benchmark in "sched pipe -l 500" "sched messaging -g 1 -l 5" "futex wake -t 4 -w 2"; do
        # shellcheck disable=SC2086
        "$perf" bench $said $benchmark >"$work/said" 2>&1 || cannot "perf bench $benchmark does not run"
        echo "${said:-nothing}, $benchmark: $(grep -cE 'Total time:|Run [0-9]' "$work/said")"
    done
done >"$work/counts"
expect "runs that were made" "$(<"$work/counts")" "nothing, sched pipe -l 500: 1
nothing, sched messaging -g 1 -l 5: 1
nothing, futex wake -t 4 -w 2: 10
-r 3, sched pipe -l 500: 1
-r 3, sched messaging -g 1 -l 5: 1
-r 3, futex wake -t 4 -w 2: 3"
