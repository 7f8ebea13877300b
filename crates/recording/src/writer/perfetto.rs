//! A Perfetto trace: system information and clocks first, then bundles of one CPU each, deflated packet by
//! packet.
//!
//! Switches and wakings go into compact columns where these can hold them; everything else, and the first
//! switch of a CPU and after a gap (which says who leaves), is a full event. What Perfetto has no words for
//! (weights, groups, affinity, exact losses) goes into own packets, which others pass over. A file that is
//! cut anywhere is readable up to there.

mod bundle;

use crate::capabilities::Header;
use crate::event::{Event, Kind};
use crate::proto::{
    BOOTTIME, Bundle, Clock, ClockSnapshot, Own, OwnEvent, OwnHead, Packet, ProcessTree, REALTIME,
    SystemInfo, Thread, Utsname,
};
use crate::state::StateLaw;
use bundle::OpenBundle;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use prost::Message;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

/// The release that is written where none is known: readers take the layout of states from it.
const UNKNOWN_RELEASE: &str = "6.0.0-unknown";

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Events of a CPU in one packet, at least 1. 2,000 make 5 to 6 bytes an event.
    pub events_per_packet: usize,
    /// Whether packets are deflated.
    pub deflate: bool,
    /// Whether the number of each event is kept, which orders events of one instant on different CPUs. Needed
    /// where time is simulated; the clock of a machine tells such events apart.
    pub numbers: bool,
}

impl Default for Options {
    /// 2,000 events a packet, deflated, without numbers.
    fn default() -> Self {
        Self { events_per_packet: 2000, deflate: true, numbers: false }
    }
}

/// Writes one recording.
pub struct PerfettoWriter<W: Write> {
    out: W,
    options: Options,
    law: StateLaw,
    bundles: BTreeMap<u32, OpenBundle>,
    own: Vec<OwnEvent>,
    /// Process of each thread that was told to the file.
    processes: HashMap<u32, u32>,
    threads: Vec<Thread>,
    written_bytes: u64,
}

impl<W: Write> PerfettoWriter<W> {
    /// Begins a file with what is known of the recording.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, header: &Header, options: Options) -> io::Result<Self> {
        let law = header.release.as_deref().and_then(StateLaw::from_release).unwrap_or_default();
        let options = Options { events_per_packet: options.events_per_packet.max(1), ..options };
        let mut writer = Self {
            out,
            options,
            law,
            bundles: BTreeMap::new(),
            own: Vec::new(),
            processes: HashMap::new(),
            threads: Vec::new(),
            written_bytes: 0,
        };
        let release = header.release.clone().unwrap_or_else(|| UNKNOWN_RELEASE.to_owned());
        let utsname = Utsname {
            sysname: Some("Linux".to_owned()),
            release: Some(release),
            machine: header.arch.clone(),
        };
        let system = SystemInfo { utsname: Some(utsname), num_cpus: header.cpus };
        writer.packet(&Packet { system_info: Some(system), ..Packet::default() }, false)?;
        if let Some((event_ns, unix_us)) = header.wall {
            let clock = |id, ns| Clock { clock_id: Some(id), timestamp: Some(ns) };
            let clocks = vec![clock(REALTIME, unix_us.saturating_mul(1000)), clock(BOOTTIME, event_ns)];
            let snapshot = ClockSnapshot { clocks };
            writer.packet(&Packet { clock_snapshot: Some(snapshot), ..Packet::default() }, false)?;
        }
        let own = Own { head: Some(OwnHead::of(header, &law)), ..Own::default() };
        writer.packet(&Packet { own: Some(own), ..Packet::default() }, false)?;
        Ok(writer)
    }

    /// Adds an event. Those of one CPU must come in order.
    ///
    /// # Errors
    /// Those of the output.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        self.note_processes(event);
        if let Some(mut own) = OwnEvent::of(event) {
            if !self.options.numbers {
                // A reader counts the events in bundles from 1, and gives an own event before one of the same
                // number.
                own.seq = self.bundles.get(&event.cpu).map_or(0, OpenBundle::added) + 1;
            }
            if let Kind::Loss { of_cpu, .. } = &event.kind {
                let hit: Vec<u32> = match of_cpu {
                    Some(cpu) => vec![*cpu],
                    None => self.bundles.keys().copied().collect(),
                };
                for cpu in hit {
                    self.gap(cpu)?;
                }
            }
            self.own.push(own);
            if self.own.len() >= self.options.events_per_packet {
                self.flush_own()?;
            }
            return Ok(());
        }
        let bundle = self.bundles.entry(event.cpu).or_insert_with(|| OpenBundle::new(event.cpu));
        if bundle.must_forget(event) {
            self.gap(event.cpu)?;
        }
        let (law, numbers) = (self.law, self.options.numbers);
        let Some(bundle) = self.bundles.get_mut(&event.cpu) else { return Ok(()) };
        bundle.add(event, &law, numbers);
        if bundle.len() >= self.options.events_per_packet {
            self.flush(event.cpu)?;
        }
        Ok(())
    }

    /// Writes what waits, so that a reader who comes now sees all events up to now.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush_all(&mut self) -> io::Result<()> {
        let cpus: Vec<u32> = self.bundles.keys().copied().collect();
        for cpu in cpus {
            self.flush(cpu)?;
        }
        self.flush_own()?;
        self.out.flush()
    }

    /// Ends the file, and gives the output back. `end_ns`: until when the events of every CPU are complete,
    /// where that is known.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self, end_ns: Option<u64>) -> io::Result<W> {
        self.flush_all()?;
        if end_ns.is_some() {
            let own = Own { end_ns, ..Own::default() };
            self.packet(&Packet { own: Some(own), ..Packet::default() }, false)?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    /// Bytes written so far.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Events of a CPU are missing from here on back to what was written.
    fn gap(&mut self, cpu: u32) -> io::Result<()> {
        self.flush(cpu)?;
        self.bundles.entry(cpu).or_insert_with(|| OpenBundle::new(cpu)).forget();
        Ok(())
    }

    /// Keeps processes that events tell, for a process tree.
    fn note_processes(&mut self, event: &Event) {
        let mut note = |task: &crate::event::Task| {
            let Some(process) = task.tgid.filter(|_| task.pid != 0) else { return };
            if self.processes.insert(task.pid, process) != Some(process) {
                self.threads.push(Thread {
                    tid: i32::try_from(task.pid).ok(),
                    tgid: i32::try_from(process).ok(),
                    name: (!task.comm.is_empty()).then(|| task.comm.to_vec()),
                });
            }
        };
        match &event.kind {
            Kind::Switch { prev, next, .. } => {
                prev.iter().for_each(&mut note);
                note(next);
            }
            Kind::Wake { wakee: task, .. } | Kind::Fork { child: task, .. } | Kind::Rename { task } => {
                note(task);
            }
            Kind::Attributes { pid, attributes, .. } => note(&attributes.task(*pid)),
            _ => {}
        }
    }

    fn flush(&mut self, cpu: u32) -> io::Result<()> {
        if !self.threads.is_empty() {
            let threads = std::mem::take(&mut self.threads);
            let tree = ProcessTree { threads, ..ProcessTree::default() };
            self.packet(&Packet { process_tree: Some(tree), ..Packet::default() }, self.options.deflate)?;
        }
        let bundle: Option<Bundle> = self.bundles.get_mut(&cpu).and_then(OpenBundle::take);
        match bundle {
            Some(bundle) => {
                self.packet(&Packet { bundle: Some(bundle), ..Packet::default() }, self.options.deflate)
            }
            None => Ok(()),
        }
    }

    fn flush_own(&mut self) -> io::Result<()> {
        if self.own.is_empty() {
            return Ok(());
        }
        let mut events = std::mem::take(&mut self.own);
        // All CPUs' are read as one stream, so that those of an instant stand in the order in which they are
        // to be given.
        events.sort_by_key(|own| (own.ts_ns, own.seq, own.cpu));
        let own = Own { events, ..Own::default() };
        self.packet(&Packet { own: Some(own), ..Packet::default() }, self.options.deflate)
    }

    fn packet(&mut self, packet: &Packet, deflate: bool) -> io::Result<()> {
        let framed = framed(packet);
        let bytes = if deflate {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&framed)?;
            let compressed = Some(encoder.finish()?);
            self::framed(&Packet { compressed, ..Packet::default() })
        } else {
            framed
        };
        self.written_bytes += bytes.len() as u64;
        self.out.write_all(&bytes)
    }
}

/// A packet as it stands in a trace: field 1, length, content.
fn framed(packet: &Packet) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(packet.encoded_len() + 11);
    prost::encoding::message::encode(1, packet, &mut bytes);
    bytes
}
