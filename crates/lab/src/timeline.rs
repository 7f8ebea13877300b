//! Who ran where and when, slice by slice.

use super::engine::Slice;
use super::machine::TaskIx;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Header of the CSV form.
pub const HEADER: [&str; 5] = ["time", "cpu", "task", "ran_ns", "reason"];

/// One row of the CSV form, in the order of [`HEADER`]: `time` in ns since the simulation began. The caller
/// quotes.
pub fn row(slice: &Slice, names: &[String]) -> [String; 5] {
    [
        slice.from_ns.to_string(),
        slice.cpu.to_string(),
        names[slice.task].clone(),
        slice.ran_ns.to_string(),
        slice.why.to_string(),
    ]
}

/// A picture of fixed width: one line for each CPU, one character for each column, the task that ran most in
/// it.
#[derive(Clone, Debug)]
pub struct Picture {
    column_ns: u64,
    columns: usize,
    cells: Vec<Vec<Cell>>,
}

/// What one CPU did in one column: who ran how long. Settled to the longest when the CPU has gone on.
#[derive(Clone, Debug, Default)]
struct Cell {
    ran: BTreeMap<TaskIx, u64>,
}

impl Picture {
    /// For a duration and a number of CPUs; `columns` at least 1.
    pub fn new(duration_ns: u64, cpus: usize, columns: usize) -> Self {
        let columns = columns.max(1);
        let column_ns = duration_ns.div_ceil(columns as u64).max(1);
        Self { column_ns, columns, cells: vec![vec![Cell::default(); columns]; cpus] }
    }

    /// Adds a slice. Those of one CPU must come in order.
    pub fn add(&mut self, slice: &Slice) {
        let (mut from, end) = (slice.from_ns, slice.from_ns + slice.ran_ns);
        while from < end {
            let Ok(column) = usize::try_from(from / self.column_ns) else { return };
            if column >= self.columns {
                return;
            }
            let next = ((from / self.column_ns) + 1) * self.column_ns;
            let cells = &mut self.cells[slice.cpu];
            if column > 0 {
                cells[column - 1].keep_longest();
            }
            *cells[column].ran.entry(slice.task).or_default() += end.min(next) - from;
            from = next;
        }
    }

    /// The picture, with a legend. Tasks are A…Z, a…z, then `#`; `.` is idle.
    pub fn draw(&self, names: &[String]) -> String {
        let mut text = String::new();
        let mut seen = BTreeMap::new();
        for (cpu, cells) in self.cells.iter().enumerate() {
            let _ = write!(text, "{cpu:>4} ");
            for cell in cells {
                let who = cell.ran.iter().max_by_key(|(task, ran)| (**ran, std::cmp::Reverse(**task)));
                text.push(who.map_or('.', |(task, _)| {
                    seen.insert(*task, letter(*task));
                    letter(*task)
                }));
            }
            text.push('\n');
        }
        for (task, letter) in seen.into_iter().take(52) {
            let _ = writeln!(text, "   {letter} {}", names[task]);
        }
        text
    }
}

impl Cell {
    fn keep_longest(&mut self) {
        if self.ran.len() > 1 {
            let most = self.ran.iter().max_by_key(|(task, ran)| (**ran, std::cmp::Reverse(**task)));
            if let Some((task, ran)) = most.map(|(task, ran)| (*task, *ran)) {
                self.ran = BTreeMap::from([(task, ran)]);
            }
        }
    }
}

fn letter(task: TaskIx) -> char {
    match u8::try_from(task) {
        Ok(n @ 0..=25) => char::from(b'A' + n),
        Ok(n @ 26..=51) => char::from(b'a' + n - 26),
        _ => '#',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Departure;

    #[test]
    fn a_column_shows_who_ran_most_in_it() {
        let mut picture = Picture::new(40, 1, 4);
        let names = ["one".to_owned(), "two".to_owned()];
        for (from_ns, task, ran_ns) in [(0, 0, 12), (12, 1, 8), (30, 0, 4), (34, 1, 6)] {
            picture.add(&Slice { from_ns, cpu: 0, task, ran_ns, why: Departure::Expired });
        }
        assert_eq!(picture.draw(&names), "   0 AB.B\n   A one\n   B two\n");
    }
}
