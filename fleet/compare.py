#!/usr/bin/env python3
"""The shipped questions, by DuckDB and by a Spark cluster, over the same files: row for row.

compare.py DIR [--spark MASTER] [--readers]

Prints a line for each question with the time of each engine and the bytes that DuckDB read; ends with 1 if two answers differ. With --readers, sums of columns are
compared too, as DuckDB, pyarrow, Polars, DataFusion and Spark read them.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

import duckdb

HERE = pathlib.Path(__file__).resolve().parent
SQL = HERE / "sql"
VIEW = (HERE / "view.sql").read_text()
COUNTED = ["run_ns", "wait_ns", "undivided_ns", "denied_ns", "ts_ns", "switches"]


def pattern(directory):
    return f"{directory}/date=*/host=*/*.parquet"


def by_duckdb(directory):
    connection = duckdb.connect()
    quoted = pattern(directory).replace("'", "''")
    connection.execute(
        f"CREATE VIEW files AS SELECT * FROM read_parquet('{quoted}', hive_partitioning = true,"
        " hive_types = {'date': DATE, 'host': VARCHAR}, union_by_name = true)"
    )
    connection.execute(f"CREATE VIEW log AS {VIEW}")
    return connection


def spark_session(master, **settings):
    """A session at this master; its settings are those of a fleet's files, and those given."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master).appName("tombola")
    for key, value in {
        # A host called 007 is a name and no number.
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "1g",
        **settings,
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def by_spark(session, directory):
    session.read.parquet(directory).createOrReplaceTempView("files")
    session.sql(VIEW).createOrReplaceTempView("log")


def cell(value):
    return value if value is None or isinstance(value, str) else int(value)


def profiled(duck, text):
    """The rows of a question, the seconds it took, and the bytes that were read for it."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "profile.json").replace("'", "''")
        duck.execute("SET enable_profiling = 'json'")
        duck.execute(f"SET profiling_output = '{path}'")
        begin = time.monotonic()
        rows = duck.execute(text).fetchall()
        seconds = time.monotonic() - begin
        duck.execute("PRAGMA disable_profiling")
        with open(path, encoding="utf-8") as file:
            profile = json.load(file)
    # DuckDB 2 has it below "io", 1.4 at the top.
    return rows, seconds, profile.get("io", profile).get("total_bytes_read", 0)


def questions(duck, spark):
    failed = 0
    for file in sorted(SQL.glob("*.sql")):
        text = file.read_text()
        rows, seconds, read = profiled(duck, text)
        left = [tuple(map(cell, row)) for row in rows]
        line = f"{file.stem:12} {len(left):4} rows   DuckDB {seconds:7.2f} s {read / 1e6:9.2f} MB"
        if not left:
            failed += 1
            line += "   NO ROWS"
        if spark is not None:
            begin = time.monotonic()
            right = [tuple(map(cell, row)) for row in spark.sql(text).collect()]
            line += f"   Spark {time.monotonic() - begin:7.2f} s   "
            same = left == right
            line += "equal" if same else "DIFFERENT"
            if not same:
                failed += 1
                for a, b in zip(left, right):
                    if a != b:
                        line += f"\n  DuckDB {a}\n  Spark  {b}"
                        break
                line += f"\n  {len(left)} and {len(right)} rows"
        print(line, flush=True)
    return failed


def readers(directory, duck, spark):
    """Sums of columns and of the histogram, by whoever is there."""
    columns = ", ".join(f"SUM({column})" for column in COUNTED)
    found = {}
    begin = time.monotonic()
    sums = duck.execute(f"SELECT COUNT(*), {columns}, SUM(list_sum(waits)), MAX(epoch_us(ts)) FROM log").fetchone()
    found["DuckDB"] = ([int(value) for value in sums], time.monotonic() - begin)

    begin = time.monotonic()
    import pyarrow
    import pyarrow.compute as compute
    import pyarrow.dataset as dataset

    rows, sums, waits, last = 0, [0] * len(COUNTED), 0, 0
    for batch in dataset.dataset(directory, partitioning="hive").to_batches(columns=COUNTED + ["waits", "ts"]):
        rows += batch.num_rows
        for at, column in enumerate(COUNTED):
            # A sum of 64-bit numbers wraps around: of ts_ns, a few rows are beyond 2^63.
            sums[at] += int(compute.sum(batch.column(column).cast(pyarrow.decimal128(38, 0))).as_py() or 0)
        waits += compute.sum(compute.list_flatten(batch.column("waits"))).as_py() or 0
        last = max(last, compute.max(batch.column("ts").cast("int64")).as_py() or 0)
    found["pyarrow"] = ([rows, *sums, waits, last], time.monotonic() - begin)

    begin = time.monotonic()
    import polars

    frame = polars.scan_parquet(pattern(directory), hive_partitioning=False)
    # A sum of 64-bit numbers wraps around in Polars: of ts_ns, a few rows are beyond 2^63.
    wide = [polars.col(column).cast(polars.Int128).sum() for column in COUNTED]
    row = frame.select(
        polars.len(), *wide, polars.col("waits").list.sum().sum().alias("w"), polars.col("ts").max().dt.epoch("us").alias("last")
    ).collect().row(0)
    found["Polars"] = ([int(value) for value in row], time.monotonic() - begin)

    begin = time.monotonic()
    from datafusion import SessionContext

    context = SessionContext()
    context.register_parquet("log", directory, table_partition_cols=[("date", "string")])
    wide = ", ".join(f"SUM(CAST({column} AS DECIMAL(38,0)))" for column in COUNTED)
    row = context.sql(f"SELECT COUNT(*), {wide}, CAST(MAX(ts) AS BIGINT) FROM log").collect()[0]
    sums = [int(row.column(at)[0].as_py()) for at in range(row.num_columns)]
    waits = context.sql("SELECT SUM(w) FROM (SELECT UNNEST(waits) AS w FROM log)").collect()[0].column(0)[0].as_py()
    found["DataFusion"] = ([*sums[:-1], int(waits), sums[-1]], time.monotonic() - begin)

    if spark is not None:
        begin = time.monotonic()
        wide = ", ".join(f"SUM(CAST({column} AS DECIMAL(38,0)))" for column in COUNTED)
        row = spark.sql(
            f"SELECT COUNT(*), {wide}, SUM(AGGREGATE(waits, 0L, (a, b) -> a + b)), MAX(UNIX_MICROS(ts)) FROM log"
        ).collect()[0]
        found["Spark"] = ([int(value) for value in row], time.monotonic() - begin)

    reference = found["DuckDB"][0]
    failed = 0
    for name, (sums, seconds) in found.items():
        same = sums == reference
        failed += not same
        print(f"{name:12} {seconds:7.2f} s   {'equal' if same else 'DIFFERENT'}   {sums}", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--spark")
    parser.add_argument("--readers", action="store_true")
    arguments = parser.parse_args()
    duck = by_duckdb(arguments.directory)
    spark = spark_session(arguments.spark) if arguments.spark else None
    if spark is not None:
        by_spark(spark, arguments.directory)
    failed = questions(duck, spark)
    if arguments.readers:
        failed += readers(arguments.directory, duck, spark)
    if spark is not None:
        spark.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
