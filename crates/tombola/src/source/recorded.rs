//! A recording, from one instant of it to another.

use super::holds_frames;
use crate::interrupt;
use crate::pace::notify;
use anyhow::{Context, Result, bail};
use std::error::Error as StdError;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use tombola_core::frame::Frame;
use tombola_core::snapshot::Snapshot;
use tombola_core::source::{Origin, Source};
use tombola_recording::capabilities::{Header, Scope};
use tombola_recording::culprits::Culprits;
use tombola_recording::lanes::Lanes;
use tombola_recording::ledger::Ledger;
use tombola_recording::playback::{Playback, Watch};
use tombola_recording::reader::error::Damage;
use tombola_recording::reader::{self, Reader};

/// What takes longer than this says how far it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pieces that a lane is kept in.
const PIECES: usize = 480;

/// What of a recording is wanted beyond what everybody got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// Who ran where.
    pub lanes: bool,
    /// The exact ledger.
    pub ledger: bool,
    /// Who stood in whose way, which the frames tell.
    pub culprits: bool,
}

/// What a recording told beside its frames: it is read once for both.
pub struct Beside {
    /// Begin of the recording, ns of its clock.
    pub begin_ns: u64,
    /// The machine at the end of what was looked at.
    pub end: Snapshot,
    /// The exact ledger, where it was wanted.
    pub ledger: Option<Ledger>,
    /// Who ran where, where that was wanted.
    pub lanes: Option<Lanes>,
}

/// A recording as a world to look at.
pub struct Recorded {
    /// `None` once it is dropped.
    playback: Option<Playback>,
    path: PathBuf,
    begin_ns: u64,
    /// Who is told what was kept beside the frames.
    beside: Option<Sender<Beside>>,
}

/// Opens a recording of any known format; `-` is standard input. With who is to be told how far it is read.
/// Says what it leaves out.
///
/// # Errors
/// It cannot be read, or is none.
pub fn open_recording(path: &Path) -> Result<(Box<dyn Reader>, Watch)> {
    let (reader, watch) = open_quietly(path)?;
    tell_what_is_missing(path, reader.header());
    Ok((reader, watch))
}

/// The same without a word, for a look before it is read.
///
/// # Errors
/// As [`open_recording`].
pub(super) fn open_quietly(path: &Path) -> Result<(Box<dyn Reader>, Watch)> {
    if holds_frames(path) {
        bail!(
            "{} holds frames, not events: audit, dump, hist, report and top read it with --input",
            path.display()
        );
    }
    if path.is_dir() {
        bail!(
            "{0} is a directory, as perf record --threads writes one: 'perf inject -i {0} -o one' makes the file one/data of it",
            path.display()
        );
    }
    // What comes through a pipe ends with who writes it, and a signal before that ends both.
    let (reader, watch) = if path == Path::new("-") {
        let reader = reader::open_stream(&mut io::stdin().lock());
        (reader, watched()?)
    } else {
        let mut watch = watched()?;
        (reader::open_watched(path, &mut watch), watch)
    };
    Ok((reader.with_context(|| format!("cannot read the recording {}", path.display()))?, watch))
}

/// What a recording leaves out on purpose, told to whoever reads it.
fn tell_what_is_missing(path: &Path, header: &Header) {
    if let Some(part) = part_told(header.scope) {
        notify(&format!("{} holds only a part of what happened: {part}", path.display()));
    }
    if !header.can.waking && !header.can.wakeup {
        notify(&format!(
            "{} holds no wakes: of waits only those of the preempted are known; record sched_waking too",
            path.display()
        ));
    }
}

/// Whether there is anything from `from` to `to`, lengths of time since a recording's begin.
///
/// # Errors
/// There is not.
pub fn check_span(from: Option<Duration>, to: Option<Duration>) -> Result<()> {
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        bail!("--from is not before --to");
    }
    if to.is_some_and(|to| to.is_zero()) {
        bail!("--to 0 ends where the recording begins: nothing lies before it");
    }
    Ok(())
}

/// A recording has no events.
pub fn nothing_in(path: &Path) -> String {
    format!("{} holds no scheduling events", path.display())
}

/// What could not be read of a recording, if there was something.
pub fn tell_damage(path: &Path, damage: &Damage) {
    if let Some((place, what)) = &damage.first {
        let pieces = if damage.skipped == 1 { "piece" } else { "pieces" };
        notify(&format!(
            "{}: {} {pieces} left out, the first at {place}: {what}",
            path.display(),
            damage.skipped
        ));
    }
}

fn cpus(count: usize) -> String {
    format!("{count} {}", if count == 1 { "CPU" } else { "CPUs" })
}

/// A recording has no events where they were looked for.
pub fn nothing_there(path: &Path) -> String {
    format!("{0} has no events in that stretch: 'tombola info {0}' tells its length", path.display())
}

/// What a recording leaves out on purpose, and what follows; `None` where nothing says that it does.
pub fn part_told(scope: Scope) -> Option<&'static str> {
    match scope {
        Scope::Whole => None,
        Scope::Cpus => Some(
            "events of some CPUs; what tasks did on the others is unknown, and a wait may have ended there; record with -a",
        ),
        Scope::Tasks => Some(
            "events of some tasks; when one came to a CPU behind another task, and who woke it, is unknown, so most run times and waits are; record with -a",
        ),
        Scope::Filtered => Some(
            "events that passed a filter; what the others would have told is missing; record without --filter",
        ),
    }
}

/// Whether it was said that a signal ended the reading.
static TOLD: AtomicBool = AtomicBool::new(false);

/// Says on a terminal how far a long reading is, and ends it after a signal: what was read until then counts.
///
/// # Errors
/// Signals cannot be handled.
fn watched() -> Result<Watch> {
    let ended = interrupt::came()?;
    let (begin, terminal) = (Instant::now(), io::stderr().is_terminal());
    let mut shown = None;
    Ok(Box::new(move |done, all| {
        let percent = done.saturating_mul(100).checked_div(all).unwrap_or(100).min(100);
        if terminal && begin.elapsed() > PATIENCE && shown != Some(percent) {
            shown = Some(percent);
            let end = if percent == 100 { "\r\x1b[K" } else { "" };
            let _ = write!(io::stderr(), "\rreading: {percent} %{end}");
        }
        let goes_on = !ended.load(Ordering::Relaxed);
        // Of several readings of one run the first that it ends says so.
        if !goes_on && !TOLD.swap(true, Ordering::Relaxed) {
            notify(&format!("ended by a signal: {percent} % of the recording was read"));
        }
        goes_on
    }))
}

impl Recorded {
    /// Opens a recording, of which the stretch from the first of two lengths of time since its begin to the
    /// second is looked at; with who stood in whose way, if `culprits` is true.
    ///
    /// # Errors
    /// It cannot be read, or is none; the second is not behind the first.
    pub fn open(path: &Path, span: (Option<Duration>, Option<Duration>), culprits: bool) -> Result<Self> {
        Self::start(path, span, Aside { culprits, ..Aside::default() })
    }

    /// The same, and what is told beside the frames: it comes when the world is dropped, and holds up to
    /// where that was.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        path: &Path,
        span: (Option<Duration>, Option<Duration>),
        aside: Aside,
    ) -> Result<(Self, Receiver<Beside>)> {
        let (sender, receiver) = channel();
        let mut recorded = Self::start(path, span, aside)?;
        recorded.beside = Some(sender);
        Ok((recorded, receiver))
    }

    fn start(path: &Path, (from, to): (Option<Duration>, Option<Duration>), aside: Aside) -> Result<Self> {
        check_span(from, to)?;
        let (reader, watch) = open_recording(path)?;
        let mut playback = Playback::new(reader);
        if aside.ledger {
            playback.keep_ledger();
            playback.end_by(interrupt::came()?);
        }
        if aside.culprits {
            if !Culprits::can_tell(playback.header()) {
                notify(&format!(
                    "{} does not tell in whose queue a task waits: who stood in whose way is known of those alone that may use one CPU; record sched_migrate_task too",
                    path.display()
                ));
            }
            playback.keep_culprits();
        }
        playback.watch(watch);
        let reading = || format!("cannot read the recording {}", path.display());
        // Of a recording without events there is nothing to look at, whatever its head says of its length.
        let has_more = playback.advance_to(0).with_context(reading)?;
        if !has_more && playback.events() == 0 {
            bail!("{}", nothing_in(path));
        }
        let begin_ns = playback.begin_ns().with_context(reading)?;
        let at =
            |since: Duration| begin_ns.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        playback.span(from.map(at), to.map(at)).with_context(reading)?;
        if playback.is_over() {
            bail!("{}", nothing_there(path));
        }
        if aside.lanes {
            playback.keep_lanes(PIECES);
        }
        Ok(Self { playback: Some(playback), path: path.to_owned(), begin_ns, beside: None })
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if let Some(playback) = &self.playback {
            tell_damage(&self.path, playback.damage());
        }
        if let (Some(playback), Some(beside)) = (self.playback.take(), &self.beside) {
            let kept = playback.end();
            let (end, ledger, lanes) = (kept.end, kept.ledger, kept.lanes);
            // Whoever does not want it any more has dropped the other end.
            let _ = beside.send(Beside { begin_ns: self.begin_ns, end, ledger, lanes });
        }
    }
}

impl Source for Recorded {
    fn origin(&self) -> Origin {
        Origin::Recorded
    }

    fn next(&mut self, interval: Option<Duration>) -> Result<Option<Frame>, Box<dyn StdError + Send + Sync>> {
        let Some(playback) = &mut self.playback else { return Ok(None) };
        playback.next(interval).or_else(|error| {
            // What was whole is looked at, and the rest is said.
            notify(&format!("{}: {error}; what comes before it is used", self.path.display()));
            if playback.silent_cpus() > 0 {
                notify(&format!(
                    "nothing was read of {}: who ran there is taken for waiting or asleep",
                    cpus(playback.silent_cpus())
                ));
            }
            playback.next(None)
        })
    }
}
