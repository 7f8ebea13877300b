#!/usr/bin/env bash
# perf stat -r N: "repeat command and print average + stddev" (perf-stat(1)). So one takes "0.2 +- 0.03 seconds time elapsed ( +- 15 % )" for the
# spread of the runs: two thirds of them within 0.03 s of the mean. What stands behind +- is the standard deviation of the mean, that of the runs
# divided by the root of N (stddev_stats() in tools/perf/util/stat.c, whose comment says so). A command that takes 0.1 and 0.3 s by turns, of which no
# run is within 0.09 s of the mean, has +- 15 % after ten runs and +- 7 % after forty, where its spread is near 50 % whatever N is: the more one
# repeats, the steadier any program looks, and results of different N cannot be compared by it. hyperfine and pyperf print the deviation of the runs
# behind the same sign. What helps: times the root of N, or --table, which has the runs.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
perf_of_debian
cat >"$work/by-turns" <<'B'
#!/usr/bin/env bash
read -r last <"$1"
echo $((1 - last)) >"$1"
if ((last)); then exec sleep 0.3; else exec sleep 0.1; fi
B
chmod +x "$work/by-turns"

# spread N: per cent behind +- of N runs, and that of the runs by themselves.
spread() {
    echo 0 >"$work/state"
    LC_ALL=C "$perf" stat -r "$1" --table -e task-clock "$work/by-turns" "$work/state" 2>"$work/out" >&2 || cannot "perf stat does not run here"
    awk '/seconds time elapsed/ {said = $(NF - 1) + 0} / \([+-][0-9.]+\) *#*/ && $2 ~ /^\([+-]/ {n++; sum += $1; squares += $1 * $1}
        END {mean = sum / n; printf "%d %.1f %.1f\n", n, said, 100 * sqrt((squares - n * mean * mean) / (n - 1)) / mean}' "$work/out"
}
for runs in 10 40; do
    read -r n said deviation < <(spread "$runs")
    echo "$n runs of 0.1 and 0.3 s by turns: perf says +- $said %, the standard deviation of the runs is $deviation %"
    ((n == runs)) || cannot "the table of runs reads otherwise"
    awk -v n="$n" -v said="$said" -v deviation="$deviation" 'BEGIN {ratio = said * sqrt(n) / deviation; exit !(ratio > 0.8 && ratio < 1.25 && deviation > 25)}' \
        || changed "what is behind +- is the deviation of the mean"
done
