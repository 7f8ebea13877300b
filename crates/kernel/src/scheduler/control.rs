//! Talking to a running scheduler: by the process that loaded it, or by another that finds it.

use super::farewell::Farewell;
use super::tasks::{ScheduledTask, Totals, task_of, totals_of};
use crate::error::{Error, Result, os_error};
use crate::wire::{Wire as _, account, c_bytes, task_line, ticket_request};
use libbpf_rs::libbpf_sys::{
    BPF_TRACE_ITER, bpf_iter_create, bpf_link_create, bpf_prog_get_fd_by_id, bpf_prog_test_run_opts,
    bpf_test_run_opts,
};
use libbpf_rs::query::{ProgInfoIter, ProgInfoQueryOptions};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};
use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// `WIRE_VERSION` of `bpf/lottery_wire.h`.
pub(super) const WIRE_VERSION: u64 = 1;

/// Names of the programs that user space runs, and of the map with the account.
pub(super) const PROGRAMS: [&str; 3] = ["tombola_set", "tombola_give", "tombola_each"];
pub(super) const ACCOUNT: &str = ".data.account";

/// A running scheduler. It does not keep it running.
#[derive(Debug)]
pub struct SchedulerControl {
    pub(super) set: OwnedFd,
    pub(super) give: OwnedFd,
    pub(super) each: OwnedFd,
    pub(super) account: MapHandle,
}

/// What a change of tickets did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketChange {
    /// Tickets before.
    pub before: u32,
    /// Tickets now.
    pub after: u32,
}

impl SchedulerControl {
    /// The scheduler of tombola that runs now, whoever loaded it.
    ///
    /// # Errors
    /// [`Error::NoScheduler`] if none does, or this user may not look (`CAP_SYS_ADMIN`).
    pub fn find() -> Result<Self> {
        let mut found: [Option<OwnedFd>; 3] = [None, None, None];
        let mut maps = Vec::new();
        let options = ProgInfoQueryOptions::default().include_map_ids(true);
        for info in ProgInfoIter::with_query_opts(options) {
            let Some(at) = PROGRAMS.iter().position(|name| info.name == *name) else { continue };
            if at == 2 {
                // The newest scheduler is the one that runs: a load that was refused is gone.
                maps.clone_from(&info.map_ids);
            }
            found[at] = Some(program_by_id(info.id)?);
        }
        let [Some(set), Some(give), Some(each)] = found else {
            return Err(Error::NoScheduler {
                why: "no scheduler of tombola is loaded, or you are not root".into(),
            });
        };
        let account = maps
            .iter()
            .filter_map(|id| MapHandle::from_map_id(*id).ok())
            .find(|map| map.name() == ACCOUNT && map.value_size() as usize == size_of::<account>())
            .ok_or_else(|| Error::NoScheduler {
                why: "another version of tombola loaded the scheduler".into(),
            })?;
        let control = Self { set, give, each, account };
        let read = control.account()?;
        if read.version != WIRE_VERSION {
            return Err(Error::NoScheduler { why: "another version of tombola loaded the scheduler".into() });
        }
        Ok(control)
    }

    /// The scheduler as a whole.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses.
    pub fn totals(&self) -> Result<Totals> {
        self.account().map(|account| totals_of(&account))
    }

    /// Why the scheduler is gone; `None` while it is there.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses.
    pub fn farewell(&self) -> Result<Option<Farewell>> {
        let told = self.account()?.farewell;
        let text = |field: &[i8]| String::from_utf8_lossy(&c_bytes(field)).into_owned();
        Ok((told.kind != 0).then(|| Farewell {
            kind: told.kind,
            code: told.code,
            reason: text(&told.reason),
            message: text(&told.message),
        }))
    }

    fn account(&self) -> Result<account> {
        let refused = |reason| Error::ReadMap { map: ACCOUNT.into(), reason };
        self.account
            .lookup(&0u32.to_ne_bytes(), MapFlags::ANY)
            .map_err(|e| refused(os_error(&e)))?
            .and_then(|bytes| account::read(&bytes))
            .ok_or_else(|| refused(io::Error::from(io::ErrorKind::InvalidData)))
    }

    /// Every task that has taken part, or may: in order of PID.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses.
    pub fn tasks(&self) -> Result<Vec<ScheduledTask>> {
        let refused = |reason| Error::ReadMap { map: "the iterator over tasks".into(), reason };
        let mut bytes = Vec::new();
        self.iterator().and_then(|mut file| file.read_to_end(&mut bytes)).map_err(refused)?;
        let lines = bytes.chunks_exact(size_of::<task_line>());
        Ok(lines.filter_map(task_line::read).map(|line| task_of(&line)).collect())
    }

    fn iterator(&self) -> io::Result<File> {
        // SAFETY: no options are passed; the result is checked before it is owned.
        let link =
            owned(unsafe { bpf_link_create(self.each.as_raw_fd(), 0, BPF_TRACE_ITER, std::ptr::null()) })?;
        // SAFETY: the link is open; the result is checked before it is owned.
        let iterator = owned(unsafe { bpf_iter_create(link.as_raw_fd()) })?;
        Ok(File::from(iterator))
    }

    /// Gives a task so many tickets, in its group's currency, for as long as the scheduler runs; `None`: by
    /// its nice value again. Children inherit them.
    ///
    /// # Errors
    /// [`Error::Tickets`] on 0 or more than 2²⁰ tickets, or an unknown task.
    pub fn set_tickets(&self, pid: u32, tickets: Option<u32>) -> Result<TicketChange> {
        if tickets.is_some_and(|n| n == 0 || n > MOST_TICKETS) {
            return Err(Error::Tickets(format!("a task holds 1 to {MOST_TICKETS} tickets")));
        }
        let mut request = ticket_request {
            pid: pid.cast_signed(),
            tickets: tickets.unwrap_or(0),
            ..ticket_request::default()
        };
        run(&self.set, &mut request)?;
        match -request.error {
            0 => Ok(TicketChange { before: request.before, after: request.after }),
            _ => Err(Error::Tickets(format!("there is no task {pid}"))),
        }
    }

    /// Moves tickets from one task to another of the same group; `None`: all but one.
    ///
    /// # Errors
    /// [`Error::Tickets`] if one of them does not exist, they are in different groups, or the giver has not
    /// so many.
    pub fn give_tickets(
        &self,
        from: u32,
        to: u32,
        tickets: Option<u32>,
    ) -> Result<(TicketChange, TicketChange)> {
        if tickets == Some(0) {
            return Err(Error::Tickets("0 tickets change nothing; give 1 or more".into()));
        }
        let mut request = ticket_request {
            pid: from.cast_signed(),
            to: to.cast_signed(),
            tickets: tickets.unwrap_or(0),
            ..ticket_request::default()
        };
        run(&self.give, &mut request)?;
        match -request.error {
            0 => Ok((
                TicketChange { before: request.before, after: request.after },
                TicketChange { before: request.to_before, after: request.to_after },
            )),
            libc::EXDEV => Err(Error::Tickets(format!(
                "{from} and {to} are in different groups, whose tickets are different currencies; \
                 use 'tombola tickets set' for each"
            ))),
            libc::EINVAL => Err(Error::Tickets(format!(
                "{from} has {} tickets and must keep one; {to} has {} and may hold {MOST_TICKETS}; \
                 they must be two tasks",
                request.before, request.to_before
            ))),
            _ => Err(Error::Tickets(format!("there is no task {from}, or none {to}"))),
        }
    }
}

/// `TICKETS_MOST` of `bpf/lottery_draw.h`.
pub(super) const MOST_TICKETS: u32 = 1 << 20;

fn program_by_id(id: u32) -> Result<OwnedFd> {
    // SAFETY: a number goes in; the result is checked before it is owned.
    owned(unsafe { bpf_prog_get_fd_by_id(id) }).map_err(|reason| Error::NoScheduler {
        why: format!("a scheduler is loaded, and this user may not talk to it ({reason}): root may"),
    })
}

fn owned(fd: c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: the kernel has just returned it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Runs a program of type `syscall` once; it writes its results into the request.
fn run(program: &OwnedFd, request: &mut ticket_request) -> Result<()> {
    // SAFETY: the request is the context that these programs take, and outlives the call; the kernel writes
    // it back there.
    unsafe { test_run(program, std::ptr::from_mut(request).cast(), size_of::<ticket_request>()) }
        .map_err(|reason| Error::Tickets(format!("the scheduler could not be asked: {reason}")))
}

/// Makes the timer of the CPU that this thread is on fire there from now on.
pub(super) fn pin_timer(program: &OwnedFd) -> io::Result<()> {
    // SAFETY: without a context.
    unsafe { test_run(program, std::ptr::null_mut(), 0) }
}

/// # Safety
/// The context must have that size, be what the program takes, and not be used by others meanwhile.
unsafe fn test_run(program: &OwnedFd, context: *mut std::ffi::c_void, size: usize) -> io::Result<()> {
    let mut options = bpf_test_run_opts {
        sz: size_of::<bpf_test_run_opts>() as u64,
        ctx_in: context,
        ctx_size_in: u32::try_from(size).unwrap_or(u32::MAX),
        ..Default::default()
    };
    // SAFETY: as the caller promises.
    let result = unsafe { bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut options) };
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
}
