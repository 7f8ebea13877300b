#!/usr/bin/env bash
# A wait in a Parquet file. DuckDB has INTERVAL for it, which counts microseconds, takes sums and means of it, and writes it with COPY; one expects to
# read from the file what was written, as with every other type, or an error. Parquet's INTERVAL is three numbers of 32 bits, months, days and
# milliseconds (LogicalTypes.md), and COPY cuts: waits of 400, 999 and 1600 us come back as 0, 0 and 1 ms, a third of their sum is left, nothing is
# said, and the same SQL over the table and over its file differs. Negative ones (a lag) are an error, which shows that somebody looked. For others it
# is no duration at all: pandas and pyarrow have 12 bytes. The other way round it is no better: a duration of Arrow, which pyarrow, pandas and Polars
# write, is a plain number in Parquet with its unit in a key of Arrow's own, so that DuckDB reads BIGINT, in nanoseconds or whatever the writer's unit
# was, though it takes the same column as an INTERVAL straight from Arrow. What helps: a column of plain integers with the unit in its name.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python duckdb==2.0.1 pyarrow==26.0.1
seen=$(cd "$work" && "$python" - <<'P'
import duckdb, pyarrow, pyarrow.parquet

duckdb.sql("create table waits as select to_microseconds(us) as wait from (values (400), (999), (1600)) v(us)")
duckdb.sql("copy waits to 'waits.parquet'")
for source in "waits", "'waits.parquet'":
    print(source, *duckdb.sql(f"select typeof(any_value(wait)), list(epoch_us(wait)), sum(epoch_us(wait)) from {source}").fetchall()[0])
print("pyarrow", pyarrow.parquet.read_schema("waits.parquet").field("wait").type)
try:
    duckdb.sql("copy (select to_microseconds(-1600) as wait) to 'lag.parquet'")
except duckdb.Error:
    print("a negative one: refused")
for unit in "us", "ns":
    durations = pyarrow.table({"wait": pyarrow.array([1600], pyarrow.duration(unit))})
    pyarrow.parquet.write_table(durations, "durations.parquet")
    print(unit, *duckdb.sql("select typeof(wait), wait from 'durations.parquet'").fetchall()[0],
          *duckdb.sql("select typeof(wait), epoch_us(wait) from durations").fetchall()[0])
P
)
expect "type, microseconds and their sum; pyarrow's type; 1600 of a unit by Parquet and by Arrow" "$seen" "waits INTERVAL [400, 999, 1600] 2999
'waits.parquet' INTERVAL [0, 0, 1000] 1000
pyarrow fixed_size_binary[12]
a negative one: refused
us BIGINT 1600 INTERVAL 1600
ns BIGINT 1600 INTERVAL 1"
