//! The interference monitor's switch program over a stubbed kernel, in an order of slices that is known:
//! whose slices a wait is booked to, and what is counted where there is no room. No clock, no root; seeds are
//! fixed.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

#[path = "common/host_c.rs"]
mod host_c;

use std::path::Path;
use std::process::Command;

/// Pairs of five tasks that wait all the time but for the one that runs, and one of each with others.
const PAIRS: usize = 5 * 4;

#[test]
fn pairs_are_true_and_each_refusal_is_counted() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pairs");
    let but = ["unused-parameter", "sign-compare", "unknown-pragmas", "attributes", "unused-function"];
    let flags = but.map(|warning| format!("-Wno-{warning}"));
    let flags = flags.each_ref().map(String::as_str);
    let Some(programs) = host_c::programs(&directory, "pairs_host.c", &flags) else {
        println!("SKIP: there is no C compiler, neither cc nor clang");
        return;
    };
    for program in programs {
        for (seed, room) in [(1, 4096), (2, 4096), (3, 12), (4, 1)] {
            let arguments = [seed, 2_000, 5, room].map(|number| number.to_string());
            let run = Command::new(&program).args(&arguments).output().unwrap();
            let errors = String::from_utf8_lossy(&run.stderr);
            assert!(run.status.success(), "{} {arguments:?}: {} {errors}", program.display(), run.status);
            let text = String::from_utf8(run.stdout).unwrap();
            let mut pairs = 0;
            for line in text.lines() {
                let words: Vec<&str> = line.split(' ').filter(|word| *word != "|").collect();
                if words[0] == "pair" {
                    pairs += 1;
                    assert_eq!(words[3..5], words[5..], "seed {seed}, room {room}: {line}");
                } else {
                    assert_eq!(words[2], words[3], "seed {seed}, room {room}: {line}");
                    let none = room == 4096 && words[1] == "pairs_full";
                    assert_eq!(words[2] == "0", none, "seed {seed}, room {room}: it is forced: {line}");
                }
            }
            assert!(room < 4096 || pairs == PAIRS, "{pairs} pairs");
        }
    }
}
