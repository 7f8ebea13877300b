//! One side of a comparison: a recording, a stretch of one, of a log, or a scenario, cut into equal
//! stretches.

use crate::cli::PastArgs;
use crate::cmd::simulate;
use crate::comparison::{Had, Side, Subject};
use crate::groups::group_text;
use crate::moment::Moment;
use crate::pace::{First, Pace, Waited};
use crate::past;
use crate::sink::certainty::certainty_text;
use crate::sink::loss::loss_text;
use crate::source::Simulated;
use crate::text::harmless;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tombola_core::audit::{By, Row, Who};
use tombola_core::source::Source;
use tombola_core::worth::Kind;
use tombola_lab::policy::PolicyKind;

/// Whether figures of this kind are compared.
const COMPARED: fn(Kind) -> bool = |kind| matches!(kind, Kind::Run | Kind::Wait | Kind::Entitlement);

/// Where a side is.
struct Place<'a> {
    path: &'a Path,
    span: Option<(&'a str, &'a str)>,
}

impl<'a> Place<'a> {
    /// A path, or a path and a stretch as `PATH@FROM..TO`; what is there under the whole text is a path.
    fn of(text: &'a str) -> Self {
        let whole = Self { path: Path::new(text), span: None };
        if whole.path.exists() {
            return whole;
        }
        let stretch = text.rsplit_once('@').and_then(|(path, span)| Some((path, span.split_once("..")?)));
        stretch.map_or(whole, |(path, span)| Self { path: Path::new(path), span: Some(span) })
    }

    fn open(&self, policy: PolicyKind, host: Option<&str>) -> Result<Box<dyn Source>> {
        if self.path == Path::new("-") {
            bail!("a comparison reads each side twice, which standard input cannot be: name a file");
        }
        if host.is_some() && !self.path.is_dir() {
            bail!("--host is one of a log's, and this is no directory of a log");
        }
        if self.path.extension().is_some_and(|extension| extension == "toml") {
            if self.span.is_some() {
                bail!("a stretch is of a recording or a log, and this is a scenario");
            }
            let scenario = simulate::load(self.path)?;
            let seed = scenario.seed;
            return Ok(Box::new(Simulated::new(scenario, policy, seed)));
        }
        let (from, to) = self.span.unwrap_or_default();
        let edge = |text: &str| (!text.is_empty()).then(|| text.parse()).transpose();
        let path = Some(PathBuf::from(self.path));
        let (input, dir) = if self.path.is_dir() { (None, path) } else { (path, None) };
        let host = host.map(str::to_owned);
        let past = PastArgs { input, dir, host, from: edge(from)?, to: edge(to)?, ..PastArgs::default() };
        past::open_or(&past, false, || bail!("neither a recording nor a log"))
    }
}

/// Reads a side: once for its length, once cut into `parts`. `host` is whose log it is, of a log of several.
///
/// # Errors
/// It cannot be read, or is empty.
pub(crate) fn read(text: &str, policy: PolicyKind, parts: u32, host: Option<&str>) -> Result<Side> {
    let name = harmless(text.as_bytes());
    let place = Place::of(text);
    let open = || place.open(policy, host).with_context(|| format!("cannot compare '{name}'"));
    let mut length_ns = 0;
    let mut whole = Pace::new(open()?, None, 0, First::FromNow)?;
    while let Some(step) = whole.next(|_| Ok(Waited::Full))? {
        length_ns += step.window.length_ns();
    }
    if length_ns == 0 {
        bail!("'{name}' has no time in it");
    }
    let source = open()?;
    let origin = source.origin();
    // Rounded up, so that no stretch of some nanoseconds is left at the end.
    let stretch = Duration::from_nanos(length_ns.div_ceil(u64::from(parts)));
    let mut steps = Pace::new(source, Some(stretch), 0, First::FromNow)?;
    let mut side = Side {
        name,
        machine: String::new(),
        length_ns,
        loss: String::new(),
        certainty: None,
        pieces: Vec::new(),
    };
    while let Some(step) = steps.next(|_| Ok(Waited::Full))? {
        // A log has intervals of its own: what is left of one at the end says little, and as much as a whole
        // stretch.
        if u128::from(step.window.length_ns()) * 2 < stretch.as_nanos() {
            continue;
        }
        side.certainty = certainty_text(&step.window.worths_total, COMPARED);
        let moment = Moment::of(step, 1, origin)?;
        let machine = &moment.machine;
        side.machine = harmless(format!("{} {}", machine.host, machine.release).trim().as_bytes());
        side.loss = loss_text(&moment.audit.loss_total);
        side.pieces.push(had(&moment));
    }
    Ok(side)
}

/// Who had what in an interval.
pub(super) fn had(moment: &Moment) -> BTreeMap<Subject, Had> {
    let audit = &moment.audit;
    let all_ns = audit.books.wall_ns.max(1) as f64;
    let length_ns = audit.length_ns.max(1) as f64;
    let of = |row: &Row| Had {
        run: 100.0 * row.usage.runtime_ns as f64 / all_ns,
        wait: 100.0 * row.usage.imposed_wait_ns() as f64 / length_ns,
        lag: 100.0 * row.lag_ns() as f64 / all_ns,
        ..Had::default()
    };
    let mut all: BTreeMap<Subject, Had> = BTreeMap::new();
    let mut add = |subject: Subject, had: Had| {
        let sum = all.entry(subject).or_default();
        *sum = Had { run: sum.run + had.run, wait: sum.wait + had.wait, lag: sum.lag + had.lag, ..*sum };
    };
    for by in [By::Group, By::Comm] {
        for row in audit.rows(by, |_| true) {
            let subject = match &row.who {
                Who::Group(group) => Subject::Group(harmless(group_text(&moment.groups, *group).as_bytes())),
                _ => Subject::Command(harmless(&row.comm)),
            };
            if by == By::Group {
                // What is owed and what was had too much cancel out over a machine.
                add(Subject::Machine, Had { lag: 0.0, ..of(&row) });
            }
            add(subject, of(&row));
        }
    }
    all
}
