#!/usr/bin/env bash
# Perfetto's compact_sched holds of a switch the time, the next task, its priority and name, and how the one before left; who that was
# follows from the switch before it on the same CPU. So of a CPU's first switch only who left is unknown: the slice that it begins has a task, a
# begin, and at the second switch an end. The trace processor takes the first switch for that knowledge alone and makes no slice of it:
# the task that came first on a CPU is missing from sched and thread_state until it is switched in again, whether that slice lasts microseconds or
# all of a short trace. It is counted in the stat compact_sched_switch_skipped, of severity info. The same four switches in the long form show it.
# Whoever writes the compact form has to write each CPU's first switch as a full event.
set -euo pipefail
# shellcheck source=findings/common/perfetto.sh
source "$(dirname -- "$0")/common/perfetto.sh"

events='idle, one, two = (0, "swapper/0"), (11, "one"), (12, "two")'
make_trace long <<P
import sys
from packets import *
$events
events = [switch(1000, idle, 0, one), switch(900000, one, 1, two), switch(950000, two, 1, one), switch(960000, one, 1, idle)]
sys.stdout.buffer.write(system("6.12.0") + bundle(0, events))
P
make_trace compact <<P
import sys
from packets import *
$events
events = [(1000, 0, 11, 120, 1), (900000, 1, 12, 120, 2), (950000, 1, 11, 120, 1), (960000, 1, 0, 120, 0)]
sys.stdout.buffer.write(system("6.12.0") + compact(0, [name for _, name in (idle, one, two)], events))
P
slices="select ts, dur, name from sched join thread using (utid) where tid > 0 order by ts"
expect "slices (ts, dur, name) of the long form" "$(ask long "$slices")" $'1000\t899000\tone\n900000\t50000\ttwo\n950000\t10000\tone'
expect "of the compact form" "$(ask compact "$slices")" $'900000\t50000\ttwo\n950000\t10000\tone'
states="select ts, dur, state from thread_state join thread using (utid) where tid = 11 and ts < 900000"
expect "states of one before its second slice, long form" "$(ask long "$states")" $'1000\t899000\tRunning'
expect "compact form" "$(ask compact "$states")" ""
stat="select value, severity from stats where name = 'compact_sched_switch_skipped'"
expect "counted" "$(ask compact "$stat")" $'1\tinfo'
