#!/usr/bin/env bash
# The same text of SQL by three engines that are said to speak one dialect, PostgreSQL's. Each of them differs from each other one:
# dividing integers (DataFusion cuts, as PostgreSQL does; DuckDB and Polars give a fraction), a cast to an integer (DuckDB rounds, as PostgreSQL
# does; DataFusion and Polars cut), round() of a half in floating point (Polars goes to the even one, as PostgreSQL does; the others away from 0),
# and log(b, x), of which Polars takes the first for the number and the second for the base. So a share in per mille, a bucket by
# log(2, wait), or "run_ns / 1000" answers by engine. To be safe: cast to double, and floor() where cutting is meant.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python polars==2.1.0 duckdb==2.0.1 datafusion==55.0.0
seen=$("$python" - <<'P'
import datafusion, duckdb, polars

context = datafusion.SessionContext()
for term in ("7 / 2", "cast(3.7 as bigint)", "round(cast(2.5 as double))", "log(2.0, 8.0)"):
    answers = (
        duckdb.sql(f"select {term}").fetchall()[0][0],
        list(context.sql(f"select {term}").to_pydict().values())[0][0],
        polars.sql(f"select {term}", eager=True).item(),
    )
    print(f"{term}:", ", ".join(f"{name} {float(answer):g}" for name, answer in zip(("duckdb", "datafusion", "polars"), answers)))
P
)
expect "answers" "$seen" "7 / 2: duckdb 3.5, datafusion 3, polars 3.5
cast(3.7 as bigint): duckdb 4, datafusion 3, polars 3
round(cast(2.5 as double)): duckdb 3, datafusion 3, polars 2
log(2.0, 8.0): duckdb 3, datafusion 3, polars 0.333333"
