//! `tombola export`: figures for other programs.

use crate::cli::{ExportArgs, ExportVerb, PrometheusArgs};
use crate::exit::Exit;
use crate::export::account::Account;
use crate::export::server::{self, Page};
use crate::export::text::{Encoder, Texts};
use crate::interrupt::Interrupt;
use crate::pace::{ACQUAINTANCE, Rhythm, cpu_ns, notify};
use crate::source::{self, Wanted};
use crate::target::cannot_create;
use anyhow::{Context, Result, anyhow};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tombola_core::audit::Audit;
use tombola_core::frame::Frame;
use tombola_core::source::{Origin, Source};
use tombola_history::names::Names;

/// Exports until told to stop.
pub fn run(args: &ExportArgs) -> Result<Exit> {
    let ExportVerb::Prometheus(args) = &args.verb;
    prometheus(args)
}

fn prometheus(args: &PrometheusArgs) -> Result<Exit> {
    let interrupt = Interrupt::catch()?;
    let page = Page::default();
    // A port that is taken, a directory that is not there: told before anything is attached.
    if args.textfile.is_none() {
        let address = server::start(args.listen, page.clone())?;
        notify(&format!("metrics are at http://{address}/metrics"));
    }
    if let Some(path) = &args.textfile {
        let part = part_of(path);
        fs::write(&part, "").map_err(|error| cannot_create(path, error))?;
        let _ = fs::remove_file(part);
    }
    let mut source = source::open(
        args.map.as_deref(),
        Wanted { interference: args.interference.then_some(args.max_pairs), ..Wanted::default() },
    )?;
    if source.origin() == Origin::Private {
        thread::sleep(ACQUAINTANCE);
    }
    let mut before = look(source.as_mut())?;
    let encoder = Encoder::new(Arc::new(Mutex::new(Account::new(args.top))));
    let mut names = Names::of_this_machine();
    let mut rhythm = Rhythm::new(args.interval, false);
    let mut left = (args.iterations > 0).then_some(args.iterations);
    let mut failed: Option<String> = None;
    while left != Some(0) && !interrupt.wait(rhythm.until_next()) {
        left = left.map(|left| left - 1);
        let frame = look(source.as_mut())?;
        let window = frame.since(Some(&before));
        let audit = Audit::new(&window).context("the groups of the monitor contradict themselves")?;
        {
            let mut account = encoder.account().lock().unwrap_or_else(PoisonError::into_inner);
            account.add(&window, &audit, &frame, &mut names);
            account.machine.measuring_ns = cpu_ns();
        }
        before = frame;
        let texts = encoder.texts()?;
        match &args.textfile {
            None => page.set(texts),
            Some(path) => {
                let error = write(path, &texts).err().map(|error| format!("{error:#}"));
                if let (Some(error), true) = (&error, error != failed) {
                    notify(&format!("{error}; measuring goes on, and it is tried again"));
                }
                failed = error;
            }
        }
    }
    Ok(Exit::Ok)
}

fn look(source: &mut dyn Source) -> Result<Frame> {
    let frame = source.next(None).map_err(|error| anyhow!(error)).context("cannot read the monitor")?;
    frame.context("the monitor has ended")
}

/// What a file is called until it is whole.
fn part_of(path: &Path) -> PathBuf {
    path.with_extension("part")
}

/// Under another name until it is whole; `node_exporter` looks at `*.prom` alone.
fn write(path: &Path, texts: &Texts) -> Result<()> {
    let part = part_of(path);
    fs::write(&part, &texts.plain)
        .and_then(|()| fs::rename(&part, path))
        .inspect_err(|_| drop(fs::remove_file(&part)))
        .with_context(|| format!("cannot write '{}'", path.display()))
}
