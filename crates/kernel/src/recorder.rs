//! The recorder: every switch, wakeup and migration of the machine, as the kernel shows them.
//!
//! ```text
//! recorder.bpf.c ─► lane of each CPU (mapped) ─┬─► Recorded, CPU by CPU, in order
//!                └► ring of notes ─────────────┘
//! iterator over tasks ─► Known: what each is like; Recorded: who sleeps
//! ```

mod lane;
mod mapping;
mod notes;
mod options;
mod recorded;
mod timeline;

pub use options::LaneRoom;
pub use recorded::{Known, Recorded, Totals, What};

use crate::batch::each_value;
use crate::clock;
use crate::error::{Error, Result};
use crate::group_totals::group_totals;
use crate::object::{LoadedObject, Parts, kernel_has_helper, possible_cpus};
use crate::visit::visit_every_cpu;
use crate::wire::{RECORDER, group_record};
use lane::Lane;
use libbpf_rs::libbpf_sys::{bpf_prog_get_info_by_fd, bpf_prog_info};
use libbpf_rs::{AsRawLibbpf as _, Link, MapHandle};
use mapping::Lanes;
use notes::{Notes, asleep, each_task, known};
use std::thread;
use std::time::{Duration, Instant};
use timeline::Timeline;
use tombola_core::snapshot::GroupTotals;

/// The programs beside that of the switch: those that tell of events, those that only know when an interrupt
/// is being served, and the iterator.
const OTHERS: [&str; 14] = [
    "record_waking",
    "record_new",
    "record_migrate",
    "record_fork",
    "record_exec",
    "record_exit",
    "record_rename",
    "record_device",
    "record_device_end",
    "record_soft",
    "record_soft_end",
    "record_timer",
    "record_timer_end",
    EACH,
];
/// So many of them tell of events.
const OF_EVENTS: usize = 7;
const EACH: &str = "record_each";

/// How long the end waits for programs that have begun: they take microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records until it is dropped.
///
/// Its clock begins as `CLOCK_MONOTONIC` and runs as the run queues' clocks do, so that durations between
/// switches are exact; NTP slews the monotonic one away from it by 500 ppm at most.
pub struct Recorder {
    lanes: Lanes,
    cpus: Vec<Lane>,
    notes: Notes,
    groups: MapHandle,
    each: Link,
    /// Programs that were told to be running, by which the kernel counts what it did not run.
    loaded: LoadedObject,
    links: Vec<Link>,
    slots: u32,
    begin: Begin,
    tells_yields: bool,
}

/// When a recording began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// On the recording's clock, ns.
    pub ts_ns: u64,
    /// On `CLOCK_BOOTTIME`, ns: the clock of task start times.
    pub boot_ns: u64,
    /// On the wall clock, ns since the Unix epoch.
    pub unix_ns: u64,
}

/// How full the lanes were when they were emptied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records in all lanes.
    pub records: u64,
    /// Records in the fullest.
    pub fullest: u64,
}

impl Recorder {
    /// Loads the programs, attaches them, and begins.
    ///
    /// # Errors
    /// Whatever keeps this kernel or this user from it.
    pub fn start(room: LaneRoom) -> Result<Self> {
        let cpus = possible_cpus()?;
        let slots = room.for_cpus(cpus);
        // By the registers of who leaves, as `gives_way()` in bpf/compat.bpf.h has it.
        let tells_yields = kernel_has_helper("BPF_FUNC_task_pt_regs")?;
        let records = cpus.checked_mul(slots).ok_or_else(|| Error::Object {
            what: format!("{slots} records for each of {cpus} CPUs are too many; try a smaller --lane"),
        })?;
        let loaded = LoadedObject::load(&Parts {
            bytes: RECORDER,
            btf: None,
            switch: ["record_switch", "record_switch_3"],
            others: &OTHERS,
            rooms: &[("lane_map", cpus), ("record_map", records)],
            grown: &[],
        })?;
        let lanes = Lanes::new(&loaded.map("lane_map")?, &loaded.map("record_map")?, cpus, slots)?;
        let (notes, groups) = (Notes::new(&loaded.map("note_map")?)?, loaded.map("record_groups")?);
        let each = loaded.attach(EACH)?;
        let events = OTHERS.iter().filter(|name| **name != EACH).chain([&loaded.switch]);
        let links = events.map(|name| loaded.attach(name)).collect::<Result<Vec<_>>>()?;
        lanes.begin();
        // What happened in the microseconds since the first lane was opened is put to this instant.
        let begin =
            Begin { ts_ns: clock::monotonic_ns(), boot_ns: clock::boot_ns(), unix_ns: clock::unix_ns() };
        visit_every_cpu();
        let cpus = (0..cpus).map(|_| Lane::new(begin.ts_ns)).collect();
        Ok(Self { lanes, cpus, notes, groups, each, loaded, links, slots, begin, tells_yields })
    }

    /// When it began.
    pub fn begin(&self) -> Begin {
        self.begin
    }

    /// Whether it tells who gave its CPU away from who was preempted: on kernels since 5.15. Yields of kernel
    /// threads and of 32-bit programs on a 64-bit kernel are never told.
    pub fn tells_yields(&self) -> bool {
        self.tells_yields
    }

    /// CPUs that the kernel can ever have.
    pub fn cpus(&self) -> u32 {
        self.lanes.cpus()
    }

    /// Records that a CPU's lane has room for.
    pub fn room(&self) -> u32 {
        self.slots
    }

    /// Hands over everything that was recorded and not handed over yet, CPU by CPU. Those of one CPU come in
    /// the order in which they happened, also over several calls.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the ring of notes cannot be read.
    pub fn drain(&mut self, take: &mut dyn FnMut(Recorded)) -> Result<Drained> {
        self.drain_lanes(false, take)
    }

    fn drain_lanes(&mut self, all: bool, take: &mut dyn FnMut(Recorded)) -> Result<Drained> {
        // The heads first: a note whose place lies before one of them is in the ring by then, but for one
        // that is just being written.
        let heads: Vec<u64> = (0..self.lanes.cpus()).map(|cpu| self.lanes.head(cpu)).collect();
        for note in self.notes.take()? {
            if let Some(lane) = self.cpus.get_mut(note.cpu as usize) {
                lane.note(note);
            }
        }
        let mut drained = Drained::default();
        for ((cpu, lane), head) in (0..).zip(&mut self.cpus).zip(heads) {
            let records = lane.drain(&self.lanes, cpu, head, all, take);
            drained.records += records;
            drained.fullest = drained.fullest.max(records);
        }
        Ok(drained)
    }

    /// What all tasks are like now, and which of them sleep ([`What::Asleep`], in the order of time).
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel does not let them be listed.
    pub fn tasks(&self) -> Result<(Vec<Known>, Vec<Recorded>)> {
        let (notes, drift_ns) = (each_task(&self.each)?, self.drift_ns());
        let asleep = notes.iter().filter_map(|note| asleep(note, drift_ns)).collect();
        Ok((notes.iter().map(known).collect(), asleep))
    }

    /// The groups of all tasks that [`Recorder::tasks`] found, and those above them. One that vanished keeps
    /// its last values.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the kernel refuses.
    pub fn groups(&self) -> Result<Vec<GroupTotals>> {
        let mut groups = Vec::new();
        each_value(&self.groups, |record: &group_record| groups.push(group_totals(record)))?;
        groups.sort_unstable_by_key(|group| group.id);
        groups.dedup_by_key(|group| group.id);
        Ok(groups)
    }

    /// Now, on the recording's clock.
    pub fn now_ns(&self) -> u64 {
        clock::monotonic_ns().wrapping_sub(self.drift_ns())
    }

    /// By how much `CLOCK_MONOTONIC` is ahead of the recording's clock.
    fn drift_ns(&self) -> u64 {
        let tied = self.cpus.iter().map(|lane| &lane.timeline).find(|timeline| timeline.is_tied());
        tied.map_or(0, Timeline::drift_ns)
    }

    /// What it came to until now. While it records, events that are in the lanes are among `seen` only.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { not_run: self.not_run(), end_ns: self.now_ns(), ..Totals::default() };
        for (cpu, lane) in (0..).zip(&self.cpus) {
            let there = self.lanes.look(cpu);
            totals.seen += there.seen + there.notes_seen;
            totals.lost_in_lanes += there.lost;
            totals.lost_notes += there.notes_lost;
            totals.written += lane.written;
            totals.backwards += lane.timeline.backwards;
        }
        totals
    }

    /// Ends the recording, hands over the rest, and says what it came to.
    ///
    /// # Errors
    /// [`Error::ReadMap`] if the ring of notes cannot be read.
    pub fn stop(mut self, take: &mut dyn FnMut(Recorded)) -> Result<Totals> {
        let (not_run, end_ns) = (self.not_run(), self.now_ns());
        self.lanes.end();
        self.links.clear();
        // A program that was running then is still writing, for microseconds, or longer where it was
        // preempted.
        let begin = Instant::now();
        loop {
            self.drain_lanes(true, take)?;
            let totals = self.totals();
            if totals.written + totals.lost() == totals.seen || begin.elapsed() > PATIENCE {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        for (cpu, lane) in (0..).zip(&mut self.cpus) {
            lane.last_loss(&self.lanes, cpu, take);
        }
        Ok(Totals { not_run, end_ns, ..self.totals() })
    }

    /// How often the kernel left a program out because it was running on that CPU already.
    fn not_run(&self) -> u64 {
        let names = OTHERS[..OF_EVENTS].iter().chain([&self.loaded.switch]);
        names
            .filter_map(|name| self.loaded.program(name).ok())
            .map(|program| {
                let mut info = bpf_prog_info::default();
                let mut size = u32::try_from(size_of::<bpf_prog_info>()).unwrap_or(0);
                // SAFETY: the program is loaded, so libbpf gives its file descriptor.
                let fd =
                    unsafe { libbpf_rs::libbpf_sys::bpf_program__fd(program.as_libbpf_object().as_ptr()) };
                // SAFETY: the info is plain integers, of the size that is passed; its pointers are null and
                // their lengths 0.
                let result = unsafe { bpf_prog_get_info_by_fd(fd, &raw mut info, &raw mut size) };
                if result == 0 { info.recursion_misses } else { 0 }
            })
            .sum()
    }
}
