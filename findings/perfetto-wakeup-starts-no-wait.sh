#!/usr/bin/env bash
# Two kinds of run-queue wait that Perfetto's trace processor shows as sleep, with no count of it:
#  1. traces that have sched_wakeup and no sched_waking, as many phones record them: sched_wakeup starts no Runnable state, so every wait
#     after a sleep is "S" until the task runs;
#  2. a sched_waking that comes before the switch-out of its wakee (the wakee is still on its CPU, about one sleep in a hundred): it is
#     passed over, and the sched_wakeup behind the switch-out does not mend it.
# So time in R from such traces is too small, and time in S too large by the same.
set -euo pipefail
# shellcheck source=findings/common/perfetto.sh
source "$(dirname -- "$0")/common/perfetto.sh"

make() {
    make_trace "$1" <<P
import sys
from packets import *
a, b, waker = (11, "a"), (12, "b"), (50, "w")
zero = [switch(1000, (0, "idle"), 0, a), switch(1600, a, 1, b), wake(17, 1700, 12, a, 0), switch(2500, b, 1, a), switch(3000, a, 1, (0, "idle"))]
one = [switch(900, (0, "idle"), 0, waker)] + [wake(20, at, 50, a, 0) for at in [$2]]
sys.stdout.buffer.write(system("6.12.0") + bundle(0, zero) + bundle(1, one))
P
}
make usual 1650
make early 1500
make none ''
states="select ts, dur, state from thread_state join thread using (utid) where tid = 11 and ts < 2500 order by ts"
expect "sched_waking behind the switch-out" "$(ask usual "$states")" $'1000\t600\tRunning\n1600\t50\tS\n1650\t850\tR'
expect "sched_waking before it, sched_wakeup behind it" "$(ask early "$states")" $'1000\t600\tRunning\n1600\t900\tS'
expect "sched_wakeup alone" "$(ask none "$states")" $'1000\t600\tRunning\n1600\t900\tS'
