#!/usr/bin/env bash
# A CSV with a column of numbers of 64 bits without sign (cookies, kernel addresses, hashes of stacks), of which some are above 2^63, as half of all
# hashes are. One expects an unsigned integer, or an error. pandas makes it one; DuckDB and Polars take 128 bits; but pyarrow's reader
# makes floating point of the column, whose 53 bits merge neighbours: two of three identities are one, and group by and joins believe it; DataFusion
# makes it text, whose maximum is 5. None says a word, and the same file without its few large rows is an integer for all five, so
# that a sample of it passes. The types have to be given.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

python pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 datafusion==55.0.0
seen=$(cd "$work" && "$python" - <<'P'
import datafusion, duckdb, pandas, polars, pyarrow.csv

ROWS = {"small.csv": [9, 5], "large.csv": [18446744073709551614, 18446744073709551613, 5]}


def by_datafusion(path):
    context = datafusion.SessionContext()
    context.register_csv("t", path)
    return context.sql("select * from t").to_pydict()["id"]


engines = {
    "pandas": lambda path: pandas.read_csv(path)["id"].tolist(),
    "duckdb": lambda path: [row[0] for row in duckdb.sql(f"from '{path}'").fetchall()],
    "polars": lambda path: polars.read_csv(path)["id"].to_list(),
    "pyarrow": lambda path: pyarrow.csv.read_csv(path)["id"].to_pylist(),
    "datafusion": by_datafusion,
}
for path, rows in ROWS.items():
    with open(path, "w") as out:
        out.write("id\n" + "".join(f"{row}\n" for row in rows))
    for engine, read in engines.items():
        got = read(path)
        print(f"{path}, {engine}: {type(got[0]).__name__}, {len(set(got))} of {len(rows)} distinct, maximum",
              "right" if int(max(got)) == max(rows) else max(got))
P
)
expect "what became of the numbers" "$seen" "small.csv, pandas: int, 2 of 2 distinct, maximum right
small.csv, duckdb: int, 2 of 2 distinct, maximum right
small.csv, polars: int, 2 of 2 distinct, maximum right
small.csv, pyarrow: int, 2 of 2 distinct, maximum right
small.csv, datafusion: int, 2 of 2 distinct, maximum right
large.csv, pandas: int, 3 of 3 distinct, maximum right
large.csv, duckdb: int, 3 of 3 distinct, maximum right
large.csv, polars: int, 3 of 3 distinct, maximum right
large.csv, pyarrow: float, 2 of 3 distinct, maximum 1.8446744073709552e+19
large.csv, datafusion: str, 3 of 3 distinct, maximum 5"
