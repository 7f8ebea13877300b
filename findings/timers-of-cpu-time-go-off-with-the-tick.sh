#!/usr/bin/env bash
# A profiler asks for 10,000 signals per second of CPU time, by setitimer(ITIMER_PROF) or by timer_create() on the thread's CPU clock, whose
# resolution clock_getres(2) gives as 1 ns. With high-resolution timers in the kernel one expects about that many, or an error. Timers of CPU time are looked at only
# in the tick (run_posix_cpu_timers()), so there are as many signals as ticks: 250 per second with CONFIG_HZ=250, whatever was asked beyond
# that, and without a word from setitimer. Multiplying samples by the period that was asked for gives a 40th of the time. What runs
# in between ticks, and sleeps at each of them, is in no such profile. Time by the clocks themselves is exact all the same.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
echo "kernel $(uname -r)"
seen=$(python3 - <<'P'
import signal, time

CLOCK_MONOTONIC_COARSE = 6  # its resolution is the tick
tick = time.clock_getres(CLOCK_MONOTONIC_COARSE)
count = 0


def sample(*_):
    global count
    count += 1


signal.signal(signal.SIGPROF, sample)
print(f"resolution of the clock: {time.clock_getres(time.CLOCK_PROCESS_CPUTIME_ID) * 1e9:.0f} ns")
for per_tick in (40, 4, 0.4):
    asked, count = per_tick / tick, 0
    begin = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, 1 / asked, 1 / asked)
    while time.process_time() < begin + 1:
        pass
    signal.setitimer(signal.ITIMER_PROF, 0)
    got = count / (time.process_time() - begin)
    rates = {"as asked": asked, "as the tick": 1 / tick}
    # A host that steals time makes ticks of it that the clock of CPU time does not count, or the other way round.
    word = next((name for name, rate in rates.items() if 0.6 * rate <= got <= 1.4 * rate), f"{got:.0f}")
    print(f"{per_tick} per tick asked for:", word)
P
)
expect "signals per second of CPU time" "$seen" "resolution of the clock: 1 ns
40 per tick asked for: as the tick
4 per tick asked for: as the tick
0.4 per tick asked for: as asked"
