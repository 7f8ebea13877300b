//! What a recording tells of a span: the demand, and what came of it.

use crate::pace::notify;
use crate::source::{check_span, nothing_in, open_recording};
use anyhow::{Result, bail};
use std::path::Path;
use std::time::Duration;
use tombola_core::identity::TaskId;
use tombola_core::worth::Judged;
use tombola_lab::policy::PolicyKind;
use tombola_recording::activity::Activities;
use tombola_recording::capabilities::Header;
use tombola_recording::demand::{Demand, Gatherer};
use tombola_recording::event::{Event, Kind};
use tombola_recording::gaps::Early;
use tombola_recording::normaliser::Normaliser;
use tombola_recording::periods::{Gathered, Jobs};
use tombola_recording::playback::Watch;
use tombola_recording::reader::Reader;
use tombola_recording::simulated::UNDER;
use tombola_recording::worth::Judge;

/// Events between two looks at the terminal and at signals.
const WATCHED_EVENTS: u64 = 1 << 14;

/// A span of a recording.
pub(crate) struct Span {
    pub(crate) header: Header,
    pub(crate) demand: Demand,
    pub(crate) activities: Activities,
    pub(crate) jobs: Vec<(TaskId, Jobs)>,
    /// What its figures are worth.
    pub(crate) worths: Vec<Judged>,
}

/// Reads the span from `from` to `to`, lengths of time since the begin.
///
/// # Errors
/// It cannot be read, or has nothing in that span.
pub(crate) fn read(path: &Path, from: Option<Duration>, to: Option<Duration>) -> Result<Span> {
    check_span(from, to)?;
    let (mut reader, watch) = open_recording(path)?;
    let span = read_from((reader.as_mut(), watch), from, to, &path.display().to_string(), &|_| true)?;
    if span.demand.tasks.is_empty() || span.demand.span_ns == 0 {
        bail!("{0}: no task is known in that span: 'tombola info {0}' tells what is in it", path.display());
    }
    Ok(span)
}

/// The same from a reader and who is told how far it is; events that `is_kept` refuses are passed over.
pub(crate) fn read_from(
    (reader, mut watch): (&mut dyn Reader, Watch),
    from: Option<Duration>,
    to: Option<Duration>,
    name: &str,
    is_kept: &dyn Fn(&mut Event) -> bool,
) -> Result<Span> {
    let ns = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let mut normaliser = Normaliser::new(reader.header());
    let (mut early, mut events) = (Early::default(), 0u64);
    let mut judge = Judge::new(reader.header());
    let mut state: Option<(Gatherer, Activities, Gathered, (u64, u64))> = None;
    // Whether all was read that is to be read, and whether that is less than the recording.
    let (mut is_read, mut is_cut) = (false, false);
    loop {
        if !is_read {
            match reader.next_event() {
                Ok(Some(event)) => {
                    events += 1;
                    let (done, all) = reader.progress();
                    is_cut = events.is_multiple_of(WATCHED_EVENTS) && !watch(done, all);
                    is_read = is_cut;
                    // A loss goes where its gap begins, so events come out later than they go in.
                    let Some(event) = early.add(event) else { continue };
                    if !step(
                        reader.header(),
                        (&mut normaliser, &mut judge),
                        &mut state,
                        event,
                        (from, to),
                        ns,
                        is_kept,
                    ) {
                        break;
                    }
                    continue;
                }
                Ok(None) => is_read = true,
                Err(error) => {
                    notify(&format!("{name}: {error}; what comes before it is used"));
                    (is_read, is_cut) = (true, true);
                }
            }
        }
        let Some(event) = early.rest() else { break };
        if !step(reader.header(), (&mut normaliser, &mut judge), &mut state, event, (from, to), ns, is_kept) {
            break;
        }
    }
    let header = reader.header().clone();
    let Some((mut gatherer, mut activities, jobs, (from_ns, to_ns))) = state else {
        bail!("{}", nothing_in(Path::new(name)));
    };
    let told_ns = header.end_ns.filter(|_| !is_cut).unwrap_or(0);
    let end_ns = told_ns.max(normaliser.now_ns()).min(to_ns);
    gatherer.close();
    normaliser.finish(Some(end_ns));
    let facts: Vec<_> = normaliser.facts().collect();
    for fact in &facts {
        gatherer.fact(fact, &normaliser);
        activities.fact(fact);
        judge.fact(fact);
    }
    let jobs = jobs.finish(end_ns);
    let worths = judge.grounds(&normaliser, end_ns, is_cut).judge();
    Ok(Span { header, demand: gatherer.finish(&normaliser, end_ns.max(from_ns)), activities, jobs, worths })
}

/// Takes one event; false where the span is over.
fn step(
    header: &Header,
    (normaliser, judge): (&mut Normaliser, &mut Judge),
    state: &mut Option<(Gatherer, Activities, Gathered, (u64, u64))>,
    mut event: Event,
    (from, to): (Option<Duration>, Option<Duration>),
    ns: impl Fn(Duration) -> u64,
    is_kept: &dyn Fn(&mut Event) -> bool,
) -> bool {
    let (gatherer, activities, jobs, (_, to_ns)) = state.get_or_insert_with(|| {
        let begin_ns = header.begin_ns.unwrap_or(event.ts_ns);
        let at = |since: Option<Duration>| since.map(|since| begin_ns.saturating_add(ns(since)));
        let from_ns = at(from).unwrap_or(begin_ns);
        judge.begin(from_ns);
        (
            Gatherer::new(from_ns, header.can.interrupt),
            Activities::since(from_ns),
            Gathered::since(from_ns),
            (from_ns, at(to).unwrap_or(u64::MAX)),
        )
    });
    if event.ts_ns > *to_ns && !matches!(event.kind, Kind::Loss { .. }) {
        return false;
    }
    if !is_kept(&mut event) {
        return true;
    }
    gatherer.before(&event);
    normaliser.event(&event);
    judge.event(&event, normaliser);
    gatherer.after(&event, normaliser);
    let facts: Vec<_> = normaliser.facts().collect();
    for fact in &facts {
        gatherer.fact(fact, normaliser);
        activities.fact(fact);
        jobs.fact(fact);
    }
    true
}

/// The policy under which a recording was made, and how that is known.
pub(crate) fn policy(header: &Header) -> (PolicyKind, String) {
    if let Some(policy) = header.first_format().strip_prefix(UNDER).and_then(|name| name.parse().ok()) {
        return (policy, "it is a simulation".to_owned());
    }
    let release = header.release.as_deref().unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if !release.ends_with("-unknown") => {
            let policy = if (major, minor) >= (6, 6) { PolicyKind::EevdfLinux } else { PolicyKind::Cfs };
            (policy, format!("the fair class of Linux {release}"))
        }
        _ => (
            PolicyKind::EevdfLinux,
            "the recording does not tell its kernel: taken as 6.6 or later".to_owned(),
        ),
    }
}
