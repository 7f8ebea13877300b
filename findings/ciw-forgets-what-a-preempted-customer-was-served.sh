#!/usr/bin/env bash
# Ciw simulates queues, with priorities that preempt ("resume": a customer goes on later from where it was left). A server that is never without a
# customer is busy all the time: by every textbook its utilisation is the work that arrived in the time that passed, however often the work was cut. One
# expects server_utilisation to be that. Ciw adds to busy_time when a customer leaves, and then only from the last start of its service: what
# it was served before it was preempted is never added (detach_server() in ciw/node.py). So the more a server preempts, the idler it looks, and just
# under overload. The record of the customer has the same hole: its "service" row shows the last part alone, and the earlier parts are waiting_time,
# which Ciw's guide says; that the server was idle meanwhile it does not. Here one customer of 10 units is cut by nine of 1 unit each, and
# the server works from 0 to 19 without a pause. What helps: add exit_date - service_start_date over all rows, those of "interrupted service" too.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python ciw==3.2.7
seen=$("$python" - <<'P'
import ciw

never = float("inf")
network = ciw.create_network(
    arrival_distributions={"urgent": [ciw.dists.Sequential([1.0] + [2.0] * 8 + [never])], "long": [ciw.dists.Sequential([0.0, never])]},
    service_distributions={"urgent": [ciw.dists.Deterministic(1.0)], "long": [ciw.dists.Deterministic(10.0)]},
    priority_classes=({"urgent": 0, "long": 1}, ["resume"]),
    number_of_servers=[1],
)
run = ciw.Simulation(network)
run.simulate_until_max_time(19.5)
records = run.get_all_records()
ended = [record for record in records if record.record_type == "service"]
last = max(record.exit_date for record in ended)
parts = sorted((record.service_start_date, record.exit_date) for record in records)
pauses = sum(begin - end for (_, end), (begin, _) in zip(parts, parts[1:]))
print(f"served without a pause from {parts[0][0]} to {last}: pauses {pauses}, work that arrived {9 * 1.0 + 10.0}")
print("busy_time", run.nodes[1].servers[0].busy_time, "server_utilisation", round(run.nodes[1].server_utilisation, 3), "of", 19.5)
for record in ended:
    if record.customer_class == "long":
        print("the long one: service_time", record.service_time, "waiting_time", record.waiting_time)
print("exit_date - service_start_date over all rows", sum(end - begin for begin, end in parts))
P
)
expect "a server without a pause, and what Ciw says of it" "$seen" "served without a pause from 0.0 to 19.0: pauses 0.0, work that arrived 19.0
busy_time 10.0 server_utilisation 0.513 of 19.5
the long one: service_time 1.0 waiting_time 18.0
exit_date - service_start_date over all rows 19.0"
