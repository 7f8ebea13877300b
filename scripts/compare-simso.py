"""The comparison of compare-simso.sh: the same scenario files through tombola and through SimSo."""

import contextlib
import csv
import io
import re
import resource
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from simso.configuration import Configuration
from simso.core import Model

# Scenario, policy, scheduler of SimSo.
SETS = [
    ("edf-against-rm", "edf", "simso.schedulers.EDF_mono"),
    ("edf-against-rm", "rm", "simso.schedulers.RM_mono"),
    ("liu-layland", "rm", "simso.schedulers.RM_mono"),
    ("dhall", "edf", "simso.schedulers.EDF"),
]
MEASURES = ["completed", "misses", "response max, ms", "response mean, ms", "preemptions"]


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def entries(scenario):
    """Name, period, demand and number of instances of each entry."""
    for task in scenario["task"]:
        yield task["name"], milliseconds(task["period"]), milliseconds(task["run"]), task.get("count", 1)


def simso(scenario, scheduler, seconds):
    """Results by entry, and the seconds it took: wall, CPU."""
    configuration = Configuration()
    configuration.duration = seconds * 1000 * configuration.cycles_per_ms
    for name, period, run, count in entries(scenario):
        for instance in range(count):
            configuration.add_task(
                name=f"{name} {instance}",
                identifier=len(configuration.task_info_list),
                period=period,
                activation_date=0,
                wcet=run,
                deadline=period,
                abort_on_miss=False,  # a late job goes on, as in tombola
            )
    for cpu in range(scenario.get("cpus", 1)):
        configuration.add_processor(name=f"CPU {cpu}", identifier=cpu)
    configuration.scheduler_info.clas = scheduler
    configuration.check_all()
    model = Model(configuration)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        model.run_model()
    took = time.perf_counter() - begin, time.process_time() - begin_cpu
    results = {}
    for name, *_ in entries(scenario):
        tasks = [t for key, t in model.results.tasks.items() if key.name.rsplit(" ", 1)[0] == name]
        done = [job for task in tasks for job in task.jobs if job.end_date is not None]
        responses = [job.response_time / configuration.cycles_per_ms for job in done]
        results[name] = [
            len(done),
            sum(task.exceeded_count for task in tasks),
            max(responses),
            statistics.fmean(responses),
            sum(task.preemption_inter_count + task.migration_count for task in tasks),
        ]
    return results, took


def children():
    """CPU time of the processes that this one has started and waited for, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tombola(binary, file, policy):
    """Results by entry, and the seconds the process took: wall, CPU."""
    command = [binary, "simulate", str(file), "--policy", policy, "--format", "csv"]
    begin, begin_cpu = time.perf_counter(), children()
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begin, children() - begin_cpu
    if run.returncode not in (0, 3):  # 3: an [expect] for another duration
        sys.exit(f"compare-simso: {' '.join(command)} failed: {run.stderr.strip()}")
    results = {}
    for row in csv.DictReader(io.StringIO(run.stdout)):
        results[row["task"]] = [
            round(float(row["completed"])),
            round(float(row["misses"])),
            float(row["response_max_ns"]) / 1e6,
            float(row["response_mean_ns"]) / 1e6,
            round(float(row["preemptions"])),
        ]
    return results, took


def main():
    binary, scenarios, seconds, rounds, work = sys.argv[1:]
    seconds, rounds = int(seconds), int(rounds)
    rows, times, differences = [], [], 0
    for name, policy, scheduler in SETS:
        text = Path(scenarios, f"{name}.toml").read_text(encoding="utf-8")
        scenario = tomllib.loads(text)
        file = Path(work, f"{name}.toml")
        file.write_text(re.sub(r'(?m)^duration = ".*"', f'duration = "{seconds}s"', text), encoding="utf-8")
        took = {"tombola": [], "simso": []}
        for _ in range(rounds):
            ours, time_ours = tombola(binary, file, policy)
            theirs, time_theirs = simso(scenario, scheduler, seconds)
            took["tombola"].append(time_ours)
            took["simso"].append(time_theirs)
        for task, mine in ours.items():
            cells = []
            for a, b in zip(mine, theirs[task]):
                same = abs(a - b) <= 1e-9 * max(1.0, abs(a))
                differences += not same
                cells.append(f"{a:.10g}" if same else f"**{a:.10g} / {b:.10g}**")
            rows.append((name, policy, task, *cells))
        row = [name, policy]
        for clock in 0, 1:
            fast, slow = (statistics.median(t[clock] for t in took[who]) for who in ("tombola", "simso"))
            row += [f"{fast * 1e3:.1f} ms", f"{slow:.2f} s", f"{slow / fast:.0f}"]
        times.append(row)
    print(f"Results after {seconds} s. One number: both say so; two: tombola / SimSo.\n")
    print("| set | policy | task | " + " | ".join(MEASURES) + " |\n|---|---|---|" + "---:|" * len(MEASURES))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(f"\nTime for {seconds} simulated seconds, medians of {rounds} interleaved runs:\n")
    print("| set | policy | tombola, wall | SimSo, wall | ratio | tombola, CPU | SimSo, CPU | ratio |")
    print("|---|---|" + "---:|" * 6)
    for row in times:
        print("| " + " | ".join(row) + " |")
    sys.exit(1 if differences else 0)


main()
