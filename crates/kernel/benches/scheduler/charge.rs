//! Who is in charge of the machine while it is measured.

use anyhow::{Context as _, Result, bail, ensure};
use libbpf_rs::{Link, MapCore as _, MapFlags, Object, ObjectBuilder};
use std::fmt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use tombola_kernel::SchedExtState;
use tombola_kernel::scheduler::{Flaw, Law, Scheduler, SchedulerOptions, Slice};

/// For the kernel to go back to its own scheduler.
const PATIENCE: Duration = Duration::from_secs(30);

/// The schedulers that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The kernel's own, nothing loaded.
    Fair,
    /// The kernel's global queue: `sched_ext` by itself.
    Direct,
    /// First in, first out.
    Fifo,
    /// First in, first out, with what no lottery can do without.
    Least,
    /// Ours.
    Lottery,
    /// Ours, without chance.
    Stride,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Fair, Self::Direct, Self::Fifo, Self::Least, Self::Lottery, Self::Stride];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fair => "fair class",
            Self::Direct => "global queue",
            Self::Fifo => "FIFO",
            Self::Least => "least",
            Self::Lottery => "**lottery**",
            Self::Stride => "stride",
        })
    }
}

/// The object with the schedulers that ours are compared with, and what holds for all.
pub(crate) struct References {
    pub(crate) object: PathBuf,
    /// Of every scheduler but the kernel's own.
    pub(crate) slice: Duration,
    /// Of ours.
    pub(crate) flaw: Option<Flaw>,
}

/// A scheduler in charge; the kernel's own is back when this is dropped.
pub(crate) enum Charge {
    Fair,
    Reference { link: Link, object: Object },
    Ours(Scheduler),
}

impl Charge {
    pub(crate) fn take(kind: Kind, references: &References) -> Result<Self> {
        ensure!(SchedExtState::now() == SchedExtState::Disabled, "sched_ext is absent, or busy");
        match kind {
            Kind::Fair => Ok(Self::Fair),
            Kind::Direct => references.take("direct"),
            Kind::Fifo => references.take("fifo"),
            Kind::Least => references.take("least"),
            Kind::Lottery | Kind::Stride => {
                let law = if kind == Kind::Lottery { Law::Lottery } else { Law::Stride };
                let slice = Slice::new(references.slice)?;
                let options = SchedulerOptions { law, slice, flaw: references.flaw, ..Default::default() };
                Ok(Self::Ours(Scheduler::start(&options)?))
            }
        }
    }

    /// Whether it still is.
    pub(crate) fn holds(&self) -> bool {
        matches!(
            (self, SchedExtState::now()),
            (Self::Fair, SchedExtState::Disabled)
                | (Self::Reference { .. } | Self::Ours(_), SchedExtState::Loaded { .. })
        )
    }

    /// Why it is not.
    pub(crate) fn farewell(&self) -> String {
        match self {
            Self::Fair => "another has come".into(),
            Self::Reference { object, .. } => {
                let map = object.maps().find(|map| map.name() == ".data.farewell");
                let bytes = map.and_then(|map| map.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok()?);
                String::from_utf8_lossy(&bytes.unwrap_or_default()).trim_end_matches('\0').to_owned()
            }
            Self::Ours(scheduler) => match scheduler.control().farewell() {
                Ok(Some(told)) => told.to_string(),
                _ => "it does not say why".into(),
            },
        }
    }

    /// Takes it out and waits for the kernel's own.
    pub(crate) fn leave(self) -> Result<()> {
        match self {
            Self::Fair => {}
            Self::Reference { link, object } => {
                drop(link);
                drop(object);
            }
            Self::Ours(scheduler) => drop(scheduler),
        }
        let begin = Instant::now();
        while SchedExtState::now() != SchedExtState::Disabled {
            if begin.elapsed() > PATIENCE {
                bail!("the kernel has not gone back to its own scheduler within {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl References {
    fn take(&self, wanted: &str) -> Result<Charge> {
        let mut open = ObjectBuilder::default()
            .open_file(&self.object)
            .with_context(|| format!("cannot open {}", self.object.display()))?;
        let slice_ns = u64::try_from(self.slice.as_nanos())?;
        for mut map in open.maps_mut() {
            match map.name().to_str() {
                Some(".rodata.slice") => map.set_initial_value(&slice_ns.to_ne_bytes())?,
                Some(name @ ("fifo" | "direct" | "least")) => {
                    let is_wanted = name == wanted;
                    map.set_autocreate(is_wanted)?;
                }
                _ => {}
            }
        }
        let mut object = open.load().with_context(|| format!("cannot load {wanted}"))?;
        let link = object
            .maps_mut()
            .find(|map| map.name() == wanted)
            .with_context(|| format!("there is no scheduler {wanted}"))?
            .attach_struct_ops()
            .with_context(|| format!("cannot start {wanted}"))?;
        Ok(Charge::Reference { link, object })
    }
}
