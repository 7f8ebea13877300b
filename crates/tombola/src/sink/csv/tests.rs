use super::super::fixture::{burners, hostile, report, window};
use super::*;
use crate::text::harmless_in_csv;
use std::fs;
use tempfile::TempDir;
use tombola_core::snapshot::Group;
use tombola_core::window::Window;

/// The file as a stranger's CSV reader sees it: header and records, every one as long as the header.
fn read(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let own = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let header = own(reader.headers().unwrap());
    (header, reader.records().map(|r| own(&r.unwrap())).collect())
}

#[test]
fn the_header_is_the_documented_one() {
    assert_eq!(
        header(false),
        "iteration,timestamp,pid,runtime_ns,runtime_ms,delta_ns,delta_ms,rolling_runtime_ms,switches,nice,tickets,\
         ticket_share"
    );
    assert_eq!(
        header(true),
        header(false)
            + ",comm,tgid,start_ns,policy,weight,cpu,cgroup,wait_ns,delta_wait_ns,wait_max_ns,voluntary,\
               involuntary,wakeups,migrations,ended,interval_ns"
    );
}

#[test]
fn narrow_rows() {
    let report = report(window(burners()));
    insta::assert_snapshot!(
        String::from_utf8(rows(3, report.head.unix_us, &report.rows, &Groups::new(), false)).unwrap()
    );
}

#[test]
fn wide_rows() {
    let mut tasks = burners();
    tasks[1].ended = true;
    let report = report(window(tasks));
    let groups = Groups::from([(Group::Cgroup(1), "=/a,b\n".to_owned())]);
    insta::assert_snapshot!(
        String::from_utf8(rows(3, report.head.unix_us, &report.rows, &groups, true)).unwrap()
    );
}

#[test]
fn a_second_run_appends_under_the_same_header() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("stats.csv");
    let report = report(window(burners()));
    for iteration in [1, 2] {
        let (csv, notice) = Csv::open(&path, false).unwrap();
        assert_eq!(notice, None);
        csv.append(iteration, report.head.unix_us, &report.rows, &Groups::new()).unwrap();
    }
    let (header, records) = read(&path);
    assert_eq!(header.join(","), super::header(false));
    assert_eq!(records.len(), 2 * report.rows.len());
    assert_eq!(
        records[0][..7],
        ["1", "1700000000.000042", "101", "2697000000", "2697.000000", "697000000", "697.000000"]
    );
    for (record, row) in records.iter().zip(report.rows.iter().chain(&report.rows)) {
        assert_eq!(record[2].parse(), Ok(row.task.totals.id.pid));
        assert_eq!(record[3].parse(), Ok(row.task.totals.usage.runtime_ns));
        let exact_ms = row.task.delta.runtime_ns as f64 / 1e6;
        assert!((record[6].parse::<f64>().unwrap() - exact_ms).abs() < 1e-9);
        assert!((record[11].parse::<f64>().unwrap() - row.ticket_share).abs() < 1e-9);
    }
}

#[test]
fn hostile_names_and_paths_stay_in_their_cells() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("wide.csv");
    let report = report(window(hostile()));
    let groups = Groups::from([
        (Group::Cgroup(1), "/x\",\"y\n\x1b[2J".to_owned()),
        (Group::Cgroup(2), "@sum".to_owned()),
    ]);
    Csv::open(&path, true).unwrap().0.append(1, report.head.unix_us, &report.rows, &groups).unwrap();

    let bytes = fs::read(&path).unwrap();
    assert!(bytes.iter().all(|b| *b == b'\n' || (*b >= b' ' && *b != 0x7f)), "no raw control byte");
    assert_eq!(String::from_utf8(bytes).unwrap().lines().count(), 1 + report.rows.len());
    let (header, records) = read(&path);
    assert_eq!(header.join(","), super::header(true));
    for (record, row) in records.iter().zip(&report.rows) {
        assert_eq!(record[12], harmless_in_csv(&row.task.totals.comm));
        assert!(!record[12].starts_with(['=', '+', '-', '@']) && !record[19].starts_with('@'));
    }
}

#[test]
fn a_narrow_file_takes_no_wide_rows_and_a_wide_one_no_narrow_rows() {
    let dir = TempDir::new().unwrap();
    for first in [false, true] {
        let path = dir.path().join(first.to_string());
        drop(Csv::open(&path, first).unwrap());
        let error = Csv::open(&path, !first).unwrap_err().to_string();
        assert!(error.contains("another header"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), header(first) + "\n");
    }
}

#[test]
fn nobody_makes_no_rows() {
    assert!(rows(1, 0, &report(window(vec![])).rows, &Groups::new(), true).is_empty());
}

#[test]
fn the_largest_numbers_are_exact() {
    assert_eq!(decimal(u64::MAX), "18446744073709.551615");
    assert_eq!(decimal(42), "0.000042");
    let window = Window { unix_us: 1_700_000_000_000_000, ..window(burners()) };
    let text =
        String::from_utf8(rows(u64::MAX, 1_700_000_000_000_000, &report(window).rows, &Groups::new(), false))
            .unwrap();
    assert!(text.starts_with("18446744073709551615,1700000000.000000,101,"));
}
