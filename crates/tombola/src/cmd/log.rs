//! `tombola log`: every interval into the log of this host.

use crate::cli::LogArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::pace::{ACQUAINTANCE, Rhythm, cpu_ns, notify};
use crate::source::{self, Wanted};
use anyhow::{Context, Result, anyhow};
use std::fs;
use std::io::{self, IsTerminal as _};
use std::thread;
use tombola_core::audit::Audit;
use tombola_core::duration::Plain;
use tombola_core::frame::Frame;
use tombola_core::source::{Origin, Source};
use tombola_history::file::About;
use tombola_history::names::Names;
use tombola_history::rows::{Maker, Most};
use tombola_history::{Error, Keep, Log};

/// Logs until told to stop. What fails before the first interval ends it; what fails later is told, and tried
/// again.
pub fn run(args: &LogArgs) -> Result<Exit> {
    let interrupt = Interrupt::catch()?;
    let mut source = source::open(
        args.map.as_deref(),
        Wanted {
            interference: args.interference.then_some(args.max_pairs),
            light: args.light,
            ..Wanted::default()
        },
    )?;
    if source.origin() == Origin::Private {
        thread::sleep(ACQUAINTANCE);
    }
    let mut before = look(source.as_mut())?;
    let host = args.host.clone().unwrap_or_else(|| before.machine.host.clone());
    let boot = boot_id()?;
    let keep = Keep { age: Some(args.keep), bytes: args.keep_mib.map(|mib| mib << 20), seal: args.seal };
    let about = About { host: host.clone(), boot: boot.clone(), release: before.machine.release.clone() };
    let (mut log, trouble) = Log::open(&args.dir, about, keep)?;
    let mut trouble = Trouble::new(trouble);
    if io::stderr().is_terminal() {
        let interval = Plain(args.interval);
        notify(&format!("every {interval} into {} of {}; Ctrl-C ends it", args.dir.display(), host));
    }
    let most = Most { threads: args.top, processes: args.top_processes, ..Most::default() };
    let mut maker = Maker::new(&host, &boot, most, Names::of_this_machine());
    let mut rhythm = Rhythm::new(args.interval, false);
    let mut measured_ns = cpu_ns();
    let mut left = (args.iterations > 0).then_some(args.iterations);
    while left != Some(0) {
        let last = interrupt.wait(rhythm.until_next());
        left = if last { Some(0) } else { left.map(|left| left - 1) };
        let frame = look(source.as_mut())?;
        let window = frame.since(Some(&before));
        let audit = Audit::new(&window).context("the groups of the monitor contradict themselves")?;
        let now_ns = cpu_ns();
        let rows = maker.rows(&window, &audit, &frame, now_ns.saturating_sub(measured_ns));
        match log.append(&rows) {
            Ok(sealing) => {
                trouble.tell(sealing);
                before = frame;
                measured_ns = now_ns;
            }
            // The next interval begins where the last one in the log has ended.
            Err(error) => trouble.tell(Some(error)),
        }
    }
    log.seal().context("the log is whole, its last part is in the journal")?;
    Ok(Exit::Ok)
}

fn look(source: &mut dyn Source) -> Result<Frame> {
    let frame = source.next(None).map_err(|error| anyhow!(error)).context("cannot read the monitor")?;
    frame.context("the monitor has ended")
}

fn boot_id() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    Ok(fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?.trim().to_owned())
}

/// What goes wrong, told once, and that it is over.
struct Trouble(Option<String>);

impl Trouble {
    fn new(error: Option<Error>) -> Self {
        let mut trouble = Self(None);
        trouble.tell(error);
        trouble
    }

    fn tell(&mut self, error: Option<Error>) {
        let text = error.map(|error| format!("{:#}", anyhow!(error)));
        if text != self.0 {
            match &text {
                Some(text) => notify(&format!("{text}; measuring goes on, and it is tried again")),
                None => notify("the log can be written again; nothing is missing from it"),
            }
        }
        self.0 = text;
    }
}
