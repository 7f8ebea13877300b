#!/usr/bin/env bash
# An event of perf with :u is of "user-space counting", with :k of "kernel counting" (perf-list(1)), and without the right to see the kernel perf adds
# the u by itself. One expects of task-clock:u the time in user mode, and that u and k add up to the whole, as page-faults:u and :k do. The software
# clocks do not hear it: task-clock:u, task-clock:k and task-clock are one number, of a program that is in the kernel nearly all its time as of any
# other, for the kernel takes the clock of the task and looks at no mode (task_clock_event_update() in kernel/events/core.c). And a switch is always
# counted in the kernel, so that context-switches:u and cpu-migrations:u are 0, however many there were: what perf stat shows to who is no root is "0
# context-switches:u", and 0 per second, without a word. So a share task-clock:u / task-clock is 100 %, and a program that is switched all the time
# looks undisturbed. What helps: the user and sys times below, and /proc/PID/status for switches. As root, for all three.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
((EUID == 0)) || cannot "needs root, to count in the kernel"
perf_of_debian
events=task-clock,task-clock:u,task-clock:k,page-faults,page-faults:u,page-faults:k,context-switches,context-switches:u,context-switches:k
# shellcheck disable=SC2016
LC_ALL=C "$perf" stat -x, -o "$work/counts" -e "$events" bash -c 'for _ in {1..20}; do sleep 0.001; done; dd if=/dev/zero of=/dev/null bs=1 count=200000 status=none' \
    || cannot "perf stat does not run here"
grep -v '^#' "$work/counts" | cut -d, -f1,3 | tr , ' '
count() { awk -F, -v event="$1" '$3 == event {printf "%d", $1}' "$work/counts"; }
((100 * $(count task-clock:u) > 98 * $(count task-clock) && 100 * $(count task-clock:k) > 98 * $(count task-clock))) || changed "task-clock:u and :k are the whole"
(($(count page-faults:u) + $(count page-faults:k) == $(count page-faults) && $(count page-faults:k) > 0)) || changed "page-faults:u and :k add up"
(($(count context-switches) >= 20 && $(count context-switches:u) == 0)) || changed "no switch is one of user mode"
