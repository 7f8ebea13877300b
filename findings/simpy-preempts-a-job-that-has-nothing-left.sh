#!/usr/bin/env bash
# Two periodic tasks on one CPU, of 2 in 4 and of 4 in 8: their periods are harmonic, so that rate monotonic priorities schedule them up to 100 % (Liu
# and Layland), and the second is done just at its deadline, 8, when the first comes for the third time. In SimPy's way to write that
# (PreemptiveResource, its own example of machines: on Interrupt take off what was worked, and ask again) one expects it to be done at 8. It is done
# at 14, and misses each deadline. Of two events at one instant SimPy takes the one that was put in first (docs, "Time and Scheduling"), which is the
# release, as it was known earlier; request() of it throws the other out at once, by an Interrupt of urgent priority, with nothing left to do, and the
# ready timeout is dropped. So for no work the job waits a whole turn of the other, and behind its own successor, which has asked before it. Where
# times are whole numbers, as in every text about periodic tasks, such instants are the rule, and a utilisation that is just feasible looks
# infeasible. With the first task released 1e-9 later all is as it should be. What helps: when nothing is left on an Interrupt, the job is done.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python simpy==4.1.2
seen=$("$python" - <<'P'
import simpy


def run(later):
    env = simpy.Environment()
    cpu = simpy.PreemptiveResource(env)
    done = []

    def job(name, priority, left):
        release = env.now
        while True:
            with cpu.request(priority=priority) as turn:
                begin = None
                try:
                    yield turn
                    begin = env.now
                    yield env.timeout(left)
                    break
                except simpy.Interrupt:
                    left -= 0 if begin is None else env.now - begin
        done.append((name, release, env.now))

    def task(name, priority, work, period, first):
        yield env.timeout(first)
        while True:
            env.process(job(name, priority, work))
            yield env.timeout(period)

    env.process(task("slow", 1, 4, 8, 0))
    env.process(task("quick", 0, 2, 4, later))
    env.run(until=25)
    return [(release, round(end, 3)) for name, release, end in done if name == "slow"]


print("released at once:", run(0))
print("1e-9 later:", run(1e-9))
P
)
expect "the second task's jobs (released, done), each with its deadline 8 behind the release" "$seen" "released at once: [(0, 14), (8, 22)]
1e-9 later: [(0, 8.0), (8, 16.0), (16, 24.0)]"
