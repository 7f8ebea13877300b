//! `tombola report`: a while of the machine on one page, or two of them side by side.

mod side;
mod versus;

use super::simulate;
use crate::cli::{Cli, PastArgs, ReportArgs};
use crate::comparison::{Comparison, Pieces, Side};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::interval::Interval;
use crate::moment::Moment;
use crate::pace::{First, Pace, Waited, notify, wait_for};
use crate::past;
use crate::series::{INTERVALS, Series};
use crate::sink::certainty::certainty_text;
use crate::sink::html;
use crate::sink::html::report::{Report, render};
use crate::sink::loss::loss_text;
use crate::sink::result::outlet::ResultFormat;
use crate::sink::{contrast_table, result};
use crate::source::{self, Aside, Simulated, Wanted};
use crate::target::Target;
use crate::terminal;
use crate::verdict;
use anyhow::{Context, Result, bail};
use clap::CommandFactory;
use clap::error::ErrorKind;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;
use tombola_core::contrast::LEAST;
use tombola_core::frame::Frame;
use tombola_core::source::{Origin, Source};
use tombola_core::window::Window;
use tombola_kernel::MaxPairs;

/// Intervals of a report where nothing is said.
const PARTS: u64 = 60;

/// Time that is measured where nothing is said, of what is live.
const LENGTH: Duration = Duration::from_secs(10);

/// Shortest interval where nothing is said.
const SHORTEST: Duration = Duration::from_millis(100);

/// Measures, and writes the page. The file is opened before anything is measured.
pub fn run(args: &ReportArgs, out: &mut dyn Write) -> Result<Exit> {
    if let [first, second] = &args.sides[..] {
        return compare(args, Pieces::Stretches, out, || {
            let read = |side| side::read(side, args.policy, args.stretches, args.past.host.as_deref());
            Ok(Some([read(first)?, read(second)?]))
        });
    }
    if let [first, second] = &args.versus[..] {
        let pieces = if args.runs == 1 { Pieces::StretchesOfRun } else { Pieces::Runs };
        return compare(args, pieces, out, || versus::read(args, [first, second]));
    }
    let (past, _spooled) = spool(&args.past)?;
    let asked = args.duration.map(Interval::get);
    let duration = match asked {
        Some(duration) => duration,
        None => past::length(&past, None)?
            .map_or_else(|| length_of_past(args, &past), |length| Ok(Some(length)))?
            .map_or(LENGTH, |length| length.max(Duration::from_nanos(1))),
    };
    // Rounded up, so that no interval of some nanoseconds is left at the end.
    let fraction =
        Duration::from_nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).div_ceil(PARTS));
    let interval = args.interval.map_or(fraction.max(SHORTEST), Interval::get).min(duration);
    if duration.as_nanos().div_ceil(interval.as_nanos().max(1)) > INTERVALS as u128 {
        let message = format!("the time has more than {INTERVALS} times --interval: give a longer interval");
        Cli::command().error(ErrorKind::ValueValidation, message).exit();
    }
    let target = Target::open(args.output.as_deref())?;
    let interrupt = Interrupt::catch()?;
    let aside = Aside { lanes: true, culprits: !args.no_interference, ..Aside::default() };
    let (source, beside) = match past::open_with(&past, asked, aside)? {
        Some((source, beside)) => (source, Some(beside)),
        None => (world(args, &past)?, None),
    };
    let mut gathering = Gathering::new(source.origin());
    let mut steps = Pace::new(source, Some(interval), 0, First::FromNow)?;
    gathering.begin(steps.before());
    if gathering.origin.is_live() {
        terminal::tell_long("watching", duration);
    }
    let begin = Instant::now();
    let end = begin.checked_add(duration);
    let mut is_last = false;
    while !is_last {
        let origin = gathering.origin;
        let step = steps.next(|length| {
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            let length = length.map(|length| length.min(left));
            let waited = wait_for(&interrupt, length);
            let is_over = origin.is_live() && left <= interval;
            Ok(if is_over && waited == Waited::Full { Waited::Last } else { waited })
        })?;
        let Some(step) = step else { break };
        gathering.add(&step.window, step.frame)?;
        is_last = !origin.is_live() && gathering.length_ns() >= duration.as_nanos();
    }
    let (whole, series, _) = gathering.finish()?;
    let measured = measured(&whole, series.intervals.len());
    let verdict = verdict::machine(&whole);
    // The recording tells its lanes when it is over.
    drop(steps);
    let lanes = beside.and_then(|beside| beside.try_recv().ok()?.lanes);
    let lanes = lanes.as_ref();
    let report = Report { verdict: &verdict, whole: &whole, series: &series, lanes, measured: &measured };
    let page = render(&report)?;
    target.put(out, page.as_bytes())?;
    if let Some(path) = &args.output {
        notify(&format!("written to {}: {verdict}", path.display()));
    }
    Ok(Exit::Ok)
}

/// The world that is asked for.
fn world(args: &ReportArgs, past: &PastArgs) -> Result<Box<dyn Source>> {
    if let Some(path) = &args.simulate {
        let scenario = simulate::load(path)?;
        let seed = scenario.seed;
        return Ok(Box::new(Simulated::new(scenario, args.policy, seed)));
    }
    let wanted = Wanted {
        interference: (!args.no_interference).then(MaxPairs::default),
        tickets: true,
        light: args.light,
        ..Wanted::default()
    };
    past::open_or(past, false, || source::open(args.map.as_deref(), wanted))
}

/// The past that is asked for; standard input as a file, which can be looked at before it is played, and is
/// gone with what is returned beside it.
fn spool(past: &PastArgs) -> Result<(PastArgs, Option<NamedTempFile>)> {
    if past.input.as_deref() != Some(Path::new("-")) {
        return Ok((past.clone(), None));
    }
    let cannot = "cannot keep standard input in a temporary file";
    let mut file = NamedTempFile::new().context(cannot)?;
    io::copy(&mut io::stdin().lock(), &mut file).context(cannot)?;
    Ok((PastArgs { input: Some(file.path().to_owned()), ..past.clone() }, Some(file)))
}

/// How long a past world is; it is read for that. `None` for what is live.
fn length_of_past(args: &ReportArgs, past: &PastArgs) -> Result<Option<Duration>> {
    if past.is_live() && args.simulate.is_none() {
        return Ok(None);
    }
    let mut steps = Pace::new(world(args, past)?, None, 0, First::FromNow)?;
    let mut length_ns = 0;
    while let Some(step) = steps.next(|_| Ok(Waited::Full))? {
        length_ns += step.window.length_ns();
    }
    Ok(Some(Duration::from_nanos(length_ns.max(1))))
}

/// Compares two sides, which `read` has; `None` where it was told to end.
fn compare(
    args: &ReportArgs,
    pieces: Pieces,
    out: &mut dyn Write,
    read: impl FnOnce() -> Result<Option<[Side; 2]>>,
) -> Result<Exit> {
    // Each result needs a place of its own.
    if args.output.as_deref() == Some(Path::new("-")) {
        bail!("the comparison is printed there already: -o names a file for the page");
    }
    let target = args.output.as_deref().map(|path| Target::open(Some(path))).transpose()?;
    let Some(sides) = read()? else {
        notify("interrupted: what was cut short cannot be compared");
        return Ok(Exit::Ok);
    };
    for side in &sides {
        if side.pieces.len() < LEAST {
            let remedy = match pieces {
                Pieces::Stretches => "a log has its intervals, so name a longer part of it",
                Pieces::StretchesOfRun | Pieces::Runs => {
                    "it is too short to be cut, so run it several times, with --runs"
                }
            };
            bail!(
                "'{}' cannot be compared: at least {LEAST} stretches are needed to tell how much it varies, and it gives {}: {remedy}",
                side.name,
                side.pieces.len()
            );
        }
    }
    let comparison = Comparison::of(sides, pieces);
    let json = result::contrast::line(&comparison)?;
    if let Some(target) = target {
        target.put(out, html::contrast::render(&comparison, &String::from_utf8_lossy(&json)).as_bytes())?;
    }
    match args.format {
        ResultFormat::Table => out.write_all(contrast_table::render(&comparison).as_bytes())?,
        ResultFormat::Json | ResultFormat::Ndjson => out.write_all(&json)?,
    }
    Ok(Exit::Ok)
}

/// A time that is measured, as one interval and as several.
pub(super) struct Gathering {
    /// How the source came to measure.
    pub(super) origin: Origin,
    first: Option<Frame>,
    last: Option<Frame>,
    series: Series,
}

impl Gathering {
    /// Nothing yet.
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin, first: None, last: None, series: Series::default() }
    }

    /// What the first interval is measured against.
    pub(super) fn begin(&mut self, frame: Option<&Frame>) {
        self.first = frame.cloned();
    }

    /// An interval, and the frame at its end.
    pub(super) fn add(&mut self, window: &Window, frame: &Frame) -> Result<()> {
        if self.series.intervals.len() < INTERVALS {
            let number = self.series.intervals.len() as u64 + 1;
            self.series.push(&Moment::new(window.clone(), frame, number, self.origin)?);
        }
        self.last = Some(frame.clone());
        Ok(())
    }

    fn length_ns(&self) -> u128 {
        self.series.intervals.iter().map(|interval| u128::from(interval.length_ns)).sum()
    }

    /// The whole, its parts, and the frame at its end.
    pub(super) fn finish(self) -> Result<(Moment, Series, Frame)> {
        let Some(last) = self.last else { bail!("nothing was measured: the source had no interval to give") };
        let window = last.since(self.first.as_ref());
        let whole = Moment::new(window, &last, 1, self.origin).context("cannot audit the whole time")?;
        Ok((whole, self.series, last))
    }
}

/// How it was measured, for who doubts it.
pub(super) fn measured(whole: &Moment, intervals: usize) -> Vec<String> {
    let monitor = match whole.origin {
        Origin::Loaded => "A monitor that was loaded before: BPF programs at each context switch.",
        Origin::Private => {
            "A private monitor, attached for the time of the run: BPF programs at each context switch."
        }
        Origin::Recorded => "A recording, or a log.",
        Origin::Simulated => "The simulator: no kernel was involved.",
    };
    let mut sentences = vec![
        format!("tombola {}. {monitor}", env!("CARGO_PKG_VERSION")),
        format!("{intervals} intervals; the tables are of the whole time, the charts of the intervals."),
        "Entitlement is computed from the totals of the interval: weights, groups, quotas, CPUs that may be used. \
         Two tasks that were never runnable at the same moment count as if they had been."
            .to_owned(),
        "The parts of a wait are estimates; who ran meanwhile is counted slice by slice.".to_owned(),
        format!("Not measured: {}.", loss_text(&whole.audit.loss)),
    ];
    if let Some(certainty) = certainty_text(&whole.audit.worths, |_| true) {
        sentences.push(format!("Certainty: {certainty}."));
    }
    if whole.audit.interference.is_none() {
        let why = match whole.origin {
            Origin::Loaded | Origin::Private => "Who stood in whose way was not watched.",
            Origin::Recorded => {
                "Who stood in whose way was not asked for, or is not told of this past: a recording of events tells it, and by groups a log that was kept with --interference."
            }
            Origin::Simulated => "Who stood in whose way is not told of a simulation here.",
        };
        sentences.push(why.to_owned());
    }
    if let Some(scheduler) = &whole.view().scheduler {
        let scheduler = crate::text::harmless(scheduler.as_bytes());
        sentences.push(format!("In charge: {scheduler}; whether it heeds weights is its own affair."));
    }
    sentences
}
