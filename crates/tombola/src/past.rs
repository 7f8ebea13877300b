//! The past that the command line asks for, as a world to look at.

use crate::cli::{Edge, PastArgs};
use crate::source::{self, Aside, Beside, Frames, Kept, Recorded, holds_frames};
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tombola_core::source::Source;
use tombola_history::past::Past;

/// The stretch that is asked for, or else what `live` opens, every look at which is kept where that is asked
/// for. Frames of a recording tell who stood in whose way if `culprits` is true.
///
/// # Errors
/// No log there; a stretch without an interval; whatever keeps the live machine from being opened.
pub fn open_or(
    past: &PastArgs,
    culprits: bool,
    live: impl FnOnce() -> Result<Box<dyn Source>>,
) -> Result<Box<dyn Source>> {
    if let Some(file) = &past.input {
        let (from, to) = edges(past)?;
        if file == Path::new("-") {
            if let Some(frames) = Frames::standard_input(from, to)? {
                return Ok(Box::new(frames));
            }
        } else if holds_frames(file) {
            return Ok(Box::new(Frames::open(file, from, to)?));
        }
        return Ok(Box::new(Recorded::open(file, (from, to), culprits)?));
    }
    let Some(dir) = &past.dir else {
        if past.from.is_some() || past.to.is_some() {
            bail!("--from and --to are about the past: name a recording with --input, or a log with --dir");
        }
        let live = live()?;
        return match &past.save_frames {
            Some(path) => Ok(Box::new(Kept::new(live, path)?)),
            None => Ok(live),
        };
    };
    let log = Past::open(dir, past.host.as_deref(), past.span(Timestamp::now())?);
    Ok(Box::new(log.context("cannot read the log")?))
}

/// A recording as a world, and where it tells what it kept beside its frames.
pub type WithBeside = (Box<dyn Source>, Receiver<Beside>);

/// The same of a recording of events, of which at most the first `most` are looked at, with what is told
/// beside its frames; `None` where that is none, or comes through standard input.
///
/// # Errors
/// As [`open_or`].
pub fn open_with(past: &PastArgs, most: Option<Duration>, aside: Aside) -> Result<Option<WithBeside>> {
    let Some((path, from, to)) = events(past, most)? else { return Ok(None) };
    let (recorded, beside) = Recorded::open_with(path, (from, to), aside)?;
    Ok(Some((Box::new(recorded), beside)))
}

/// How long the recording of events is that is asked for, at most `most`; `None` as with [`open_with`].
///
/// # Errors
/// It cannot be opened. One that breaks off is looked at up to there.
pub fn length(past: &PastArgs, most: Option<Duration>) -> Result<Option<Duration>> {
    let Some((path, from, to)) = events(past, most)? else { return Ok(None) };
    source::length(path, from.unwrap_or_default(), to.unwrap_or(Duration::MAX)).map(Some)
}

/// A stretch of a recording: where it is, from when and to when.
type Stretch<'a> = (&'a Path, Option<Duration>, Option<Duration>);

fn events(past: &PastArgs, most: Option<Duration>) -> Result<Option<Stretch<'_>>> {
    let has_events = |path: &&Path| *path != Path::new("-") && !holds_frames(path);
    let Some(path) = past.input.as_deref().filter(has_events) else { return Ok(None) };
    let (from, to) = edges(past)?;
    let most = most.and_then(|most| from.unwrap_or_default().checked_add(most));
    Ok(Some((path, from, to.into_iter().chain(most).min())))
}

fn edges(past: &PastArgs) -> Result<(Option<Duration>, Option<Duration>)> {
    let edge = |edge: Option<Edge>, flag| edge.map(|edge| edge.length(flag)).transpose();
    Ok((edge(past.from, "--from")?, edge(past.to, "--to")?))
}
