//! Text: the kernel's `trace` file, `trace-cmd report`, `perf script`, systrace.
//!
//! Times are mostly of microseconds, so events of one instant keep the order of their lines. Lines that are
//! no scheduling event are passed over; those that are one and cannot be read are counted as damage.

mod arguments;
mod line;

use super::{Damage, Input, Place, ReadError, Reader};
use crate::capabilities::{Capabilities, Header, LossTold};
use crate::event::{Context, Event, Kind, Stage};
use crate::state::StateLaw;
use arguments::Told;
use line::{Line, number};
use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

/// How much is looked at for the header before the first event is given.
const LOOK_AHEAD_BYTES: u64 = 8 << 20;

/// Fewer events do not show whether their times are differences.
const LEAST_EVENTS: u64 = 16;

/// Longer lines are cut there: no event's is as long.
const LINE_BYTES: u64 = 1 << 14;

/// Ends of lines that the names in one event can hold: it has two names of 15 bytes.
const MOST_BREAKS: usize = 30;

/// A reader of text.
pub struct TextReader {
    input: BufReader<Box<dyn Input>>,
    header: Header,
    damage: Damage,
    law: StateLaw,
    line: Vec<u8>,
    /// Whether `line` was read ahead, and is still the next one.
    is_ahead: bool,
    line_number: u64,
    read_bytes: u64,
    bytes: u64,
    /// Losses told by lines without a time, given at the time of the next event.
    losses: VecDeque<(Option<u32>, Option<u64>)>,
    /// An event that waits behind them.
    held: Option<Event>,
    last_ns: u64,
    is_over: bool,
}

impl TextReader {
    /// Looks at the beginning for what the recording can tell.
    ///
    /// # Errors
    /// [`ReadError`] where the input cannot be read, or holds no scheduling event at all.
    pub fn new(mut input: Box<dyn Input>) -> Result<Self, ReadError> {
        let bytes = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        let mut reader = Self {
            input: BufReader::with_capacity(1 << 16, input),
            header: Header { format: "ftrace text".to_owned(), ..Header::default() },
            damage: Damage::default(),
            law: StateLaw::default(),
            line: Vec::new(),
            is_ahead: false,
            line_number: 0,
            read_bytes: 0,
            bytes,
            losses: VecDeque::new(),
            held: None,
            last_ns: 0,
            is_over: false,
        };
        reader.look_ahead()?;
        Ok(reader)
    }

    fn look_ahead(&mut self) -> Result<(), ReadError> {
        let mut numbers = BTreeSet::new();
        let mut events = 0u64;
        let mut cpus = None;
        let mut can =
            Capabilities { prev: true, waker: true, resolution_ns: u64::MAX, ..Capabilities::default() };
        let (mut is_perf, mut is_plugin) = (false, false);
        // Events that are earlier than the one before, and lines that name an event and cannot be read.
        let (mut earlier, mut last_ns, mut odd) = (0u64, 0, None);
        while self.read_bytes < LOOK_AHEAD_BYTES && self.next_line()? {
            let text = &self.line[..];
            if let Some((key, value)) = head(text) {
                match key {
                    "os release" => self.header.release = Some(value),
                    "hostname" => self.header.host = Some(value),
                    "arch" => self.header.arch = Some(value),
                    _ => cpus = value.parse().ok().or(cpus),
                }
                continue;
            }
            if lost(text).is_some() {
                can.loss = LossTold::Exact;
                continue;
            }
            let Some(line) = Line::read(text) else {
                if odd.is_none() && memchr::memmem::find(text, b"sched_switch:").is_some() {
                    odd = Some(self.line_number);
                }
                continue;
            };
            let mut is_known = true;
            match line.name {
                b"sched_switch" => match arguments::switch(line.arguments) {
                    Some((_, Told::Number(value), _)) if numbers.len() < 4096 => {
                        numbers.insert(value);
                    }
                    _ => is_plugin |= !line.arguments.starts_with(b"prev_comm="),
                },
                b"sched_waking" => can.waking = true,
                b"sched_wakeup" => can.wakeup = true,
                b"sched_wakeup_new" => {}
                b"sched_migrate_task" => can.migrations = true,
                b"sched_process_fork" | b"sched_process_exit" => can.fork_exit = true,
                _ => is_known = false,
            }
            if is_known {
                events += 1;
                earlier += u64::from(line.ts_ns < last_ns);
                last_ns = line.ts_ns;
                is_perf |= line.is_perf;
                can.interrupt |= line.context.is_some();
                can.tgid |= line.tgid.is_some();
                can.resolution_ns = can.resolution_ns.min(line.resolution_ns);
            }
        }
        if let (0, Some(line)) = (events, odd) {
            return Err(ReadError::Unsupported {
                format: "text",
                what: format!("line {line} names an event, but without its time or CPU, or in a form that is not known"),
                advice: "known are the kernel's trace, trace-cmd report, and perf script with the fields comm,tid,cpu,time,event,trace".to_owned(),
            });
        }
        // Files of single CPUs that were put one behind the other go back once a file.
        if events >= LEAST_EVENTS && earlier * 4 > events {
            return Err(ReadError::Unsupported {
                format: "text",
                what: format!(
                    "{earlier} of {events} events are earlier than the one before, as if times were differences"
                ),
                advice: "print them without --deltatime".to_owned(),
            });
        }
        if events == 0 && self.read_bytes >= self.bytes {
            return Err(ReadError::Unsupported {
                format: "text",
                what: "no scheduling event in it".to_owned(),
                advice: "record with the sched events switched on: `trace-cmd record -e sched`, `perf sched record`".to_owned(),
            });
        }
        let by_release = self.header.release.as_deref().and_then(StateLaw::from_release);
        self.law = by_release.or_else(|| StateLaw::from_values(numbers)).unwrap_or_default();
        self.header.format = match (is_perf, is_plugin) {
            (true, _) => "perf script text".to_owned(),
            (false, true) => "trace-cmd report text".to_owned(),
            (false, false) => self.header.format.clone(),
        };
        self.header.clock = is_perf.then(|| "perf".to_owned());
        self.header.cpus = cpus;
        can.hides_preemption = is_plugin;
        self.header.can = Capabilities { resolution_ns: can.resolution_ns.min(1_000_000_000), ..can };
        self.input.seek(SeekFrom::Start(0))?;
        (self.read_bytes, self.line_number) = (0, 0);
        Ok(())
    }

    /// Reads the next line into `line`, without its end; false behind the last.
    fn next_line(&mut self) -> Result<bool, ReadError> {
        if std::mem::take(&mut self.is_ahead) {
            return Ok(true);
        }
        self.line.clear();
        let read = (&mut self.input).take(LINE_BYTES).read_until(b'\n', &mut self.line)?;
        self.read_bytes += read as u64;
        self.line_number += 1;
        if read as u64 == LINE_BYTES && self.line.last() != Some(&b'\n') {
            loop {
                let rest = self.input.fill_buf()?;
                let (n, is_end) = match memchr::memchr(b'\n', rest) {
                    Some(at) => (at + 1, true),
                    None => (rest.len(), rest.is_empty()),
                };
                self.input.consume(n);
                self.read_bytes += n as u64;
                if is_end {
                    break;
                }
            }
        }
        // systrace keeps the lines in a string of JavaScript.
        let mut end = self.line.trim_ascii_end().len();
        if self.line[..end].ends_with(b"\\n\\") {
            end -= 3;
        }
        self.line.truncate(end);
        Ok(read > 0)
    }

    /// The event of the present line; a loss without a time of its own is kept.
    fn event(&mut self) -> Result<Option<Event>, ReadError> {
        let number = self.line_number;
        let mut text = std::mem::take(&mut self.line);
        let told = self.event_of(&text, number).or_else(|what| {
            // A name may hold the end of a line.
            for _ in 0..MOST_BREAKS {
                if !self.next_line()? {
                    break;
                }
                if Line::read(&self.line).is_some() || lost(&self.line).is_some() {
                    self.is_ahead = true;
                    break;
                }
                text.push(b'\n');
                text.extend_from_slice(&self.line);
                if let Ok(event) = self.event_of(&text, number) {
                    return Ok(event);
                }
            }
            self.damage.add(Place::Line(number), what);
            Ok(None)
        });
        if !self.is_ahead {
            self.line = text;
        }
        told
    }

    /// The event of a line, `None` where it is of another kind, or what it is that cannot be read.
    fn event_of(&mut self, text: &[u8], number: u64) -> Result<Option<Event>, String> {
        let Some(line) = Line::read(text) else {
            self.losses.extend(lost(text));
            return Ok(None);
        };
        let at = |kind| Event { ts_ns: line.ts_ns, cpu: line.cpu, seq: number, kind };
        if line.name == b"PERF_RECORD_LOST" {
            let last = line.arguments.rsplit(u8::is_ascii_whitespace).next();
            let count = last.and_then(self::number).map(u64::from);
            return Ok(Some(at(Kind::Loss { of_cpu: Some(line.cpu), count, from_ns: None })));
        }
        let told = match line.name {
            b"sched_switch" => arguments::switch(line.arguments).map(|(mut prev, state, next)| {
                prev.tgid = line.tgid.filter(|_| line.pid == Some(prev.pid));
                let state = match state {
                    Told::Letters(left) => left,
                    Told::Number(value) => self.law.left(value),
                };
                Kind::Switch { prev: Some(prev), state, next }
            }),
            b"sched_waking" => wake(&line, Stage::Waking),
            b"sched_wakeup" => wake(&line, Stage::Woken),
            b"sched_wakeup_new" => wake(&line, Stage::New),
            b"sched_migrate_task" => arguments::migrate(line.arguments)
                .map(|(task, from, to)| Kind::Migrate { task, from: Some(from), to }),
            b"sched_process_fork" => {
                arguments::fork(line.arguments).map(|(parent, child)| Kind::Fork { parent, child })
            }
            b"sched_process_exec" => {
                arguments::exec(line.arguments).map(|(task, old_pid)| Kind::Exec { task, old_pid })
            }
            b"sched_process_exit" => arguments::exit(line.arguments).map(|task| Kind::Exit { task }),
            b"task_rename" => arguments::rename(line.arguments).map(|task| Kind::Rename { task }),
            _ => return Ok(None),
        };
        let unread = || format!("a {} that cannot be read", line.name.escape_ascii());
        told.map(|kind| Some(at(kind))).ok_or_else(unread)
    }
}

fn wake(line: &Line<'_>, stage: Stage) -> Option<Kind> {
    let told = arguments::wake(line.arguments)?;
    let context = line.context.unwrap_or(Context::Unknown);
    Some(Kind::Wake { wakee: told.wakee, waker: line.pid, target: told.target, stage, context })
}

/// A line of the head that says something: `# os release : 6.1`, `cpus=2`, `… #P:2`.
fn head(text: &[u8]) -> Option<(&'static str, String)> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(cpus) = text.strip_prefix("cpus=") {
        return Some(("cpus", cpus.trim().to_owned()));
    }
    let comment = text.strip_prefix('#')?.trim();
    if let Some((_, cpus)) = comment.split_once("#P:") {
        return Some(("cpus", cpus.trim().trim_end_matches(')').to_owned()));
    }
    let (key, value) = comment.split_once(" : ")?;
    let key = match key.trim() {
        "os release" => "os release",
        "hostname" => "hostname",
        "arch" => "arch",
        "nrcpus online" => "nrcpus online",
        _ => return None,
    };
    Some((key, value.trim().to_owned()))
}

/// A line that tells of missing events, and has no time: of which CPU, and how many.
///
/// ```text
/// CPU:1 [LOST 123 EVENTS]        the kernel          CPU:1 [123 EVENTS DROPPED]    trace-cmd report
/// CPU:1 [EVENTS DROPPED]         trace-cmd report    CPU 1: 123 events lost        its head
/// ```
fn lost(text: &[u8]) -> Option<(Option<u32>, Option<u64>)> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let rest = text.strip_prefix("CPU")?.trim_start_matches([':', ' ']);
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let cpu = rest[..digits].parse().ok()?;
    let lower = rest[digits..].to_ascii_lowercase();
    if !lower.contains("event") || !(lower.contains("lost") || lower.contains("dropped")) {
        return None;
    }
    let count = lower.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse().ok());
    (count != Some(0)).then_some((Some(cpu), count))
}

impl Reader for TextReader {
    fn header(&self) -> &Header {
        &self.header
    }

    fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            if let Some(held) = &self.held {
                if let Some((of_cpu, count)) = self.losses.pop_front() {
                    let (ts_ns, cpu, seq) = (held.ts_ns, of_cpu.unwrap_or(held.cpu), held.seq);
                    return Ok(Some(Event {
                        ts_ns,
                        cpu,
                        seq,
                        kind: Kind::Loss { of_cpu, count, from_ns: None },
                    }));
                }
                return Ok(self.held.take());
            }
            if self.is_over {
                // Losses behind the last event: of the time of that.
                let lost = self.losses.pop_front();
                return Ok(lost.map(|(of_cpu, count)| Event {
                    ts_ns: self.last_ns,
                    cpu: of_cpu.unwrap_or(0),
                    seq: self.line_number,
                    kind: Kind::Loss { of_cpu, count, from_ns: None },
                }));
            }
            match self.next_line() {
                Ok(true) => {}
                Ok(false) => {
                    self.is_over = true;
                    continue;
                }
                Err(error) => {
                    self.is_over = true;
                    return Err(error);
                }
            }
            let event = match self.event() {
                Ok(event) => event,
                Err(error) => {
                    self.is_over = true;
                    return Err(error);
                }
            };
            self.last_ns = event.as_ref().map_or(self.last_ns, |event| event.ts_ns);
            if self.losses.is_empty() {
                if event.is_some() {
                    return Ok(event);
                }
            } else {
                self.held = event;
            }
        }
    }

    fn progress(&self) -> (u64, u64) {
        (self.read_bytes, self.bytes)
    }

    fn damage(&self) -> &Damage {
        &self.damage
    }
}
