#!/usr/bin/env bash
# A Perfetto trace that does not say which kernel it is from is read with the states of Linux 4.4: an idle kernel worker (I, 0x80)
# becomes "K" (wake kill), a preempted task (R+, 0x100) becomes "W" (waking), a parked one (P, 0x40) "x" (dead). There is no error and no
# count in the table stats. The guess one makes, that states of a trace without a release are those of today, is wrong by a decade.
# A writer must emit SystemInfo.utsname.release before the first event.
set -euo pipefail
# shellcheck source=findings/common/perfetto.sh
source "$(dirname -- "$0")/common/perfetto.sh"

events='events = [switch(1000, (0, "idle"), 0, (11, "worker")), switch(2000, (11, "worker"), 0x80, (12, "hog")),
          switch(3000, (12, "hog"), 0x100, (13, "parked")), switch(4000, (13, "parked"), 0x40, (0, "idle"))]'
make_trace silent <<<"import sys; from packets import *; $events
sys.stdout.buffer.write(bundle(0, events))"
make_trace named <<<"import sys; from packets import *; $events
sys.stdout.buffer.write(system('6.12.0') + bundle(0, events))"

states="select name, end_state from sched join thread using (utid) where tid > 0 order by ts"
expect "with the release 6.12.0" "$(ask named "$states")" $'worker\tI\nhog\tR+\nparked\tP'
expect "without a release" "$(ask silent "$states")" $'worker\tK\nhog\tW\nparked\tx'
errors="select count(*) from stats where value > 0 and severity in ('error', 'data_loss')"
expect "errors counted without a release" "$(ask silent "$errors")" "0"
