//! The demonstration from outside: three books of the same seconds.
#![allow(clippy::unwrap_used)] // a helper is no #[test] itself

use std::process::{Command, Stdio};

#[test]
#[ignore = "root: loads a monitor"]
fn root_a_demo_measures_what_the_kernel_counts() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_tombola"));
    for name in ["MAP_PIN", "PROG_PIN", "LINK_PIN", "BTF_PATH"] {
        demo.env_remove(name);
    }
    let output = demo.args(["demo", "--duration", "2s"]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<f64>> = text
        .lines()
        .skip_while(|line| !line.starts_with("nice"))
        .skip(1)
        .map(|row| row.split_whitespace().map(|cell| cell.trim_end_matches('%').parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), 3, "{text}");
    for row in &rows {
        // Two readings of /proc lie around the interval: a slice or two of each burner, of two seconds of one
        // CPU.
        assert!((row[3] - row[4]).abs() < 3.0, "{text}");
    }
    for column in [2, 3, 4] {
        assert!((rows.iter().map(|row| row[column]).sum::<f64>() - 100.0).abs() < 0.05, "{text}");
    }
}
