//! `tombola record`: the machine's scheduling events, into a file that others read too.

mod events;
mod target;
mod trigger;
mod waits;

use crate::cli::RecordArgs;
use crate::command::Command;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::interval::Plain;
use crate::pace::{Waited, notify};
use crate::text::harmless;
use crate::visibility::counted;
use anyhow::{Context, Result, bail};
use events::Events;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::gettid;
use signal_hook::consts::SIGUSR1;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use target::Target;
use tombola_kernel::Recorder;
use tombola_kernel::recorder::{Drained, Recorded, Totals};
use tombola_recording::capabilities::{Capabilities, Header, LossTold, Scope};
use tombola_recording::event::{Event, Kind};
use trigger::Watch;
use waits::Waits;

/// How often the lanes are emptied at least.
const DRAIN: Duration = Duration::from_millis(100);
/// And at most, where they fill faster.
const DRAIN_LEAST: Duration = Duration::from_millis(1);
/// How often what is there goes to the file, and how often all tasks are asked what they are like.
const SETTLE: Duration = Duration::from_secs(1);
/// By so much the clocks of two CPUs may differ in what they tell, after a stall of a virtual machine too.
const CLOCKS_NS: u64 = 1_000_000;
/// Asking all tasks takes at most this part of the time.
const ASKING: u32 = 50;

/// Records until told to stop. What fails, fails before the command starts.
pub fn run(args: &RecordArgs, out: &mut dyn Write) -> Result<Exit> {
    let to_standard = args.output == Path::new("-");
    if to_standard && !args.command.is_empty() {
        bail!("the command would write into the recording: name a file with -o");
    }
    let interrupt = Interrupt::catch()?;
    let asked = Arc::new(AtomicBool::new(false));
    if args.flight.is_some() {
        signal_hook::flag::register(SIGUSR1, Arc::clone(&asked)).context("cannot handle SIGUSR1")?;
    }
    // Readers of the recording tell the recorder by its name.
    rustix::thread::set_name(c"tombola-record").context("cannot name the thread")?;
    let mut session = Session::start(args)?;
    let mut command = match args.command.split_first() {
        None => None,
        Some((program, arguments)) => Some(Command::start(program, arguments)?),
    };
    let end = args.duration.and_then(|length| Instant::now().checked_add(length));
    let mut over = false;
    while !over {
        let left = end.map_or(DRAIN, |end| end.saturating_duration_since(Instant::now()));
        let wait = session.pace.min(left);
        let ended = match &mut command {
            Some(command) => command.wait(&interrupt, Some(wait))? == Waited::Last,
            None => interrupt.wait(wait),
        };
        over = ended || interrupt.raised() || end.is_some_and(|end| Instant::now() >= end);
        session.round()?;
        if asked.swap(false, Ordering::SeqCst) {
            session.write_flight("asked for by SIGUSR1")?;
        }
        if let Some(reason) = session.triggered.take() {
            session.write_flight(&reason)?;
            over = true;
        }
    }
    let summary = session.stop()?;
    if to_standard {
        notify(summary.text.trim_end());
    } else {
        out.write_all(summary.text.as_bytes())?;
    }
    let status = match &mut command {
        None => None,
        Some(command) => {
            if command.exit_status().is_none() {
                notify("the recording is over, the command is still running; waiting for its end");
            }
            command.finish(&interrupt)?
        }
    };
    Ok(match status {
        _ if args.strict && summary.totals.lost() > 0 => Exit::Loss,
        None => Exit::Ok,
        Some(status) => Exit::Command(u8::try_from(status).unwrap_or(u8::MAX)),
    })
}

/// A recording on its way.
struct Session {
    recorder: Recorder,
    target: Target,
    events: Events,
    batch: Vec<Recorded>,
    /// Time until the next round.
    pace: Duration,
    last_round: Instant,
    last_settle: Instant,
    next_asking: Instant,
    own: Own,
    watch: Option<Watch>,
    /// What pulled the trigger.
    triggered: Option<String>,
}

/// What the recorder itself needed.
struct Own {
    tid: u32,
    begin: Instant,
    cpu_ns: u64,
    waits: Waits,
    longest_ns: u64,
    longest_pause: Duration,
}

struct Summary {
    text: String,
    totals: Totals,
}

impl Session {
    fn start(args: &RecordArgs) -> Result<Self> {
        // Before anything is loaded: a name that cannot be is told at once.
        let recorder_room = args.lane.unwrap_or_default();
        if !args.force && args.output.exists() {
            bail!(
                "{} exists; another name, or --force to overwrite it",
                harmless(args.output.as_os_str().as_encoded_bytes())
            );
        }
        let recorder = Recorder::start(recorder_room)?;
        let header = header(&recorder);
        let begin = recorder.begin();
        let target = match args.flight {
            None => Target::stream(&args.output, args.force, &header)?,
            Some(length) => Target::flight(&args.output, args.force, length, &header, begin.ts_ns)?,
        };
        let now = Instant::now();
        let tid = gettid().as_raw().unsigned_abs();
        let tid = counted(tid).unwrap_or(tid);
        let mut session = Self {
            events: Events::new(begin, recorder.cpus()),
            recorder,
            target,
            batch: Vec::new(),
            pace: DRAIN,
            last_round: now,
            last_settle: now,
            next_asking: now,
            own: Own {
                tid,
                begin: now,
                cpu_ns: own_cpu_ns(),
                waits: Waits::default(),
                longest_ns: 0,
                longest_pause: Duration::ZERO,
            },
            watch: args.trigger.zip(args.flight).map(|(trigger, kept)| Watch::new(trigger, kept, &header)),
            triggered: None,
        };
        session.ask(begin.ts_ns)?;
        if args.flight.is_some() {
            notify(&format!(
                "keeping the last {}; kill -USR1 {} writes them",
                Plain(args.flight.unwrap_or_default()),
                std::process::id()
            ));
        } else if args.command.is_empty() && args.duration.is_none() {
            notify("recording; Ctrl-C ends it");
        }
        Ok(session)
    }

    /// Empties the lanes, and does what is due.
    fn round(&mut self) -> Result<()> {
        let since = self.last_round.elapsed();
        self.own.longest_pause = self.own.longest_pause.max(since);
        self.last_round = Instant::now();
        // What happened before it, on whatever CPU, is handed over now.
        let all_until_ns = self.recorder.now_ns().saturating_sub(CLOCKS_NS);
        let drained = self.recorder.drain(&mut |recorded| self.batch.push(recorded))?;
        self.pace = next_pace(drained, since, self.recorder.room());
        self.hand_over()?;
        if let Some(watch) = &mut self.watch
            && let Some(pulled) = watch.look(all_until_ns)
        {
            self.triggered = Some(watch.reason(pulled, &harmless(self.events.name(pulled.pid))));
        }
        if Instant::now() >= self.next_asking {
            let now_ns = self.recorder.now_ns();
            self.ask(now_ns)?;
        }
        if self.last_settle.elapsed() >= SETTLE {
            self.last_settle = Instant::now();
            self.target.settle(&mut self.events, self.recorder.now_ns())?;
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<()> {
        let mut batch = std::mem::take(&mut self.batch);
        self.events.foresee(&batch);
        // Waits begin on one CPU and end on another, and own packets are in the order of time. Those of one
        // CPU keep their order.
        batch.sort_by_key(|recorded| recorded.ts_ns);
        let mut done = Ok(());
        for recorded in batch.drain(..) {
            let (target, own, watch) = (&mut self.target, &mut self.own, &mut self.watch);
            self.events.make(recorded, &mut |event| {
                own.see(&event);
                if let Some(watch) = watch {
                    watch.event(&event);
                }
                if done.is_ok() {
                    done = target.event(&event);
                }
            });
        }
        self.batch = batch;
        done
    }

    /// Asks all tasks what they are like, and tells what is new.
    fn ask(&mut self, ts_ns: u64) -> Result<()> {
        let begin = Instant::now();
        let ((tasks, asleep), groups) = (self.recorder.tasks()?, self.recorder.groups()?);
        if self.events.take_look() {
            // Beside what the lanes hold of these moments.
            self.batch.extend(asleep);
        }
        let (target, watch, mut done) = (&mut self.target, &mut self.watch, Ok(()));
        self.events.renew(ts_ns, tasks, groups, &mut |event| {
            if let Some(watch) = watch {
                watch.event(&event);
            }
            if done.is_ok() {
                done = target.event(&event);
            }
        });
        self.next_asking = Instant::now() + SETTLE.max(begin.elapsed() * ASKING);
        done
    }

    fn write_flight(&mut self, why: &str) -> Result<()> {
        let now_ns = self.recorder.now_ns();
        if let Target::Flight(flight) = &mut self.target {
            let (name, size) = flight.write(&mut self.events, now_ns)?;
            notify(&format!("{why}: wrote {name}, {size} bytes"));
        }
        Ok(())
    }

    fn stop(mut self) -> Result<Summary> {
        // How long groups stood throttled, up to the end.
        let now_ns = self.recorder.now_ns();
        self.ask(now_ns)?;
        let batch = &mut self.batch;
        let recorder = self.recorder;
        let totals = recorder.stop(&mut |recorded| batch.push(recorded))?;
        let (target, own, mut done) = (&mut self.target, &mut self.own, Ok(()));
        self.events.foresee(&self.batch);
        self.batch.sort_by_key(|recorded| recorded.ts_ns);
        for recorded in self.batch.drain(..) {
            self.events.make(recorded, &mut |event| {
                own.see(&event);
                if done.is_ok() {
                    done = target.event(&event);
                }
            });
        }
        done?;
        let kept = match &self.target {
            Target::Flight(flight) if flight.written() == 0 => {
                notify("nothing was written: no SIGUSR1 came, and no trigger was pulled");
                Some(flight.bytes())
            }
            _ => None,
        };
        let bytes = self.target.finish(totals.end_ns)?;
        Ok(Summary { text: summary(&totals, bytes, kept, &self.own), totals })
    }
}

impl Own {
    fn see(&mut self, event: &Event) {
        let is_own = match &event.kind {
            Kind::Wake { wakee, .. } => wakee.pid == self.tid,
            Kind::Switch { prev, next, .. } => {
                next.pid == self.tid || prev.as_ref().is_some_and(|prev| prev.pid == self.tid)
            }
            _ => false,
        };
        if is_own && let Some(wait) = self.waits.event(event).filter(|wait| wait.pid == self.tid) {
            self.longest_ns = self.longest_ns.max(wait.ns());
        }
    }
}

/// The lanes are to be half full at most when they are emptied.
fn next_pace(drained: Drained, since: Duration, room: u32) -> Duration {
    let half = f64::from(room) / 2.0;
    let pace = since.as_secs_f64() * half / (drained.fullest.max(1) as f64);
    DRAIN.min(Duration::try_from_secs_f64(pace).unwrap_or(DRAIN)).max(DRAIN_LEAST)
}

fn summary(totals: &Totals, bytes: Option<u64>, kept: Option<u64>, own: &Own) -> String {
    let (seen, written, lost) = (totals.seen, totals.written, totals.lost());
    let some = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let counts = [
        Some(format!("recorded: {written} events written + {lost} lost = {seen} counted")),
        some(seen.abs_diff(written + lost), "UNACCOUNTED FOR"),
        some(totals.lost_in_lanes, "in full lanes (a larger --lane holds more)"),
        some(totals.lost_notes, "births, ends and names in a full ring"),
        some(totals.not_run, "more that the kernel did not show"),
        some(totals.backwards, "with a time before that of the one before them"),
    ];
    let each = bytes.map(|bytes| bytes as f64 / written.max(1) as f64);
    let cpu_s = own_cpu_ns().saturating_sub(own.cpu_ns) as f64 / 1e9;
    let lines = [
        Some(counts.into_iter().flatten().collect::<Vec<_>>().join("; ")),
        bytes.zip(each).map(|(bytes, each)| format!("file: {bytes} bytes, {each:.1} an event")),
        kept.map(|bytes| format!("kept and not written: {bytes} bytes")),
        Some(format!(
            "recorder: thread {}, {cpu_s:.2} s of CPU ({:.1} % of one), longest wait for one {:.1} ms, longest time between two looks \
             {:.0} ms\n",
            own.tid,
            100.0 * cpu_s / own.begin.elapsed().as_secs_f64(),
            own.longest_ns as f64 / 1e6,
            own.longest_pause.as_secs_f64() * 1e3
        )),
    ];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn header(recorder: &Recorder) -> Header {
    let begin = recorder.begin();
    let name = rustix::system::uname();
    let text =
        |part: &std::ffi::CStr| Some(part.to_string_lossy().into_owned()).filter(|text| !text.is_empty());
    Header {
        format: "tombola record".into(),
        host: text(name.nodename()),
        release: text(name.release()),
        arch: text(name.machine()),
        cpus: Some(online_cpus().unwrap_or_else(|| recorder.cpus())),
        clock: Some("monotonic".into()),
        wall: Some((begin.ts_ns, begin.unix_ns / 1000)),
        begin_ns: Some(begin.ts_ns),
        end_ns: None,
        groups: Vec::new(),
        scope: Scope::Whole,
        can: Capabilities {
            prev: true,
            waking: true,
            waker: true,
            interrupt: true,
            fork_exit: true,
            migrations: true,
            tgid: true,
            groups: true,
            affinity: true,
            yields: recorder.tells_yields(),
            loss: LossTold::Exact,
            resolution_ns: 1,
            ..Capabilities::default()
        },
    }
}

/// How many CPUs are online.
fn online_cpus() -> Option<u32> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    let count = |part: &str| match part.trim().split_once('-') {
        None => part.trim().parse::<u32>().ok().map(|_| 1),
        Some((first, last)) => Some(last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)? + 1),
    };
    text.split(',').map(count).sum()
}

fn own_cpu_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |time| u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_emptied_before_they_are_half_full() {
        let pace =
            |fullest, ms| next_pace(Drained { records: fullest, fullest }, Duration::from_millis(ms), 1000);
        assert_eq!(pace(0, 100), DRAIN);
        assert_eq!(pace(10, 100), DRAIN);
        assert_eq!(pace(1000, 100), Duration::from_millis(50), "full after 100 ms, half full after 50");
        assert_eq!(pace(1000, 1), DRAIN_LEAST);
    }
}
