#!/usr/bin/env bash
# pidstat -u 1 8 prints a block each second and ends with rows that begin with "Average:", as sar's do, which are of the whole time. One expects a row for
# whoever had one before, and of %CPU a column whose sum is what the machine gave. A task that ended before the last interval has no average, however
# much CPU time it had, and already no row in the interval in which it ended; and a task that came later is averaged over the whole time, with 0 for the part
# when it was not there. So of a build, a test run or a pool that changes its workers the averages hold what happens to live still: here two
# loops computed one after the other, and the averages have one of them, with about half of what its own rows say. The wait (%wait) is
# treated alike, so that who starved and gave up is not among the averages. What helps: add the rows of the intervals, which miss the last part of each
# task only, or take what counts at the end of a task (process accounting, taskstats, a tracepoint).
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

debian sysstat=12.6.1-1
export LC_ALL=C
# shellcheck disable=SC2016
loop='echo $$ >"$1"; while ((SECONDS < $2)); do :; done'
(
    bash -c "$loop" - "$work/early" 4
    bash -c "$loop" - "$work/late" 60 || true
) 2>/dev/null &
disown
trap 'kill "$(<"$work/late")" 2>/dev/null || true; rm -rf -- "$work"' EXIT
"$work/root/usr/bin/pidstat" -u -p ALL 1 8 >"$work/rows"
read -r rows early late mean average < <(awk -v early="$(<"$work/early")" -v late="$(<"$work/late")" '
    $1 == "Average:" && $3 == early {averages++}
    $1 == "Average:" && $3 == late {average = $(NF - 2)}
    $1 != "Average:" && $3 == early {before++}
    $1 != "Average:" && $3 == late {after++; sum += $(NF - 2)}
    END {print before + 0, averages + 0, after + 0, after ? sum / after : 0, average + 0}' "$work/rows")
echo "the one that ended: $rows rows of intervals, $early of averages"
echo "the one that came later: $late rows, %CPU $mean in their mean, $average by its average"
((rows >= 2 && late >= 2)) || cannot "too few rows to tell"
((early == 0)) || changed "who has ended has an average"
awk -v m="$mean" -v a="$average" 'BEGIN {exit !(a < m * 0.9)}' || changed "an average is of the time when the task was there"
