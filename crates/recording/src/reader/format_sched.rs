//! From the bytes of a tracepoint to what happened, by the descriptions that the recording carries.

use super::format::{Format, Holds, Layout};
use super::format_order::Order;
use super::format_set::FormatSet;
use crate::capabilities::Capabilities;
use crate::comm::Comm;
use crate::event::{Context, Kind, Stage, Task};
use crate::state::StateLaw;

/// Decoders of the scheduling events of one recording.
#[derive(Clone, Debug)]
pub(crate) struct Decoders {
    order: Order,
    /// Decoder by `common_type`, `NONE` where there is none; ends with the largest that has one.
    by_id: Vec<u8>,
    all: Vec<Decoder>,
    law: StateLaw,
}

const NONE: u8 = u8::MAX;

/// `common_flags`: `TRACE_FLAG_HARDIRQ | TRACE_FLAG_SOFTIRQ`. `NMI` (0x40) is 6.1's and wakes nobody.
const INTERRUPT: i64 = 0x08 | 0x10;

/// Which event, for what a recording can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Switch,
    Wake(Stage),
    Migrate,
    Fork,
    Exec,
    Exit,
    Rename,
}

#[derive(Clone, Debug)]
struct Decoder {
    which: Which,
    flags: Option<Layout>,
    current: Option<Layout>,
    /// Who it is about, and who else: prev and next, parent and child; the other is the same where there is
    /// one only.
    who: Thread,
    other: Thread,
    /// `prev_state`, `target_cpu`, `orig_cpu` or `old_pid`.
    first: Option<Layout>,
    /// `dest_cpu`.
    second: Option<Layout>,
}

/// Where an event names a thread.
#[derive(Clone, Copy, Debug)]
struct Thread {
    pid: Layout,
    comm: Option<Layout>,
    prio: Option<Layout>,
    /// Where they lie, if they are as in nearly all kernels.
    usual: Option<Usual>,
}

/// A thread id and a priority of 32 bits, least significant byte first, and a name of 16 bytes in its place.
#[derive(Clone, Copy, Debug)]
struct Usual {
    pid: usize,
    comm: usize,
    prio: usize,
    end: usize,
}

impl Usual {
    fn new(pid: Layout, comm: Option<Layout>, prio: Option<Layout>, order: Order) -> Option<Self> {
        let (comm, prio) = (comm?, prio?);
        let is_number = |of: Layout| (of.size, of.signed) == (4, true);
        let is_usual = order == Order::Little
            && is_number(pid)
            && is_number(prio)
            && (comm.holds, comm.size) == (Holds::Value, 16);
        let end =
            pid.offset.checked_add(4)?.max(comm.offset.checked_add(16)?).max(prio.offset.checked_add(4)?);
        is_usual.then_some(Self { pid: pid.offset, comm: comm.offset, prio: prio.offset, end })
    }

    /// What is there; `None` where the record is shorter, or holds nonsense.
    #[inline]
    fn read(self, record: &[u8]) -> Option<(u32, Comm, i32)> {
        let record = record.get(..self.end)?;
        let number = |at: usize| Some(i32::from_le_bytes(record.get(at..at + 4)?.try_into().ok()?));
        let comm = Comm::padded(record.get(self.comm..self.comm + 16)?.try_into().ok()?)?;
        Some((u32::try_from(number(self.pid)?).ok()?, comm, number(self.prio)?))
    }
}

impl Decoders {
    /// Of all events that `set` describes. A text tells what is missing.
    pub(crate) fn new(set: &FormatSet, release: Option<&str>) -> Result<Self, String> {
        let mut new = Self { order: set.order, by_id: Vec::new(), all: Vec::new(), law: StateLaw::default() };
        for format in &set.formats {
            let Some(decoder) = Decoder::new(format, set.order)? else { continue };
            if decoder.which == Which::Switch {
                new.law = StateLaw::from_print_fmt(&format.print)
                    .or_else(|| release.and_then(StateLaw::from_release))
                    .unwrap_or_default();
            }
            let id = usize::from(format.id);
            if new.by_id.len() <= id {
                new.by_id.resize(id + 1, NONE);
            }
            // At most one for each wanted name and system is kept; a hostile file may repeat them.
            new.by_id[id] =
                u8::try_from(new.all.len()).ok().filter(|&at| at != NONE).ok_or("too many formats")?;
            new.all.push(decoder);
        }
        Ok(new)
    }

    fn decoder(&self, id: u16) -> Option<&Decoder> {
        self.all.get(usize::from(*self.by_id.get(usize::from(id))?))
    }

    /// Which event has this `common_type`; `None` for one that does not matter.
    #[inline]
    pub(crate) fn which(&self, id: u16) -> Option<Which> {
        self.decoder(id).map(|decoder| decoder.which)
    }

    /// `common_type` of a record.
    #[inline]
    pub(crate) fn id(&self, record: &[u8]) -> Option<u16> {
        self.order.u16(record, 0)
    }

    /// The thread that was on the CPU, `common_pid` of a record.
    #[inline]
    pub(crate) fn current(&self, record: &[u8]) -> Option<u32> {
        let pid = self.decoder(self.id(record)?)?.current?.int(record, self.order)?;
        u32::try_from(pid).ok()
    }

    /// Sets what a recording that holds this event can tell.
    pub(crate) fn tells(which: Which, can: &mut Capabilities) {
        match which {
            Which::Switch => can.prev = true,
            Which::Wake(stage) => {
                can.waking |= stage == Stage::Waking;
                can.wakeup |= stage == Stage::Woken;
                can.waker = true;
                can.interrupt = true;
            }
            Which::Migrate => can.migrations = true,
            Which::Exit => can.fork_exit = true,
            Which::Fork | Which::Exec | Which::Rename => {}
        }
    }

    /// What a record says. `tgid` knows the processes of threads, where the format tells them. `Err` names
    /// the field that is cut or holds nonsense.
    pub(crate) fn decode(
        &mut self,
        record: &[u8],
        tgid: impl Fn(u32) -> Option<u32>,
    ) -> Result<Kind, &'static str> {
        let id = self.id(record).ok_or("common_type")?;
        let at = self.by_id.get(usize::from(id)).copied().unwrap_or(NONE);
        let decoder = self.all.get(usize::from(at)).ok_or("common_type")?;
        let order = self.order;
        let number = |layout: Option<Layout>| layout.and_then(|layout| layout.int(record, order));
        let cpu = |layout| number(layout).and_then(|cpu| u32::try_from(cpu).ok());
        let who = decoder.who.read(record, order, &tgid)?;
        Ok(match decoder.which {
            Which::Switch => {
                let next = decoder.other.read(record, order, &tgid)?;
                let state = number(decoder.first).ok_or("prev_state")?.cast_unsigned();
                Kind::Switch { prev: Some(who), state: self.law.left(state), next }
            }
            Which::Wake(stage) => {
                let context = match number(decoder.flags) {
                    Some(flags) if flags & INTERRUPT != 0 => Context::Interrupt,
                    Some(_) => Context::Task,
                    None => Context::Unknown,
                };
                let waker = number(decoder.current).and_then(|pid| u32::try_from(pid).ok());
                Kind::Wake { wakee: who, waker, target: cpu(decoder.first), stage, context }
            }
            Which::Migrate => Kind::Migrate {
                task: who,
                from: cpu(decoder.first),
                to: cpu(decoder.second).ok_or("dest_cpu")?,
            },
            Which::Fork => Kind::Fork { parent: who, child: decoder.other.read(record, order, &tgid)? },
            Which::Exec => {
                let old_pid = cpu(decoder.first).unwrap_or(who.pid);
                Kind::Exec { task: who, old_pid }
            }
            Which::Exit => Kind::Exit { task: who },
            Which::Rename => Kind::Rename { task: who },
        })
    }
}

impl Decoder {
    fn new(format: &Format, order: Order) -> Result<Option<Self>, String> {
        let find = |name: &str| format.layout(name);
        let need = |name: &str| find(name).ok_or_else(|| format!("{} has no field {name}", format.name));
        let thread = |pid: &str, comm: &str, prio: &str| {
            let (pid, comm, prio) = (need(pid)?, find(comm), find(prio));
            Ok::<_, String>(Thread { pid, comm, prio, usual: Usual::new(pid, comm, prio, order) })
        };
        let one = || thread("pid", "comm", "prio");
        let (which, who, other, first, second) = match format.name.as_str() {
            "sched_switch" => (
                Which::Switch,
                thread("prev_pid", "prev_comm", "prev_prio")?,
                thread("next_pid", "next_comm", "next_prio")?,
                Some(need("prev_state")?),
                None,
            ),
            "sched_waking" => (Which::Wake(Stage::Waking), one()?, one()?, find("target_cpu"), None),
            "sched_wakeup" => (Which::Wake(Stage::Woken), one()?, one()?, find("target_cpu"), None),
            "sched_wakeup_new" => (Which::Wake(Stage::New), one()?, one()?, find("target_cpu"), None),
            "sched_migrate_task" => {
                (Which::Migrate, one()?, one()?, find("orig_cpu"), Some(need("dest_cpu")?))
            }
            "sched_process_fork" => (
                Which::Fork,
                thread("parent_pid", "parent_comm", "")?,
                thread("child_pid", "child_comm", "")?,
                None,
                None,
            ),
            // Its text is the path of the program, not the name of the task.
            "sched_process_exec" => {
                let who = thread("pid", "", "")?;
                (Which::Exec, who, who, find("old_pid"), None)
            }
            "sched_process_exit" => (Which::Exit, one()?, one()?, None, None),
            "task_rename" => {
                let who = thread("pid", "newcomm", "")?;
                (Which::Rename, who, who, None, None)
            }
            _ => return Ok(None),
        };
        let (flags, current) = (find("common_flags"), find("common_pid"));
        Ok(Some(Self { which, flags, current, who, other, first, second }))
    }
}

impl Thread {
    #[inline]
    fn read(
        &self,
        record: &[u8],
        order: Order,
        tgid: impl Fn(u32) -> Option<u32>,
    ) -> Result<Task, &'static str> {
        if let Some((pid, comm, prio)) = self.usual.and_then(|usual| usual.read(record)) {
            return Ok(Task { pid, tgid: tgid(pid), comm, prio: Some(prio) });
        }
        let pid = self.pid.int(record, order).and_then(|pid| u32::try_from(pid).ok()).ok_or("a thread id")?;
        let comm = match self.comm {
            // A name has 15 bytes; what a damaged record makes longer is none.
            Some(comm) => comm.name(record, order).ok_or("a task's name")?,
            None => Comm::default(),
        };
        let prio = match self.prio {
            Some(prio) => {
                Some(prio.int(record, order).and_then(|prio| i32::try_from(prio).ok()).ok_or("a priority")?)
            }
            None => None,
        };
        Ok(Task { pid, tgid: tgid(pid), comm, prio })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Left;
    use std::fmt::Write as _;

    /// Fields of 3.10 (32 bits) and 5.10 (64 bits): `prev_state` has 4 and 8 bytes.
    fn switch(long: usize) -> Format {
        let mut text = "name: sched_switch\nID: 5\n".to_owned();
        let mut at = 8;
        for (name, size) in [
            ("prev_comm[16]", 16),
            ("prev_pid", 4),
            ("prev_prio", 4),
            ("prev_state", long),
            ("next_comm[16]", 16),
            ("next_pid", 4),
            ("next_prio", 4),
        ] {
            writeln!(text, "\tfield:int {name};\toffset:{at};\tsize:{size};\tsigned:1;").unwrap();
            at += size;
        }
        Format::parse(&text).unwrap()
    }

    #[test]
    fn a_switch_is_read_in_either_order_and_word() {
        for (long, order) in [(4, Order::Little), (8, Order::Little), (8, Order::Big), (4, Order::Big)] {
            let set = FormatSet {
                order,
                long_bytes: 8,
                page_bytes: 4096,
                commit_bytes: 8,
                formats: vec![switch(long)],
            };
            let mut decoders = Decoders::new(&set, None).unwrap();
            let word = |n: u64, size: usize| -> Vec<u8> {
                if order == Order::Little {
                    n.to_le_bytes()[..size].to_vec()
                } else {
                    n.to_be_bytes()[8 - size..].to_vec()
                }
            };
            let mut record = word(5, 2);
            record.extend(word(0, 6));
            record.extend(b"a b-1 \0\0\0\0\0\0\0\0\0\0");
            record.extend(word(7, 4));
            record.extend(word(120, 4));
            record.extend(word(2, long));
            record.extend(b"migration/0\0\0\0\0\0");
            record.extend(word(18, 4));
            record.extend(word(0xffff_ffff, 4));
            let kind = decoders.decode(&record, |pid| Some(pid + 1)).unwrap();
            let task = |pid, comm: &[u8], prio| Task {
                pid,
                tgid: Some(pid + 1),
                comm: comm.into(),
                prio: Some(prio),
            };
            let next = task(18, b"migration/0", -1);
            assert_eq!(kind, Kind::Switch { prev: Some(task(7, b"a b-1 ", 120)), state: Left::Disk, next });
            record.pop();
            assert_eq!(decoders.decode(&record, |_| None), Err("a priority"));
        }
    }

    #[test]
    fn a_format_without_what_is_needed_is_refused() {
        let mut format = switch(8);
        format.fields.retain(|field| field.name != "next_pid");
        let set = FormatSet {
            order: Order::Little,
            long_bytes: 8,
            page_bytes: 4096,
            commit_bytes: 8,
            formats: vec![format],
        };
        assert_eq!(Decoders::new(&set, None).unwrap_err(), "sched_switch has no field next_pid");
    }
}
