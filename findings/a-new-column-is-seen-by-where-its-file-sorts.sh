#!/usr/bin/env bash
# A fleet's Parquet files, one a host. The program on one host is newer and writes one column more, "lost". One expects that column, with nulls for
# the others, or an error. What happens depends on the engine, and on whether the newer host's file sorts first, for most take the columns
# of the first file for those of all: pyarrow, pandas and DuckDB leave "lost" out without a word when that file comes second, and when
# it comes first pyarrow and pandas give nulls to the other, while DuckDB has an error. Polars has an error either way, DataFusion the column
# either way. So after a rolling update a figure appears on the day that the host with the first name gets it, and is 0 or absent in every
# sum until then. DuckDB's union_by_name, and a schema that is given to pyarrow's dataset, help who knows.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 datafusion==55.0.0
seen=$(cd "$work" && "$python" - <<'P'
import os

import datafusion, duckdb, pandas, polars, pyarrow, pyarrow.parquet

older = pyarrow.table({"host": ["older"], "run": [1]})
newer = pyarrow.table({"host": ["newer"], "run": [2], "lost": [7]})


def by_datafusion(folder):
    context = datafusion.SessionContext()
    context.register_parquet("t", folder + "/")
    return context.sql("select * from t").to_pydict()


engines = {
    "pyarrow": lambda folder: pyarrow.parquet.read_table(folder).to_pydict(),
    "pandas": lambda folder: pandas.read_parquet(folder).to_dict("list"),
    "duckdb": lambda folder: duckdb.sql(f"from '{folder}/*.parquet'").to_arrow_table().to_pydict(),
    "polars": lambda folder: polars.scan_parquet(f"{folder}/*.parquet").collect().to_dict(as_series=False),
    "datafusion": by_datafusion,
}
for folder, files in (("second", (older, newer)), ("first", (newer, older))):
    os.mkdir(folder)
    for name, table in zip("ab", files):
        pyarrow.parquet.write_table(table, f"{folder}/{name}.parquet")
    for engine, read in engines.items():
        try:
            rows = read(folder)
            assert sorted(rows["host"]) == ["newer", "older"]
            said = "there" if "lost" in rows else "left out"
        except (duckdb.Error, polars.exceptions.PolarsError) as error:
            said = "an error"
        print(f"newer file {folder}, {engine}: {said}")
P
)
expect "the column that one file has" "$seen" "newer file second, pyarrow: left out
newer file second, pandas: left out
newer file second, duckdb: left out
newer file second, polars: an error
newer file second, datafusion: there
newer file first, pyarrow: there
newer file first, pandas: there
newer file first, duckdb: an error
newer file first, polars: an error
newer file first, datafusion: there"
