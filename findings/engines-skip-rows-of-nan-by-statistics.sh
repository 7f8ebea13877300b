#!/usr/bin/env bash
# A Parquet file with a column of ratios, one of which is NaN (0 ns of wait in 0 ns). For DuckDB and DataFusion NaN is greater than every
# number. But the writer leaves NaN out of a column's minimum and maximum, as the format asks, and both engines believe these: max(x) is 1, by the
# statistics, and "where x > 5" finds no row, for the row group is skipped, while the same condition as a FILTER finds one. From the same rows
# written without statistics, max(x) is NaN, and WHERE finds the row too. So statistics change results here, not only the time, and whether they
# are there is the writer's choice. Polars finds the row in both files, though its max(x) passes NaN over; pyarrow compares as IEEE 754 does and
# finds none in either, which agrees with itself. A ratio without a denominator is better written as null.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1 datafusion==55.0.0
seen=$(cd "$work" && "$python" - <<'P'
import datafusion, duckdb, polars, pyarrow, pyarrow.compute, pyarrow.parquet

table = pyarrow.table({"x": [0.5, float("nan"), 1.0, 0.25]})
for name, statistics in (("with", True), ("without", False)):
    path = f"{name}.parquet"
    pyarrow.parquet.write_table(table, path, write_statistics=statistics)
    context = datafusion.SessionContext()
    context.register_parquet("t", path)
    frame = polars.scan_parquet(path)
    greater = pyarrow.compute.greater(pyarrow.parquet.read_table(path)["x"], 5)

    def sql(engine, text):
        if engine == "duckdb":
            return duckdb.sql(text.format(f"'{path}'")).fetchall()[0][0]
        return list(context.sql(text.format("t")).to_pydict().values())[0][0]

    for engine in ("duckdb", "datafusion"):
        print(f"{name} statistics, {engine}: max {sql(engine, 'select max(x) from {}')}, x > 5 as a filter",
              sql(engine, "select count(*) filter (where x > 5) from {}"), "as where",
              sql(engine, "select count(*) from {} where x > 5"))
    print(f"{name} statistics, polars: max {frame.select(polars.col('x').max()).collect().item()}, x > 5 as a filter",
          frame.select((polars.col("x") > 5).sum()).collect().item(), "as where",
          frame.filter(polars.col("x") > 5).collect().height)
    print(f"{name} statistics, pyarrow: max {pyarrow.compute.max(pyarrow.parquet.read_table(path)['x'])}, x > 5 as a filter",
          pyarrow.compute.sum(greater), "as where",
          pyarrow.parquet.read_table(path, filters=[("x", ">", 5)]).num_rows)
P
)
expect "rows that are greater than 5" "$seen" "with statistics, duckdb: max 1.0, x > 5 as a filter 1 as where 0
with statistics, datafusion: max 1.0, x > 5 as a filter 1 as where 0
with statistics, polars: max 1.0, x > 5 as a filter 1 as where 1
with statistics, pyarrow: max 1.0, x > 5 as a filter 0 as where 0
without statistics, duckdb: max nan, x > 5 as a filter 1 as where 1
without statistics, datafusion: max nan, x > 5 as a filter 1 as where 1
without statistics, polars: max 1.0, x > 5 as a filter 1 as where 1
without statistics, pyarrow: max 1.0, x > 5 as a filter 0 as where 0"
