//! Where a recording goes: into a file as it comes, or into memory until somebody wants it.

use crate::cmd::record::events::Events;
use crate::target::cannot_create;
use crate::text::harmless;
use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tombola_recording::capabilities::Header;
use tombola_recording::event::Event;
use tombola_recording::writer::perfetto::{Options, PerfettoWriter};

/// Where it goes.
pub enum Target {
    /// At once.
    Stream { writer: Box<PerfettoWriter<Box<dyn Write>>>, name: String },
    /// When it is wanted.
    Flight(Box<Flight>),
}

/// The last so much time, in pieces that are files each: one after the other they are one file.
pub struct Flight {
    length_ns: u64,
    piece_ns: u64,
    header: Header,
    /// Finished pieces: when each ended, and its bytes.
    pieces: VecDeque<(u64, Vec<u8>)>,
    open: PerfettoWriter<Vec<u8>>,
    since_ns: u64,
    path: PathBuf,
    force: bool,
    written: u32,
}

/// A flight is kept in so many pieces: what is kept is up to one of them longer than what was asked for.
const PIECES: u32 = 10;

impl Target {
    /// A file that is written from now on.
    pub fn stream(path: &Path, force: bool, header: &Header) -> Result<Self> {
        let is_standard = path == Path::new("-");
        let out: Box<dyn Write> = if is_standard {
            if io::stdout().is_terminal() {
                bail!(
                    "standard output is a terminal, which can do nothing with a trace; redirect it, or name a file with -o"
                );
            }
            Box::new(io::stdout())
        } else {
            Box::new(create(path, force)?)
        };
        let name = if is_standard {
            "standard output".into()
        } else {
            harmless(path.as_os_str().as_encoded_bytes())
        };
        let writer = PerfettoWriter::new(out, header, Options::default())
            .with_context(|| format!("cannot write {name}"))?;
        Ok(Self::Stream { writer: Box::new(writer), name })
    }

    /// The last so much time, for a file that is named now and written when it is wanted.
    pub fn flight(path: &Path, force: bool, length: Duration, header: &Header, now_ns: u64) -> Result<Self> {
        if path == Path::new("-") {
            bail!("a flight recorder writes when it is told to: name a file with -o");
        }
        if !force && path.exists() {
            bail!("{}", exists(path));
        }
        let header = Header { begin_ns: None, ..header.clone() };
        let open = PerfettoWriter::new(Vec::new(), &header, Options::default())?;
        let length_ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Ok(Self::Flight(Box::new(Flight {
            length_ns,
            piece_ns: length_ns / u64::from(PIECES),
            header,
            pieces: VecDeque::new(),
            open,
            since_ns: now_ns,
            path: path.to_owned(),
            force,
            written: 0,
        })))
    }

    /// Takes an event.
    pub fn event(&mut self, event: &Event) -> Result<()> {
        match self {
            Self::Stream { writer, name } => {
                writer.event(event).with_context(|| format!("cannot write {name}"))
            }
            Self::Flight(flight) => Ok(flight.open.event(event)?),
        }
    }

    /// Hands what is there to the file, or begins a new piece where it is time.
    pub fn settle(&mut self, events: &mut Events, now_ns: u64) -> Result<()> {
        match self {
            Self::Stream { writer, name } => {
                writer.flush_all().with_context(|| format!("cannot write {name}"))
            }
            Self::Flight(flight) if now_ns.saturating_sub(flight.since_ns) >= flight.piece_ns => {
                flight.next_piece(events, now_ns)
            }
            Self::Flight(_) => Ok(()),
        }
    }

    /// Ends the file.
    pub fn finish(self, end_ns: u64) -> Result<Option<u64>> {
        match self {
            Self::Stream { mut writer, name } => {
                writer.flush_all().with_context(|| format!("cannot write {name}"))?;
                let bytes = writer.written_bytes();
                writer.finish(Some(end_ns)).with_context(|| format!("cannot write {name}"))?;
                Ok(Some(bytes))
            }
            Self::Flight(_) => Ok(None),
        }
    }
}

impl Flight {
    fn next_piece(&mut self, events: &mut Events, now_ns: u64) -> Result<()> {
        let fresh = PerfettoWriter::new(Vec::new(), &self.header, Options::default())?;
        let full = std::mem::replace(&mut self.open, fresh).finish(None)?;
        self.pieces.push_back((now_ns, full));
        while self.pieces.front().is_some_and(|(end_ns, _)| now_ns.saturating_sub(*end_ns) > self.length_ns) {
            self.pieces.pop_front();
        }
        self.since_ns = now_ns;
        let mut told = Ok(());
        events.all(now_ns, &mut |event| {
            if told.is_ok() {
                told = self.open.event(&event);
            }
        });
        Ok(told?)
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>() + self.open.written_bytes()
    }

    /// Writes what is kept to the next file, and goes on; its name and size.
    pub fn write(&mut self, events: &mut Events, now_ns: u64) -> Result<(String, u64)> {
        self.next_piece(events, now_ns)?;
        let path = match self.written {
            0 => self.path.clone(),
            before => {
                let mut name = self.path.clone().into_os_string();
                name.push(format!(".{}", before + 1));
                name.into()
            }
        };
        let mut file = create(&path, self.force)?;
        let name = harmless(path.as_os_str().as_encoded_bytes());
        let mut size = 0;
        for (_, bytes) in &self.pieces {
            file.write_all(bytes).with_context(|| format!("cannot write {name}"))?;
            size += bytes.len() as u64;
        }
        self.written += 1;
        Ok((name, size))
    }

    /// Files written.
    pub fn written(&self) -> u32 {
        self.written
    }
}

fn create(path: &Path, force: bool) -> Result<File> {
    let mut options = OpenOptions::new();
    let options = options.write(true).truncate(force).create(force).create_new(!force);
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => anyhow::anyhow!("{}", exists(path)),
        _ => cannot_create(path, error),
    })
}

fn exists(path: &Path) -> String {
    format!(
        "{} exists; another name, or --force to overwrite it",
        harmless(path.as_os_str().as_encoded_bytes())
    )
}
