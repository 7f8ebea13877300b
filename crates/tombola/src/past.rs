//! The past that the command line asks for, as a world to look at.

use crate::cli::{Edge, PastArgs};
use crate::source::{Frames, Kept, Overview, Recorded, holds_frames};
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use std::path::Path;
use std::time::Duration;
use tombola_core::source::Source;
use tombola_history::past::Past;

/// The stretch that is asked for, or else what `live` opens, every look at which is kept where that is asked for.
///
/// # Errors
/// No log there; a stretch without an interval; whatever keeps the live machine from being opened.
pub fn open_or(past: &PastArgs, live: impl FnOnce() -> Result<Box<dyn Source>>) -> Result<Box<dyn Source>> {
    if let Some(file) = &past.input {
        let (from, to) = edges(past)?;
        if file == Path::new("-") {
            if let Some(frames) = Frames::standard_input(from, to)? {
                return Ok(Box::new(frames));
            }
        } else if holds_frames(file) {
            return Ok(Box::new(Frames::open(file, from, to)?));
        }
        return Ok(Box::new(Recorded::open(file, from, to)?));
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

/// The recording that is asked for as a whole, at most so long; `None` where that is no recording of events, or standard input, which is
/// read once.
///
/// # Errors
/// It cannot be opened. One that breaks off is looked at up to there.
pub fn overview(past: &PastArgs, most: Option<Duration>) -> Result<Option<Overview>> {
    let is_read_twice = |path: &&Path| *path != Path::new("-") && !holds_frames(path);
    let Some(path) = past.input.as_deref().filter(is_read_twice) else { return Ok(None) };
    let (from, to) = edges(past)?;
    let from = from.unwrap_or_default();
    let most = most.and_then(|most| from.checked_add(most));
    let to = to.into_iter().chain(most).min().unwrap_or(Duration::MAX);
    Overview::read(path, from, to).map(Some)
}

fn edges(past: &PastArgs) -> Result<(Option<Duration>, Option<Duration>)> {
    let edge = |edge: Option<Edge>, flag| edge.map(|edge| edge.length(flag)).transpose();
    Ok((edge(past.from, "--from")?, edge(past.to, "--to")?))
}
