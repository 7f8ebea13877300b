//! How much slower benchmarks are by what is attached.

use super::Tool;
use super::rounds::{Clock, Rounds};
use std::fmt::Write as _;

/// The table.
pub(super) fn table(rounds: &Rounds, tools: &[Tool]) -> String {
    let mut text = String::from(
        "| attached | pipe, wall | quartiles | pipe, CPU | quartiles | messaging, wall | quartiles | messaging, CPU \
         | quartiles |\n|---|---:|---|---:|---|---:|---|---:|---|\n",
    );
    for Tool { key, name } in tools {
        let mut row = format!("| {name} |");
        for what in ["pipe", "messaging"] {
            for clock in [Clock::Wall, Clock::Cpu] {
                let cells = rounds.slowdown(key, what, clock).map_or_else(
                    || " - | - |".to_owned(),
                    |q| format!(" {:.3} | {:.3}–{:.3} |", q.median, q.low, q.high),
                );
                row.push_str(&cells);
            }
        }
        let _ = writeln!(text, "{row}");
    }
    let against = |clock| rounds.against("tombola", "runqlat", "pipe", clock);
    if let (Some(wall), Some(cpu)) = (against(Clock::Wall), against(Clock::Cpu)) {
        let _ = writeln!(
            text,
            "\nOverhead on pipe against that of runqlat: {wall:.2} by wall time, {cpu:.2} by CPU time."
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::rounds::example;

    #[test]
    fn a_row_a_tool_and_a_dash_for_what_was_not_measured() {
        let tool = Tool { key: "tombola".into(), name: "**tombola**".into() };
        let text = table(&example(), &[tool]);
        let row = text.lines().nth(2).unwrap();
        assert_eq!(row, "| **tombola** | 1.200 | 1.150–1.250 | 1.200 | 1.150–1.250 | - | - | - | - |");
        assert!(!text.contains("Overhead"));
    }
}
