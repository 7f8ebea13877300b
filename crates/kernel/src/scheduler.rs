//! A lottery scheduler in the kernel, on sched_ext.
//!
//! ```text
//! SchedulerOptions ─► Scheduler (loaded and running until it is dropped) ─┐
//!                                                  another process finds ─┴► SchedulerControl ─► totals, tasks, tickets
//! ```
//!
//! Nothing is pinned: when the process that holds the [`Scheduler`] ends, however it ends, the kernel goes
//! back to its default scheduler.

mod constants;
mod control;
mod farewell;
mod options;
mod subtree;
mod tasks;
mod untold;

pub use control::{SchedulerControl, TicketChange};
pub use farewell::Farewell;
pub use options::{Flaw, Guard, Law, SchedulerOptions, Slice};
pub use subtree::sub_schedulers;
pub use tasks::{ScheduledTask, Totals};
pub use untold::untold;

use crate::error::{Error, Result, os_error};
use crate::libbpf_log;
use crate::object::{possible_cpus, refused};
use crate::sched_ext_state::SchedExtState;
use crate::visit::on_every_cpu;
use crate::wire::{LOTTERY, Wire as _, sched_ext_ops, settings};
use control::{ACCOUNT, PROGRAMS, pin_timer};
use libbpf_rs::{Link, MapCore as _, MapHandle, Object, ObjectBuilder, OpenObject};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;
use tombola_core::identity::TaskId;

/// `CPU_WORDS` × 64 of `bpf/lottery_books.bpf.h`.
const MOST_CPUS: u32 = 1024;

/// `SCX_OPS_SWITCH_PARTIAL`, held against the kernel's by `constants`.
const SWITCH_PARTIAL: u64 = 8;

/// Its name in the kernel: `.name` of `lottery` in `bpf/lottery.bpf.c`.
pub const OPS: &str = "tombola_lottery";

/// The tickets that were set by hand, by task, of whichever scheduler of ours runs; none where none does.
///
/// # Errors
/// As [`SchedulerControl::find`] and [`SchedulerControl::tasks`], where one runs.
pub fn tickets_set() -> Result<BTreeMap<TaskId, u32>> {
    if !matches!(SchedExtState::now(), SchedExtState::Loaded { ops, .. } if ops == OPS) {
        return Ok(BTreeMap::new());
    }
    let tasks = SchedulerControl::find()?.tasks()?;
    Ok(tasks.into_iter().filter(|task| task.explicit).map(|task| (task.id, task.tickets)).collect())
}

/// The program that pins the timer of the CPU that it runs on.
const PIN: &str = "tombola_pin";

/// A scheduler that runs until this is dropped.
pub struct Scheduler {
    // Dropped first: the programs must be there while the kernel takes the scheduler out.
    link: Option<Link>,
    control: SchedulerControl,
    _object: Object,
}

impl Scheduler {
    /// Loads it and puts it in charge.
    ///
    /// # Errors
    /// [`Error::NoSchedExt`] where the kernel has no sched_ext, [`Error::SchedulerBusy`] where another
    /// scheduler is loaded, and whatever the kernel refuses.
    pub fn start(options: &SchedulerOptions) -> Result<Self> {
        constants::check()?;
        if let SchedExtState::Loaded { ops, .. } = SchedExtState::now() {
            return Err(Error::SchedulerBusy { ops });
        }
        let cpus = possible_cpus()?;
        if cpus > MOST_CPUS {
            return Err(Error::SchedulerOption(format!(
                "{cpus} CPUs; the scheduler knows {MOST_CPUS} at most"
            )));
        }
        libbpf_log::start();
        let broken = |e: libbpf_rs::Error| Error::Object { what: format!("{e:#}") };
        let mut open = ObjectBuilder::default()
            .name("tombola")
            .and_then(|builder| builder.open_memory(LOTTERY))
            .map_err(broken)?;
        configure(&mut open, options, cpus)?;
        let mut object = open.load().map_err(|e| refused("load", &e))?;
        let control = control_of(&object)?;
        let link = object
            .maps_mut()
            .find(|map| map.name() == "lottery")
            .ok_or_else(|| Error::Object { what: "it has no scheduler".into() })?
            .attach_struct_ops()
            .map_err(|e| match os_error(&e).raw_os_error() {
                Some(libc::EBUSY) => Error::SchedulerBusy { ops: "another".into() },
                Some(libc::EOPNOTSUPP) => Error::SchedulerRefused {
                    why: "this kernel has PREEMPT_RT, with which sched_ext does not work".into(),
                },
                // Another loader was faster than the look above, and the reason is not always told.
                _ => match SchedExtState::now() {
                    SchedExtState::Loaded { ops, .. } => Error::SchedulerBusy { ops },
                    _ => refused("start", &e),
                },
            })?;
        let pin = program(&object, PIN)?;
        // A timer that was not pinned fires where it was started: late if that CPU has much to do, but it
        // fires.
        on_every_cpu(move || drop(pin_timer(&pin)));
        let scheduler = Self { link: Some(link), control, _object: object };
        match scheduler.control.farewell()? {
            Some(told) => Err(Error::SchedulerRefused { why: told.to_string() }),
            None => Ok(scheduler),
        }
    }

    /// What can be asked of it.
    pub fn control(&self) -> &SchedulerControl {
        &self.control
    }

    /// Takes it out and waits until the kernel's own scheduler is back, at most `patience`. Returns the
    /// kernel's reason for the end.
    ///
    /// # Errors
    /// [`Error::SchedulerRefused`] if the kernel takes longer.
    pub fn stop(mut self, patience: Duration) -> Result<Option<Farewell>> {
        drop(self.link.take());
        let begin = std::time::Instant::now();
        loop {
            if let Some(told) = self.control.farewell()?
                && SchedExtState::now() == SchedExtState::Disabled
            {
                return Ok(Some(told));
            }
            if begin.elapsed() > patience {
                return Err(Error::SchedulerRefused {
                    why: format!(
                        "the kernel has not gone back to its own scheduler within {} s; SysRq-S does it by force",
                        patience.as_secs()
                    ),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Writes what the programs are to know before they are loaded.
fn configure(open: &mut OpenObject, options: &SchedulerOptions, cpus: u32) -> Result<()> {
    let broken = |e: libbpf_rs::Error| Error::Object { what: format!("{e:#}") };
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let told = settings {
        slice_ns: nanoseconds(options.slice.get()),
        guard_ns: nanoseconds(options.guard.get()),
        policy: match options.law {
            Law::Lottery => 0,
            Law::Stride => 1,
        },
        flaw: match options.flaw {
            None => 0,
            Some(Flaw::NoOffset) => 1,
            Some(Flaw::UniformKeys) => 2,
            Some(Flaw::PreviousOut) => 3,
            Some(Flaw::NoCompensation) => 4,
            Some(Flaw::NoGuard) => 5,
        },
        cpus,
        pad: 0,
    };
    let mut left = 3;
    for mut map in open.maps_mut() {
        match map.name().to_str() {
            Some(".rodata.settings") => map.set_initial_value(told.bytes()).map_err(broken)?,
            Some("timers") => map.set_max_entries(cpus + 1).map_err(broken)?,
            Some("lottery") => {
                let bytes = map.initial_value_mut().filter(|bytes| bytes.len() == size_of::<sched_ext_ops>());
                let bytes =
                    bytes.ok_or_else(|| Error::Object { what: "its scheduler has another shape".into() })?;
                #[allow(clippy::cast_ptr_alignment)] // read and written unaligned
                let at = bytes.as_mut_ptr().cast::<sched_ext_ops>();
                // SAFETY: libbpf's buffer is the struct of the object, whose size was checked; it need not be
                // aligned.
                let mut ops = unsafe { at.read_unaligned() };
                if options.partial {
                    ops.flags |= SWITCH_PARTIAL;
                }
                if let Some(limit) = options.watchdog {
                    ops.timeout_ms = u32::try_from(limit.as_millis()).unwrap_or(ops.timeout_ms);
                }
                for (to, from) in ops.name.iter_mut().zip(options.law.ops_name().bytes().chain([0])) {
                    *to = from.cast_signed();
                }
                // SAFETY: as above.
                unsafe { at.write_unaligned(ops) };
            }
            _ => continue,
        }
        left -= 1;
    }
    if left > 0 {
        return Err(Error::Object { what: "a map of the scheduler is missing".into() });
    }
    Ok(())
}

fn program(object: &Object, name: &str) -> Result<OwnedFd> {
    let found = object.progs().find(|program| program.name() == OsStr::new(name));
    let found = found.ok_or_else(|| Error::Object { what: format!("it has no program {name}") })?;
    found.as_fd().try_clone_to_owned().map_err(|e| Error::Object { what: format!("{name}: {e}") })
}

fn control_of(object: &Object) -> Result<SchedulerControl> {
    let account = object
        .maps()
        .find(|map| map.name() == ACCOUNT)
        .ok_or_else(|| Error::Object { what: "it has no account".into() })?;
    let account = MapHandle::try_from(&account)
        .map_err(|e| Error::ReadMap { map: ACCOUNT.into(), reason: os_error(&e) })?;
    Ok(SchedulerControl {
        set: program(object, PROGRAMS[0])?,
        give: program(object, PROGRAMS[1])?,
        each: program(object, PROGRAMS[2])?,
        account,
    })
}

/// Puts a thread (0: the calling one) under the policy `SCHED_EXT`: what it runs, and what its children run,
/// is scheduled by a partial scheduler, and by the fair class when there is none.
///
/// # Errors
/// [`Error::SchedulerRefused`] if the kernel refuses: no such thread, not the caller's, or no sched_ext.
pub fn join(pid: u32) -> Result<()> {
    /// `include/uapi/linux/sched.h`.
    const SCHED_EXT: i32 = 7;
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads the parameter and nothing else.
    if unsafe { libc::sched_setscheduler(pid.cast_signed(), SCHED_EXT, &raw const parameter) } == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Error::SchedulerRefused { why: format!("task {pid} cannot come under SCHED_EXT: {error}") })
}
