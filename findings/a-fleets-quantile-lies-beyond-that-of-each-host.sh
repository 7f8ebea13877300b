#!/usr/bin/env bash
# Prometheus' classic histograms are the ones that can be added: histogram_quantile(0.99, sum by (le) (…)) is p99 of a fleet, and whatever the
# interpolation within a bucket, one expects it between the least and the greatest p99 of its hosts. Two hosts here have the same 100 waits, and one runs a newer
# exporter, with a bucket more (le 0.5). p99 is 0.55 s of the one and 0.30 s of the other, and 0.75 s of both together. For sum by (le) gives each le
# the hosts that have it: le 0.5 holds less than le 0.1, as no cumulative count may, and histogram_quantile raises it to that, without a word in 2.42,
# so that all that both hosts have above 0.1 is taken for above 0.5. So on the day that the first host of a fleet gets finer buckets, the fleet's tail
# becomes worse, and it mends when the last has them. What helps: new buckets under a new name, or only such le as all hosts have.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

debian prometheus=2.42.0+ds-5+deb12u1
cat >"$work/test.yml" <<'Y'
tests:
  - interval: 1m
    input_series:
      - {series: 'wait_bucket{host="old",le="0.1"}', values: 98}
      - {series: 'wait_bucket{host="old",le="1"}', values: 100}
      - {series: 'wait_bucket{host="old",le="+Inf"}', values: 100}
      - {series: 'wait_bucket{host="new",le="0.1"}', values: 98}
      - {series: 'wait_bucket{host="new",le="0.5"}', values: 100}
      - {series: 'wait_bucket{host="new",le="1"}', values: 100}
      - {series: 'wait_bucket{host="new",le="+Inf"}', values: 100}
    promql_expr_test:  # nothing is expected, so that promtool says what it got
      - {expr: 'round(histogram_quantile(0.99, wait_bucket), 0.01)', eval_time: 0s}
      - {expr: 'round(histogram_quantile(0.99, sum by (le) (wait_bucket)), 0.01)', eval_time: 0s}
      - {expr: 'round(histogram_quantile(0.99, sum by (le) (wait_bucket{le!="0.5"})), 0.01)', eval_time: 0s}
Y
"$work/root/usr/bin/promtool" test rules "$work/test.yml" >"$work/said" 2>&1 || true
seen=$(sed -nE 's/^ *got: *//p' "$work/said")
[[ $seen ]] || cannot "promtool does not run here: $(tail -n 1 "$work/said")"
expect "p99 of each host, of both, and of both without the bucket that one has" "$seen" '{host="new"} 3E-01, {host="old"} 5.5E-01
{} 7.5E-01
{} 5.5E-01'
