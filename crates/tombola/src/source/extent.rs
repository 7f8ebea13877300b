//! How long a recording is, before it is looked at.

use super::recorded::open_quietly;
use anyhow::Result;
use std::path::Path;
use std::time::Duration;
use tombola_recording::playback::Watch;
use tombola_recording::reader::Reader;

/// Events between two looks at the terminal and at signals.
const WATCHED_EVENTS: u64 = 1 << 14;

/// The length of a recording from `from` to `to`, lengths of time since its begin.
///
/// Recordings of tombola say when they end. Of trace.dat and Perfetto the last pieces of each CPU are read
/// for it, of other formats all of it: a decoded event is not played, which is most of the work.
///
/// # Errors
/// It cannot be opened. One that breaks off is as long as what comes before that.
pub fn length(path: &Path, from: Duration, to: Duration) -> Result<Duration> {
    let (mut reader, mut watch) = open_quietly(path)?;
    let known = (reader.header().begin_ns, reader.header().end_ns);
    let (begin_ns, end_ns) = if let (Some(begin_ns), Some(end_ns)) = known {
        (begin_ns, end_ns)
    } else {
        // What cannot be read is told by whoever reads it for good.
        let first = reader.next_event().ok().flatten().map_or(0, |event| event.ts_ns);
        let begin_ns = known.0.unwrap_or(first);
        let to_ns = begin_ns.saturating_add(ns(to));
        let (mut tail, mut tail_watch) = open_quietly(path)?;
        let has_tail = tail.skip_to(u64::MAX).is_ok();
        let mut last_ns = if has_tail { last(tail.as_mut(), &mut tail_watch, to_ns) } else { None };
        if last_ns.is_none() {
            last_ns = last(reader.as_mut(), &mut watch, to_ns);
        }
        (begin_ns, last_ns.unwrap_or(first))
    };
    let (from_ns, to_ns) = (begin_ns.saturating_add(ns(from)), begin_ns.saturating_add(ns(to)));
    Ok(Duration::from_nanos(end_ns.min(to_ns).saturating_sub(from_ns)))
}

fn ns(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

/// The latest instant of the events that are left, at most the first behind `to_ns`; `None` where there are
/// none.
fn last(reader: &mut dyn Reader, watch: &mut Watch, to_ns: u64) -> Option<u64> {
    let (mut last_ns, mut events) = (None, 0u64);
    while let Ok(Some(event)) = reader.next_event() {
        last_ns = last_ns.max(Some(event.ts_ns));
        events += 1;
        let (done, all) = reader.progress();
        if event.ts_ns > to_ns || events.is_multiple_of(WATCHED_EVENTS) && !watch(done, all) {
            break;
        }
    }
    last_ns
}
