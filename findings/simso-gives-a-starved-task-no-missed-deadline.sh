#!/usr/bin/env bash
# SimSo simulates real-time schedulers; its Results count deadlines that were missed (exceeded_count of a task, total_exceeded_count of a run), and
# the text of the property says "True if the end_date is greater than the deadline or if the job was aborted". One expects that a job which has not
# ended long after its deadline has missed it. It has no end_date, so it counts as met (JobR.exceeded_deadline asks "end_date and …"): with
# abort_on_miss off, a task that never gets the CPU in the whole run has missed nothing, and the more it starves the better it looks. Here one CPU
# is asked for 130 % of its time. Rate monotonic starves the slow task and is said to miss no deadline at all; EDF, which shares the overload
# out, is said to miss many. By that count RM schedules what cannot be scheduled, and beats EDF. Response times have None in the same places, so a
# mean that leaves None out is of the lucky jobs only. What helps: count the jobs without an end whose absolute_deadline is before the end of the run.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python simso==0.8.5
seen=$("$python" - <<'P'
import contextlib, io

from simso.configuration import Configuration
from simso.core import Model

for name in "RM", "EDF":
    wanted = Configuration()
    wanted.duration = 100 * wanted.cycles_per_ms
    for number, (task, period, work) in enumerate([("quick", 2, 2), ("slow", 10, 3)], 1):
        wanted.add_task(name=task, identifier=number, period=period, deadline=period, wcet=work, abort_on_miss=False)
    wanted.add_processor(name="cpu", identifier=1)
    wanted.scheduler_info.clas = "simso.schedulers." + name
    wanted.check_all()
    model = Model(wanted)
    with contextlib.redirect_stdout(io.StringIO()):  # this EDF prints what it does
        model.run_model()
    for task in model.results.tasks.values():
        due = [job for job in task.jobs if job.absolute_deadline <= wanted.duration]
        late = [job for job in due if job.end_date is None or job.end_date > job.absolute_deadline]
        ended = sum(job.end_date is not None for job in due)
        print(f"{name} {task.name}: {len(due)} due, {ended} ended, {len(late)} not in time, exceeded_count {task.exceeded_count}")
    print(f"{name}: total_exceeded_count {model.results.total_exceeded_count}")
P
)
expect "what was due, and what SimSo counts as missed" "$seen" "RM quick: 50 due, 50 ended, 0 not in time, exceeded_count 0
RM slow: 10 due, 0 ended, 10 not in time, exceeded_count 0
RM: total_exceeded_count 0
EDF quick: 50 due, 39 ended, 45 not in time, exceeded_count 34
EDF slow: 10 due, 7 ended, 10 not in time, exceeded_count 7
EDF: total_exceeded_count 41"
