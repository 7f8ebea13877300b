#!/usr/bin/env bash
# SimPy: env.run() without an end returns when there is no event left, and env.now behind it is taken for the end of what happened, by which busy time
# is divided for a utilisation. A process that was interrupted in a timeout, or that goes on because the other side of request | timeout came first (the way
# of its own example of customers with patience), has nothing more to do with that timeout, and one expects that it is gone. It stays among the events, for
# SimPy has no way to take one out: it comes at its time, wakes nobody, and sets the clock. So the run ends when the last forgotten patience would have: here
# three jobs of 1 are done at 3, each had patience for 1000, and the utilisation by env.now is 0.003 instead of 1. The error is a tail, the longer the
# more generous the patience, and averages over time by env.now have it too. What helps: run(until=the last process), or the time of what happened last.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python simpy==4.1.1
seen=$("$python" - <<'P'
import simpy


def patient(env, cpu, ended):
    with cpu.request() as mine:
        yield mine | env.timeout(1000)
        if mine.triggered:
            yield env.timeout(1)
            ended.append(env.now)


def interrupted(env, ended):
    try:
        yield env.timeout(1000)
    except simpy.Interrupt:
        ended.append(env.now)


def interrupt(env, process):
    yield env.timeout(3)
    process.interrupt()


env, ended = simpy.Environment(), []
cpu = simpy.Resource(env)
for _ in range(3):
    env.process(patient(env, cpu, ended))
env.run()
print("patient jobs ended at", ended, "utilisation by the clock", len(ended) / env.now, "clock", env.now)
env, ended = simpy.Environment(), []
env.process(interrupt(env, env.process(interrupted(env, ended))))
env.run()
print("interrupted at", ended, "clock", env.now)
env, ended = simpy.Environment(), []
cpu = simpy.Resource(env)
last = [env.process(patient(env, cpu, ended)) for _ in range(3)][-1]
env.run(until=last)
print("until the last process: clock", env.now)
P
)
expect "ends and clocks" "$seen" "patient jobs ended at [1, 2, 3] utilisation by the clock 0.003 clock 1000
interrupted at [3] clock 1000
until the last process: clock 3"
