"""Packets of a Perfetto trace by hand: what protos/perfetto/trace/*.proto say, and nothing else."""


def number(n):
    n &= (1 << 64) - 1
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def integer(field, n):
    return number(field * 8) + number(n)


def text(field, value):
    value = value.encode() if isinstance(value, str) else value
    return number(field * 8 + 2) + number(len(value)) + value


def switch(ts, prev, state, following):
    """sched_switch as a full event: (pid, name) each."""
    fields = text(1, prev[1]) + integer(2, prev[0]) + integer(3, 120) + integer(4, state)
    fields += text(5, following[1]) + integer(6, following[0]) + integer(7, 120)
    return text(2, integer(1, ts) + integer(2, prev[0]) + text(4, fields))


def wake(field, ts, waker, wakee, cpu):
    """sched_wakeup (17) or sched_waking (20)."""
    fields = text(1, wakee[1]) + integer(2, wakee[0]) + integer(3, 120) + integer(4, 1) + integer(5, cpu)
    return text(2, integer(1, ts) + integer(2, waker) + text(field, fields))


def bundle(cpu, events):
    return text(1, integer(10, 1) + text(1, integer(1, cpu) + b"".join(events)))


def system(release):
    names = text(1, "Linux") + text(2, "#1 SMP") + text(3, release) + text(4, "x86_64")
    return text(1, integer(10, 1) + text(45, text(1, names)))


def compact(cpu, names, switches):
    """compact_sched: (time, state of who leaves, next's pid, next's priority, index of its name) each."""
    times = [at for at, *_ in switches]
    columns = [[at - before for at, before in zip(times, [0, *times])], *list(zip(*switches))[1:]]
    body = b"".join(text(5, name) for name in names)
    for field, column in zip((1, 2, 3, 4, 6), columns):
        body += text(field, b"".join(map(number, column)))
    return text(1, integer(10, 1) + text(1, integer(1, cpu) + text(4, body)))
