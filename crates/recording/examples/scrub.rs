//! Makes a recording fit to be given away: names of hosts and groups go, of the kernel's release the numbers
//! stay, names of tasks that are not among those given, nor of the kernel's own threads, become `other`.
//!
//! Usage: `scrub FROM TO NAME…`, where a NAME stands for all names that begin with it, and `=NAME` for
//! itself.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use tombola_recording::event::{Kind, Task};
use tombola_recording::reader;
use tombola_recording::writer::{Options, PerfettoWriter};

/// How names of the kernel's threads begin.
const KERNEL: [&str; 14] = [
    "kworker/",
    "ksoftirqd/",
    "migration/",
    "rcu_",
    "rcuop/",
    "rcub/",
    "kthreadd",
    "kswapd",
    "kcompactd",
    "khugepaged",
    "jbd2/",
    "swapper/",
    "cpuhp/",
    "kauditd",
];

/// The numbers that a release begins with: 6.18.44 of 6.18.44-own-build.
fn numbers(release: &str) -> String {
    let end = release.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(release.len());
    release[..end].trim_end_matches('.').to_owned()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, kept @ ..] = arguments.as_slice() else {
        return Err("usage: scrub FROM TO NAME…".into());
    };
    let mut reader = reader::open(Path::new(from))?;
    let mut header = reader.header().clone();
    header.host = None;
    header.release = header.release.as_deref().map(numbers);
    let mut writer = PerfettoWriter::new(BufWriter::new(File::create(to)?), &header, Options::default())?;
    let scrub = |task: &mut Task| {
        let mut known = KERNEL.iter().copied().chain(kept.iter().map(String::as_str));
        let is_known = known.any(|known| match known.strip_prefix('=') {
            Some(whole) => *task.comm == *whole.as_bytes(),
            None => task.comm.starts_with(known.as_bytes()),
        });
        if !task.comm.is_empty() && !is_known {
            task.comm = "other".into();
        }
    };
    while let Some(mut event) = reader.next_event()? {
        match &mut event.kind {
            Kind::Switch { prev, next, .. } => prev.iter_mut().chain([next]).for_each(scrub),
            Kind::Wake { wakee: task, .. }
            | Kind::Migrate { task, .. }
            | Kind::Exec { task, .. }
            | Kind::Exit { task }
            | Kind::Rename { task } => scrub(task),
            Kind::Attributes { pid, attributes, .. } => {
                let mut task = attributes.task(*pid);
                scrub(&mut task);
                attributes.comm = task.comm;
            }
            Kind::Fork { parent, child } => [parent, child].into_iter().for_each(scrub),
            Kind::Group { name, .. } => *name = None,
            Kind::Throttled { .. }
            | Kind::Asleep { .. }
            | Kind::Online
            | Kind::Offline
            | Kind::Loss { .. } => {}
        }
        writer.event(&event)?;
    }
    let end_ns = reader.header().end_ns;
    writer.finish(end_ns)?;
    Ok(())
}
