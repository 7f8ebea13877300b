#!/usr/bin/env bash
# A service level "waits up to 1 s" by Prometheus is sum(rate(wait_bucket{le="1"})) over sum(rate(wait_count)). le is a number, and two exporters with
# the same buckets, one in Python and one for Node, are expected to have the same series, all the more as both are the clients that are meant for
# these languages. It is a label, and a label is text: the client of Python writes le="1.0", that for Node le="1", as Go's does. So a fleet of both
# has the level of half its hosts, 0.50 where every wait was in time, without a word, and sum by (le) has two rows for one bucket. histogram_quantile
# takes both for one number and is right, so that the graph of p99 beside says nothing is wrong; and le="0.5" is alike in both, so that it hits only
# levels of whole seconds. Prometheus 2.42 stores what it scrapes; later ones (3.0) make one form of it at the scrape, so that the same query changes
# there. What helps: le=~"1|1.0".
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"
command -v npm >/dev/null || cannot "npm is not installed"
debian prometheus=2.42.0+ds-5+deb12u1
python prometheus-client==0.26.0
npm install --silent --no-audit --no-fund --prefix "$work" prom-client@15.1.3 >"$work/npm" 2>&1 || cannot "the package of npm cannot be installed"
echo "prom-client@15.1.3"
"$python" - >"$work/python.txt" <<'P'
from prometheus_client import CollectorRegistry, Histogram, generate_latest

registry = CollectorRegistry()
wait = Histogram("wait", "s", registry=registry, buckets=(0.5, 1))
for _ in range(10):
    wait.observe(0.7)
print(generate_latest(registry).decode())
P
(cd "$work" && node) >"$work/node.txt" <<'J'
const client = require('prom-client');
const wait = new client.Histogram({ name: 'wait', help: 's', buckets: [0.5, 1] });
for (let i = 0; i < 10; i++) wait.observe(0.7);
client.register.metrics().then(text => console.log(text));
J

# What each exporter says, as series of promtool with its name for the host.
{
    echo $'tests:\n  - interval: 1m\n    input_series:'
    for host in python node; do
        sed -nE "s/^wait_bucket\{(.*)\} ([0-9.]+)\$/      - {series: 'wait_bucket{host=\"$host\",\1}', values: \2}/p
            s/^wait_count ([0-9.]+)\$/      - {series: 'wait_count{host=\"$host\"}', values: \1}/p" "$work/$host.txt"
    done
    echo '    promql_expr_test:  # nothing is expected, so that promtool says what it got'
    for query in 'sum(wait_bucket{le="1"}) / sum(wait_count)' 'sum by (le) (wait_bucket)' 'sum(wait_bucket{le=~"1|1.0"}) / sum(wait_count)' \
        'round(histogram_quantile(0.99, sum by (le) (wait_bucket)), 0.01)'; do
        echo "      - {expr: '$query', eval_time: 0s}"
    done
} >"$work/test.yml"
"$work/root/usr/bin/promtool" test rules "$work/test.yml" >"$work/said" 2>&1 || true
seen=$(sed -nE 's/^ *got: *//p' "$work/said")
[[ $seen ]] || cannot "promtool does not run here: $(tail -n 1 "$work/said")"
expect 'the share up to le="1"; buckets; the share by le=~"1|1.0"; p99' "$seen" '{} 5E-01
{le="+Inf"} 2E+01, {le="0.5"} 0E+00, {le="1"} 1E+01, {le="1.0"} 1E+01
{} 1E+00
{} 1E+00'
