#!/usr/bin/env python3
"""How the shipped questions grow with the fleet: time and bytes read, by DuckDB and by a Spark cluster.

bench.py --spark MASTER [--rounds N] DIR...

Prints a table in Markdown: for each directory and question the median of the rounds of each engine, and what each read. Ends with 1
if two answers differ. Every round of DuckDB is a connection of its own that keeps nothing of the files; the system has them in memory,
for both engines. Spark is warm: it answers each question once, of the smallest fleet, before anything is measured.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import compare


def load():
    return os.getloadavg()[0]


def size(directory):
    files = list(pathlib.Path(directory).glob("date=*/host=*/*.parquet"))
    return len(files), sum(file.stat().st_size for file in files)


def ask_duckdb(directory, text, rounds):
    seconds = []
    for _ in range(rounds):
        duck = compare.by_duckdb(directory)
        duck.execute("SET enable_external_file_cache = false")
        rows, took, read = compare.profiled(duck, text)
        seconds.append(took)
        duck.close()
    return [tuple(map(compare.cell, row)) for row in rows], statistics.median(seconds), read


def ask_spark(spark, text, rounds, group):
    seconds = []
    for number in range(rounds):
        spark.sparkContext.setJobGroup(f"{group} {number}", group)
        begin = time.monotonic()
        rows = spark.sql(text).collect()
        seconds.append(time.monotonic() - begin)
    return [tuple(map(compare.cell, row)) for row in rows], statistics.median(seconds)


def read_by_spark(directory):
    """Bytes that Spark's tasks read, by job group, from its log of events."""
    groups, read = {}, {}
    for file in pathlib.Path(directory).iterdir():
        with open(file, encoding="utf-8") as events:
            for event in map(json.loads, events):
                if event["Event"] == "SparkListenerJobStart":
                    group = event["Properties"].get("spark.jobGroup.id")
                    groups.update(dict.fromkeys(event["Stage IDs"], group))
                elif event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
                    group = groups.get(event["Stage ID"])
                    read[group] = read.get(group, 0) + event["Task Metrics"]["Input Metrics"]["Bytes Read"]
    return read


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directories", nargs="+")
    parser.add_argument("--spark", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    questions = sorted(compare.SQL.glob("*.sql"))
    lines, failed, loads = [], 0, [load()]
    with tempfile.TemporaryDirectory() as events:
        settings = {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": f"file:{events}",
            "spark.eventLog.compress": "false",
            "spark.eventLog.rolling.enabled": "false",
        }
        print("Spark starts, and answers each question once", flush=True)
        spark = compare.spark_session(arguments.spark, **settings)
        compare.by_spark(spark, arguments.directories[0])
        for file in questions:
            spark.sql(file.read_text()).collect()
        for directory in arguments.directories:
            files, bytes_there = size(directory)
            count = compare.by_duckdb(directory).execute("SELECT COUNT(*) FROM log").fetchone()[0]
            print(f"{directory}: {count} rows, {bytes_there} bytes in {files} files", flush=True)
            compare.by_spark(spark, directory)
            for file in questions:
                text = file.read_text()
                left, by_duckdb, read = ask_duckdb(directory, text, arguments.rounds)
                group = f"{directory} {file.stem}"
                right, by_spark = ask_spark(spark, text, arguments.rounds, group)
                same = left == right
                failed += not same
                told = f"{file.stem:12} DuckDB {by_duckdb:7.2f} s   Spark {by_spark:7.2f} s"
                print(f"{told}   {'equal' if same else 'DIFFERENT'}", flush=True)
                lines.append((files, count, bytes_there, file.stem, by_duckdb, read, by_spark, group))
                loads.append(load())
        spark.stop()
        by_group = read_by_spark(events)
    print(f"load of the machine meanwhile: median {statistics.median(loads):.1f}, most {max(loads):.1f}")
    print("| files | rows | MB | question | DuckDB | read | Spark | read |\n|---|---|---|---|---|---|---|---|")
    for files, count, bytes_there, name, by_duckdb, read, by_spark, group in lines:
        reads = by_group.get(f"{group} 0", 0)
        print(
            f"| {files:,} | {count:,} | {bytes_there / 1e6:.1f} | `{name}` | {by_duckdb:.2f} s | {read / 1e6:.2f} MB"
            f" | {by_spark:.2f} s | {reads / 1e6:.2f} MB |"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
