#!/usr/bin/env bash
# A fleet's Parquet files in folders host=NAME, the layout that every engine reads. A host's name is text; three hosts here are 007, 7 and
# 12e3 (a container's id of hexadecimal digits may look like that). DuckDB and DataFusion keep them apart. Polars guesses a number: 007 and 7
# are one host, and 12e3, once it is there, is 12000.0 and turns all others into floats. pyarrow guesses int32 as long as no name forbids it:
# 007 and 7 are one host until 12e3 comes, and from then on they are two. So which hosts there are, and how many, depends on who reads, and on
# the names of other hosts. None says a word. A name that begins with a letter is safe.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1 datafusion==55.0.0
seen=$(cd "$work" && "$python" - <<'P'
import os
import datafusion, duckdb, polars, pyarrow, pyarrow.dataset, pyarrow.parquet

for folder, hosts in (("two", ("007", "7")), ("three", ("007", "7", "12e3"))):
    for host in hosts:
        os.makedirs(f"{folder}/host={host}")
        pyarrow.parquet.write_table(pyarrow.table({"wait_ns": [1]}), f"{folder}/host={host}/part.parquet")
    context = datafusion.SessionContext()
    context.sql(f"create external table t stored as parquet partitioned by (host) location '{folder}/'").collect()
    files = f"{folder}/*/*.parquet"
    seen = {
        "duckdb": [row[0] for row in duckdb.sql(f"select host from read_parquet('{files}', hive_partitioning = true)").fetchall()],
        "datafusion": context.sql("select host from t").to_pydict()["host"],
        "polars": polars.scan_parquet(files, hive_partitioning=True).collect()["host"].to_list(),
        "pyarrow, dataset": pyarrow.dataset.dataset(folder, partitioning="hive").to_table()["host"].to_pylist(),
        "pyarrow, read_table": pyarrow.parquet.read_table(folder)["host"].to_pylist(),
    }
    for engine, names in seen.items():
        print(f"{len(hosts)} hosts by {engine}:", *sorted(set(map(repr, names))))
P
)
expect "who there is" "$seen" "2 hosts by duckdb: '007' '7'
2 hosts by datafusion: '007' '7'
2 hosts by polars: 7
2 hosts by pyarrow, dataset: 7
2 hosts by pyarrow, read_table: 7
3 hosts by duckdb: '007' '12e3' '7'
3 hosts by datafusion: '007' '12e3' '7'
3 hosts by polars: 12000.0 7.0
3 hosts by pyarrow, dataset: '007' '12e3' '7'
3 hosts by pyarrow, read_table: '007' '12e3' '7'"
