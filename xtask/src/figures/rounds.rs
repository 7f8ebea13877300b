//! Rounds: in each every tool is measured once, and nothing once, against which the others are held.

use super::quartiles::Quartiles;
use super::{lines, number, words};
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// The tool that is none.
const NOTHING: &str = "base";

/// What is measured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// The clock on the wall.
    Wall,
    /// CPU time of the benchmark's processes.
    Cpu,
}

/// Times of a benchmark, seconds.
#[derive(Clone, Copy, Debug)]
struct Time {
    wall: f64,
    cpu: f64,
}

/// All times, by round, tool and benchmark.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds(BTreeMap<(u32, String, String), Time>);

/// From lines of `round tool benchmark wall user system`.
pub(super) fn read(path: &Path) -> Result<Rounds> {
    parse(&lines(path)?)
}

fn parse(lines: &[String]) -> Result<Rounds> {
    let mut rounds = Rounds::default();
    for line in lines {
        let [round, tool, what, wall, user, system] = words(line)?;
        let time = Time { wall: number(wall)?, cpu: number::<f64>(user)? + number::<f64>(system)? };
        rounds.0.insert((number(round)?, tool.into(), what.into()), time);
    }
    Ok(rounds)
}

impl Rounds {
    /// Quartiles of a tool's times against those of nothing in the same rounds; none where it was not
    /// measured.
    pub(super) fn slowdown(&self, tool: &str, what: &str, clock: Clock) -> Option<Quartiles> {
        let of = |time: &Time| if clock == Clock::Wall { time.wall } else { time.cpu };
        let ratios: Vec<f64> = self
            .0
            .iter()
            .filter(|((_, each, benchmark), _)| each == tool && benchmark == what)
            .filter_map(|((round, ..), time)| {
                let base = self.0.get(&(*round, NOTHING.into(), what.into()))?;
                (of(base) > 0.0).then(|| of(time) / of(base))
            })
            .collect();
        Quartiles::of(&ratios)
    }

    /// How much a tool takes beyond nothing against what another does: none where one was not measured, or
    /// costs nothing.
    pub(super) fn against(&self, tool: &str, other: &str, what: &str, clock: Clock) -> Option<f64> {
        let beyond = |tool| Some(self.slowdown(tool, what, clock)?.median - 1.0);
        let other = beyond(other)?;
        (other > 0.0).then_some(beyond(tool)? / other)
    }
}

/// Rounds for tests: two tools, three rounds.
#[cfg(test)]
pub(super) fn example() -> Rounds {
    let text = "0 base pipe 1.0 0.2 0.3\n0 tombola pipe 1.2 0.3 0.3\n0 perf pipe 2.0 0.5 0.5\n\
                1 base pipe 2.0 0.5 0.5\n1 tombola pipe 2.2 0.5 0.6\n1 perf pipe 4.0 1.0 1.0\n\
                2 base pipe 1.0 0.5 0.5\n2 tombola pipe 1.3 0.6 0.7\n2 perf pipe 1.5 1.0 1.0\n";
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    parse(&lines).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(seen: Option<f64>, expected: f64) -> bool {
        seen.is_some_and(|seen| (seen - expected).abs() < 1e-9)
    }

    #[test]
    fn a_slowdown_is_the_median_over_the_rounds() {
        let rounds = example();
        let wall = rounds.slowdown("tombola", "pipe", Clock::Wall).unwrap();
        // 1.2, 1.1 and 1.3.
        assert!(near(Some(wall.median), 1.2) && near(Some(wall.low), 1.15) && near(Some(wall.high), 1.25));
        // 0.6/0.5, 1.1/1.0 and 1.3/1.0.
        assert!(near(rounds.slowdown("tombola", "pipe", Clock::Cpu).map(|q| q.median), 1.2));
        assert_eq!(rounds.slowdown("tombola", "messaging", Clock::Wall), None);
        // 0.2 beyond nothing, of the other's 1.
        assert!(near(rounds.against("tombola", "perf", "pipe", Clock::Wall), 0.2));
        assert_eq!(rounds.against("tombola", "nobody", "pipe", Clock::Wall), None);
    }

    #[test]
    fn a_line_that_is_cut_is_no_measurement() {
        assert!(parse(&["0 base pipe 1.0".to_owned()]).is_err());
        assert!(parse(&["0 base pipe 1.0 x 0.2".to_owned()]).is_err());
    }
}
