//! Two commands, run one after the other and watched: each run as a whole, or one run each, cut into
//! stretches.

use super::side::had;
use crate::cli::ReportArgs;
use crate::command::Command;
use crate::comparison::{Had, Side, Subject};
use crate::interrupt::Interrupt;
use crate::moment::Moment;
use crate::pace::{First, Pace, Waited, cpu_of_children_ns};
use crate::sink::loss::loss_text;
use crate::source::{self, Wanted};
use crate::terminal;
use crate::text::harmless;
use anyhow::{Result, anyhow, bail};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tombola_core::audit::Line;
use tombola_core::frame::Frame;
use tombola_core::source::Origin;

/// The distance of frames at the begin of a run that is cut into stretches.
const DISTANCE: Duration = Duration::from_millis(20);

/// Frames of a run that are kept, for each stretch that it is cut into.
const FRAMES: usize = 4;

/// Runs both commands, and gives what they had; `None` when told to end.
///
/// # Errors
/// No monitor; a command that cannot be started, or fails.
pub(super) fn read(args: &ReportArgs, lines: [&String; 2]) -> Result<Option<[Side; 2]>> {
    let interrupt = Interrupt::catch()?;
    let wanted = Wanted { tickets: true, light: args.light, ..Wanted::default() };
    let source = source::open(args.map.as_deref(), wanted)?;
    let origin = source.origin();
    let mut pace = Pace::new(source, None, 0, First::FromNow)?;
    let mut sides = lines.map(|line| Side {
        name: harmless(line.as_bytes()),
        machine: String::new(),
        length_ns: 0,
        loss: String::new(),
        certainty: None,
        pieces: Vec::new(),
    });
    let began = Instant::now();
    for round in 0..args.runs {
        terminal::tell_rounds(round, args.runs, began);
        for which in turns(round) {
            let most = if args.runs == 1 { args.stretches as usize * FRAMES } else { 1 };
            let run = watch(&mut pace, lines[which], most, &interrupt)?;
            if interrupt.raised() {
                return Ok(None);
            }
            let number = if args.runs == 1 { String::new() } else { format!(" in run {}", round + 1) };
            match run.status {
                Some(0) => {}
                status => bail!(
                    "'{}' ended with status {}{number}: what fails is not compared; add '|| true' to it where that is meant",
                    sides[which].name,
                    status.unwrap_or(-1)
                ),
            }
            if args.runs == 1 {
                let frames = stretches(&run.frames, args.stretches);
                for pair in frames.windows(2) {
                    add(&mut sides[which], [pair[0], pair[1]], &run.processes, Had::default(), origin)?;
                }
            } else if let [begin, end] = &run.frames[..] {
                let times = Had {
                    elapsed: run.elapsed.as_secs_f64(),
                    cpu: run.cpu_ns as f64 / 1e9,
                    ..Had::default()
                };
                add(&mut sides[which], [begin, end], &run.processes, times, origin)?;
            }
        }
    }
    Ok(Some(sides))
}

/// Who runs first in this round: what grows all the time, such as a temperature, falls on both alike.
fn turns(round: u32) -> [usize; 2] {
    if round.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}

/// One run of a command.
struct Run {
    /// Frames from its begin to its end.
    frames: Vec<Frame>,
    /// It and what came of it.
    processes: BTreeSet<u32>,
    elapsed: Duration,
    cpu_ns: u64,
    status: Option<i32>,
}

/// Runs a command and takes frames meanwhile: one at its begin, one at its end, and `most` − 1 between, at
/// distances that double when there are too many.
fn watch(pace: &mut Pace, line: &str, most: usize, interrupt: &Interrupt) -> Result<Run> {
    // What passed since the run before is nobody's.
    let first = pace.next(|_| Ok(Waited::Full))?.map(|step| step.frame.clone());
    let mut frames: Vec<Frame> = first.into_iter().collect();
    let mut distance = (most > 1).then_some(DISTANCE);
    let cpu_before_ns = cpu_of_children_ns();
    let began = Instant::now();
    let mut command = Command::start_line(line)?;
    let mut elapsed = Duration::ZERO;
    loop {
        let mut is_over = false;
        let step = pace.next(|_| {
            is_over = command.wait(interrupt, distance)? == Waited::Last;
            elapsed = began.elapsed();
            Ok(Waited::Full)
        })?;
        frames.push(step.ok_or_else(|| anyhow!("the monitor was gone before the command"))?.frame.clone());
        if is_over {
            break;
        }
        if frames.len() > most {
            let mut is_odd = false;
            frames.retain(|_| {
                is_odd = !is_odd;
                is_odd
            });
            distance = distance.map(|distance| distance * 2);
        }
    }
    let cpu_ns = cpu_of_children_ns() - cpu_before_ns;
    Ok(Run { frames, processes: command.processes().clone(), elapsed, cpu_ns, status: command.exit_status() })
}

/// Of these frames those that come next to the ends of `parts` equal stretches, the first and the last among
/// them.
fn stretches(frames: &[Frame], parts: u32) -> Vec<&Frame> {
    let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Vec::new() };
    let (from, to) = (first.snapshot.taken_ns, last.snapshot.taken_ns);
    let end = |part: u32| {
        let passed = u128::from(to - from) * u128::from(part) / u128::from(parts);
        from.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    };
    let mut chosen: Vec<&Frame> = (0..=parts)
        .filter_map(|part| frames.iter().min_by_key(|frame| frame.snapshot.taken_ns.abs_diff(end(part))))
        .collect();
    chosen.dedup_by_key(|frame| frame.snapshot.taken_ns);
    chosen
}

/// Adds the piece between two frames of a run to its side, with the times of the run where it is all of it.
fn add(
    side: &mut Side,
    [before, after]: [&Frame; 2],
    processes: &BTreeSet<u32>,
    times: Had,
    origin: Origin,
) -> Result<()> {
    let moment = Moment::new(after.since(Some(before)), after, 1, origin)?;
    let machine = &moment.machine;
    side.machine = harmless(format!("{} {}", machine.host, machine.release).trim().as_bytes());
    side.loss = loss_text(&moment.audit.loss_total);
    side.length_ns += moment.audit.length_ns;
    let mut all = had(&moment);
    all.insert(Subject::Run, of_run(&moment, processes, times));
    side.pieces.push(all);
    Ok(())
}

/// What the processes of a run had together, beside its times.
fn of_run(moment: &Moment, processes: &BTreeSet<u32>, times: Had) -> Had {
    let audit = &moment.audit;
    let lines: Vec<&Line> =
        audit.lines.iter().filter(|line| processes.contains(&line.task.totals.tgid)).collect();
    let all_ns = audit.books.wall_ns.max(1) as f64;
    let sum = |of: fn(&Line) -> f64| lines.iter().map(|line| of(line)).sum::<f64>();
    Had {
        run: 100.0 * sum(|line| line.task.delta.runtime_ns as f64) / all_ns,
        wait: 100.0 * sum(|line| line.task.delta.imposed_wait_ns() as f64) / audit.length_ns.max(1) as f64,
        lag: 100.0 * sum(|line| line.lag_ns() as f64) / all_ns,
        ..times
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use tombola_core::snapshot::{ExitTotals, Loss, Snapshot};

    fn frame(taken_ns: u64) -> Frame {
        let snapshot = Snapshot {
            taken_ns,
            read_ns: 0,
            unix_us: 0,
            begin_ns: 0,
            cpus: Vec::new(),
            tasks: Vec::new(),
            exited: Vec::new(),
            exits: ExitTotals::default(),
            groups: Vec::new(),
            interference: None,
            loss: Loss::default(),
        };
        Frame::new(snapshot, BTreeMap::new())
    }

    #[test]
    fn stretches_end_at_the_frames_that_come_next_to_equal_parts() {
        let taken = |frames: &[u64], parts| -> Vec<u64> {
            let frames: Vec<Frame> = frames.iter().map(|at| frame(*at)).collect();
            stretches(&frames, parts).iter().map(|frame| frame.snapshot.taken_ns).collect()
        };
        let every_ten: Vec<u64> = (0..=12).map(|n| 100 + 10 * n).collect();
        assert_eq!(taken(&every_ten, 4), [100, 130, 160, 190, 220]);
        assert_eq!(taken(&every_ten, 5), [100, 120, 150, 170, 200, 220]);
        // Of fewer frames than ends each is taken once.
        assert_eq!(taken(&[5, 9, 20], 30), [5, 9, 20]);
        assert_eq!(taken(&[5], 4), [5]);
        assert_eq!(taken(&[], 4), [0; 0]);
    }
}
