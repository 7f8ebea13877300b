//! Frames in a file: every look at a world, as it was, to be looked at again elsewhere.
//!
//! A line of JSON each. What a verb says of the live machine it says of the frames that it kept of it, on any
//! machine.

use super::check_span;
use crate::pace::notify;
use crate::target::cannot_create;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tombola_core::frame::{Frame, SCHEMA};
use tombola_core::source::{Origin, Source};

/// How every line begins.
const BEGIN: &[u8] = b"{\"tombola_frame\":";

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line<F> {
    /// Number of the form of what follows ([`SCHEMA`]). It comes first, so that it can be read whatever
    /// follows.
    tombola_frame: u32,
    frame: F,
}

/// The number of a line, whatever else it holds.
#[derive(Deserialize)]
struct Number {
    tombola_frame: u32,
}

/// A world, every frame of which is written down as it is seen.
pub struct Kept {
    source: Box<dyn Source>,
    file: File,
    path: PathBuf,
}

impl Kept {
    /// Writes down the frames of `source` into a new file, or over an old one that holds frames.
    ///
    /// # Errors
    /// It cannot be written, or holds something else.
    pub fn new(source: Box<dyn Source>, path: &Path) -> Result<Self> {
        if path.metadata().is_ok_and(|meta| meta.len() > 0 && meta.is_file()) && !holds_frames(path) {
            bail!("{} is left as it is: it holds no frames; choose another file", path.display());
        }
        let file = File::create(path).map_err(|error| cannot_create(path, error))?;
        Ok(Self { source, file, path: path.to_owned() })
    }
}

impl Source for Kept {
    fn origin(&self) -> Origin {
        self.source.origin()
    }

    fn next(&mut self, interval: Option<Duration>) -> Result<Option<Frame>, Box<dyn StdError + Send + Sync>> {
        let Some(frame) = self.source.next(interval)? else { return Ok(None) };
        // One write, so that a run that is cut short leaves whole lines.
        let mut line = serde_json::to_vec(&Line { tombola_frame: SCHEMA, frame: &frame })?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .with_context(|| format!("cannot keep a frame in {}", self.path.display()))?;
        Ok(Some(frame))
    }
}

/// Frames that were kept, as a world that is past.
pub struct Frames {
    lines: Box<dyn BufRead + Send>,
    /// What messages call the file.
    name: String,
    /// Lines that were read.
    number: u64,
    begin_ns: Option<u64>,
    from: Duration,
    to: Option<Duration>,
    /// The frame that comes next.
    ahead: Option<Frame>,
    /// When the latest frame that was given was taken.
    given_ns: Option<u64>,
    is_over: bool,
}

/// Whether this is a file of frames. One that cannot be read is none: whoever opens it says why.
pub fn holds_frames(path: &Path) -> bool {
    // A pipe would lose what is looked at.
    if !path.metadata().is_ok_and(|meta| meta.is_file()) {
        return false;
    }
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BEGIN.len() as u64).read_to_end(&mut begin));
    read.is_ok() && begin == BEGIN
}

impl Frames {
    /// The frames of a file between two instants: lengths of time since the first of them.
    ///
    /// # Errors
    /// It cannot be opened; `to` is not behind `from`.
    pub fn open(path: &Path, from: Option<Duration>, to: Option<Duration>) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::read(Box::new(BufReader::new(file)), path.display().to_string(), from, to)
    }

    /// The frames of standard input, if it holds some; else nothing of it is used up.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn standard_input(from: Option<Duration>, to: Option<Duration>) -> Result<Option<Self>> {
        if !io::stdin().lock().fill_buf().context("cannot read standard input")?.starts_with(BEGIN) {
            return Ok(None);
        }
        // Both read through the one buffer of the process.
        Self::read(Box::new(BufReader::new(io::stdin())), "standard input".to_owned(), from, to).map(Some)
    }

    fn read(
        lines: Box<dyn BufRead + Send>,
        name: String,
        from: Option<Duration>,
        to: Option<Duration>,
    ) -> Result<Self> {
        check_span(from, to)?;
        let from = from.unwrap_or_default();
        let mut frames = Self {
            lines,
            name,
            number: 0,
            begin_ns: None,
            from,
            to,
            ahead: None,
            given_ns: None,
            is_over: false,
        };
        frames.ahead = frames.frame(None)?;
        if frames.ahead.is_none() {
            bail!("{} has no frames in that stretch", frames.name);
        }
        Ok(frames)
    }

    /// The next frame of the stretch, which follows `earlier`.
    fn frame(&mut self, earlier: Option<&Frame>) -> Result<Option<Frame>> {
        let mut passed = None;
        loop {
            self.number += 1;
            let at = format!("{}, line {}", self.name, self.number);
            let mut line = Vec::new();
            if self.lines.read_until(b'\n', &mut line).with_context(|| at.clone())? == 0 {
                return Ok(None);
            }
            if line.last() != Some(&b'\n') {
                notify(&format!("{at} is cut: what comes before it is used"));
                return Ok(None);
            }
            let no_frame = || format!("{at} is no frame");
            let Number { tombola_frame: schema } = serde_json::from_slice(&line).with_context(no_frame)?;
            if schema != SCHEMA {
                bail!("{at} has the form {schema} of frames; this tombola reads {SCHEMA}");
            }
            let Line { frame, .. }: Line<Frame> = serde_json::from_slice(&line).with_context(no_frame)?;
            frame.check(passed.as_ref().or(earlier)).with_context(|| at.clone())?;
            let taken_ns = frame.snapshot.taken_ns;
            let since = Duration::from_nanos(taken_ns - *self.begin_ns.get_or_insert(taken_ns));
            if self.to.is_some_and(|to| since > to) {
                return Ok(None);
            }
            if since >= self.from {
                return Ok(Some(frame));
            }
            passed = Some(frame);
        }
    }

    /// The frame that comes next, after which the one behind it is looked at.
    fn step(&mut self) -> Option<Frame> {
        let frame = self.ahead.take()?;
        if !self.is_over {
            self.ahead = self.frame(Some(&frame)).unwrap_or_else(|error| {
                notify(&format!("{error:#}; what comes before it is used"));
                None
            });
            self.is_over = self.ahead.is_none();
        }
        Some(frame)
    }
}

impl Source for Frames {
    fn origin(&self) -> Origin {
        Origin::Recorded
    }

    /// Frames stand where they were taken: the one that is nearest to `interval` after the one before.
    fn next(&mut self, interval: Option<Duration>) -> Result<Option<Frame>, Box<dyn StdError + Send + Sync>> {
        let Some(mut frame) = self.step() else { return Ok(None) };
        let length_ns = |interval: Duration| u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let target_ns = match (interval, self.given_ns) {
            (None, _) => u64::MAX,
            (Some(_), None) => frame.snapshot.taken_ns,
            (Some(interval), Some(given_ns)) => given_ns.saturating_add(length_ns(interval)),
        };
        let distance = |frame: &Frame| frame.snapshot.taken_ns.abs_diff(target_ns);
        while self.ahead.as_ref().is_some_and(|ahead| distance(ahead) <= distance(&frame)) {
            let Some(nearer) = self.step() else { break };
            frame = nearer;
        }
        self.given_ns = Some(frame.snapshot.taken_ns);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Simulated;
    use std::fs;
    use tempfile::TempDir;
    use tombola_lab::library;
    use tombola_lab::policy::PolicyKind;
    use tombola_lab::scenario::Scenario;

    const STEP: Duration = Duration::from_millis(250);

    /// Frames of a scenario with groups, and the file that they are kept in.
    fn kept(dir: &TempDir) -> (Vec<Frame>, PathBuf) {
        let scenario = Scenario::from_toml(library::find("web-and-batch").unwrap().text).unwrap();
        let path = dir.path().join("frames");
        let world = Box::new(Simulated::new(scenario, PolicyKind::Lottery, 7));
        let mut kept = Kept::new(world, &path).unwrap();
        let frames = std::iter::from_fn(|| kept.next(Some(STEP)).unwrap()).take(20).collect();
        (frames, path)
    }

    fn all(
        path: &Path,
        interval: Option<Duration>,
        from: Option<Duration>,
        to: Option<Duration>,
    ) -> Vec<Frame> {
        let mut frames = Frames::open(path, from, to).unwrap();
        std::iter::from_fn(|| frames.next(interval).unwrap()).collect()
    }

    #[test]
    fn what_is_read_is_what_was_seen() {
        let dir = TempDir::new().unwrap();
        let (seen, path) = kept(&dir);
        assert_eq!(all(&path, Some(STEP), None, None), seen);
        assert_eq!(all(&path, Some(Duration::from_millis(1)), None, None), seen, "no frame is invented");
        let every_second: Vec<Frame> = seen.iter().step_by(4).cloned().collect();
        assert_eq!(all(&path, Some(STEP * 4), None, None)[..every_second.len()], every_second);
        assert_eq!(all(&path, None, None, None), [seen.last().unwrap().clone()]);
        assert_eq!(all(&path, Some(STEP), Some(STEP * 3), Some(STEP * 5)), seen[3..=5]);
    }

    #[test]
    fn what_no_text_holds_is_kept_too() {
        let dir = TempDir::new().unwrap();
        let (seen, path) = kept(&dir);
        let mut strange = seen[0].clone();
        strange.snapshot.tasks[0].comm = b"\xff\"\n\\".to_vec();
        strange.snapshot.tasks[0].policy = tombola_core::policy::Policy::Unknown(99);
        strange.snapshot.tasks[0].affinity = Some([0, 63, 64, 700].into_iter().collect());
        strange.snapshot.taken_ns = u64::MAX;
        strange.owners = Some([(1, u32::MAX)].into());
        let line = serde_json::to_string(&Line { tombola_frame: SCHEMA, frame: &strange }).unwrap();
        fs::write(&path, line + "\n").unwrap();
        assert_eq!(all(&path, None, None, None), [strange]);
    }

    #[test]
    fn what_is_cut_or_damaged_ends_there_and_what_is_no_frame_is_refused() {
        let dir = TempDir::new().unwrap();
        let (seen, path) = kept(&dir);
        let text = fs::read(&path).unwrap();
        for cut in [1, text.len() / 3, text.len() / 2] {
            fs::write(&path, &text[..text.len() - cut]).unwrap();
            let read = all(&path, Some(STEP), None, None);
            assert!(read.len() < seen.len() && seen.starts_with(&read), "{cut}");
        }
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        fs::write(&path, [lines[0], lines[2], lines[1]].concat()).unwrap();
        assert_eq!(all(&path, Some(STEP), None, None), [seen[0].clone(), seen[2].clone()], "back in time");
        let refused = |text: &[u8]| {
            fs::write(&path, text).unwrap();
            format!("{:#}", Frames::open(&path, None, None).err().unwrap())
        };
        let line = |form: u32, frame: &str| format!("{{\"tombola_frame\":{form},\"frame\":{frame}}}\n");
        let newer = refused(line(SCHEMA + 1, "[]").as_bytes());
        assert!(newer.contains(&format!("has the form {}", SCHEMA + 1)), "{newer}");
        assert!(refused(line(SCHEMA, "{}").as_bytes()).contains("line 1 is no frame"));
        assert!(refused(b"").contains("no frames"));
        let foreign = dir.path().join("foreign");
        fs::write(&foreign, "precious").unwrap();
        let scenario = Scenario::from_toml(library::find("three-burners").unwrap().text).unwrap();
        let world = Box::new(Simulated::new(scenario, PolicyKind::Stride, 1));
        assert!(Kept::new(world, &foreign).is_err());
        assert_eq!(fs::read(&foreign).unwrap(), b"precious");
    }
}
