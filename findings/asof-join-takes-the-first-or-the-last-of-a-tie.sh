#!/usr/bin/env bash
# "The newest row at or before" joins a wakeup to the switch that follows, or a sample to the frequency it ran at. Text traces have stamps in
# microseconds, so that several rows share one. pandas (merge_asof) and Polars (join_asof) take the last of them in the order of the
# table, as one would; DuckDB's ASOF JOIN takes the first: the state before the change, not behind it. With the nearest row on either side, and
# two as near as each other, pandas takes the earlier one and Polars the later. None promises otherwise, and each does without a word.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1
seen=$("$python" - <<'P'
import duckdb, pandas, polars

wakes = pandas.DataFrame({"ts": [10]})
states = pandas.DataFrame({"ts": [5, 10, 10], "state": ["old", "first", "last"]})
sides = pandas.DataFrame({"ts": [9, 11], "state": ["earlier", "later"]})
left, right, both = map(polars.from_pandas, (wakes, states, sides))
print("at or before, pandas:", *pandas.merge_asof(wakes, states, on="ts")["state"])
print("at or before, polars:", *left.join_asof(right, on="ts")["state"])
rows = duckdb.sql("select state from wakes asof join states on wakes.ts >= states.ts").fetchall()
print("at or before, duckdb:", *(row[0] for row in rows))
print("nearest, pandas:", *pandas.merge_asof(wakes, sides, on="ts", direction="nearest")["state"])
print("nearest, polars:", *left.join_asof(both, on="ts", strategy="nearest")["state"])
P
)
expect "the row that is taken" "$seen" "at or before, pandas: last
at or before, polars: last
at or before, duckdb: first
nearest, pandas: earlier
nearest, polars: later"
