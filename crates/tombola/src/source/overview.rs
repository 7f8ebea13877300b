//! A recording read once before it is looked at interval by interval: how long it is, and who ran where.

use super::{open_recording, watched};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;
use tombola_recording::gaps::Early;
use tombola_recording::lanes::Lanes;
use tombola_recording::normaliser::Normaliser;

/// Pieces that a lane is kept in.
const PIECES: usize = 480;

/// Events between two looks at the terminal and at signals.
const WATCHED_EVENTS: u64 = 1 << 14;

/// A stretch of a recording, as a whole.
pub struct Overview {
    /// Its length, ns.
    pub length_ns: u64,
    /// Who ran where in it.
    pub lanes: Lanes,
}

impl Overview {
    /// Of the events of a recording from `from` to `to`, lengths of time since its begin.
    ///
    /// # Errors
    /// It cannot be opened. One that breaks off is looked at up to there.
    pub fn read(path: &Path, from: Duration, to: Duration) -> Result<Self> {
        let mut reader = open_recording(path)?;
        let mut watch = watched().context("cannot look at the recording")?;
        let mut normaliser = Normaliser::new(reader.header());
        let mut early = Early::default();
        let ns = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let span = |begin_ns: u64| (begin_ns.saturating_add(ns(from)), begin_ns.saturating_add(ns(to)));
        let mut known: Option<(u64, u64, Lanes)> = reader.header().begin_ns.map(span).map(lanes);
        let mut events = 0u64;
        loop {
            // What cannot be read is told by whoever reads it for good.
            let event = reader.next_event().ok().flatten();
            let has_more = event.is_some();
            let event = match event {
                Some(event) => {
                    let Some(event) = early.add(event) else { continue };
                    Some(event)
                }
                None => early.rest(),
            };
            let Some(event) = event else { break };
            let (_, to_ns, lanes) = known.get_or_insert_with(|| lanes(span(event.ts_ns)));
            if event.ts_ns > *to_ns {
                break;
            }
            normaliser.event(&event);
            let facts: Vec<_> = normaliser.facts().collect();
            for fact in &facts {
                lanes.fact(fact, &normaliser);
            }
            events += 1;
            let (done, all) = reader.progress();
            if has_more && events.is_multiple_of(WATCHED_EVENTS) && !watch(done, all) {
                break;
            }
        }
        let (from_ns, to_ns, mut lanes) = known.unwrap_or_else(|| lanes(span(0)));
        let end_ns = reader.header().end_ns.unwrap_or(0).max(normaliser.now_ns());
        // What is open at the end of the stretch goes on to there, if events come after it.
        normaliser.finish(Some(end_ns.min(to_ns)));
        let facts: Vec<_> = normaliser.facts().collect();
        for fact in &facts {
            lanes.fact(fact, &normaliser);
        }
        Ok(Self { length_ns: end_ns.min(to_ns).saturating_sub(from_ns), lanes })
    }
}

fn lanes((from_ns, to_ns): (u64, u64)) -> (u64, u64, Lanes) {
    (from_ns, to_ns, Lanes::new(from_ns, to_ns, PIECES))
}
