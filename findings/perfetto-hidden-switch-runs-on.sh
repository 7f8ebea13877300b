#!/usr/bin/env bash
# Where a sched_switch names as prev another task than the CPU's last next (a kernel that hides a switch, or lost events), Perfetto's
# trace processor counts it (mismatched_sched_switch_tids), and leaves the slice before it open: dur -1 in the middle of the
# trace, "did not finish". The task is Running to the end of the trace beside whoever really has the CPU, and a sum over dur
# takes 1 ns off instead of anything. The guess, that such a slice ends at the next switch of its CPU, is wrong.
set -euo pipefail
# shellcheck source=findings/common/perfetto.sh
source "$(dirname -- "$0")/common/perfetto.sh"

make_trace hidden <<'P'
import sys
from packets import *
events = [switch(1000, (0, "idle"), 0, (11, "one")), switch(5000, (12, "two"), 1, (13, "three")),
          switch(9000, (13, "three"), 1, (0, "idle"))]
sys.stdout.buffer.write(system("6.12.0") + bundle(0, events))
P
slices="select ts, dur, name from sched join thread using (utid) where tid > 0 order by ts"
expect "slices of one CPU (ts, dur, name)" "$(ask hidden "$slices")" $'1000\t-1\tone\n5000\t4000\tthree'
state="select name, state, dur from thread_state join thread using (utid) where state = 'Running' and tid > 0 order by ts"
expect "who runs (dur -1: to the end)" "$(ask hidden "$state")" $'one\tRunning\t-1\nthree\tRunning\t4000'
expect "counted" "$(ask hidden "select value from stats where name = 'mismatched_sched_switch_tids'")" "1"
