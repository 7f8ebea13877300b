//! The part of Perfetto's protobuf schema that scheduling needs, declared by hand, and tombola's own packets
//! in it.
//!
//! Field numbers as in `protos/perfetto/trace/perfetto_trace.proto`. Names of tasks are bytes here: the
//! kernel's need not be UTF-8, and on the wire a string is the same. Own packets are field 1,873 of a packet,
//! in the range for out-of-tree extensions, which others skip.

mod own;

pub(crate) use own::{
    Own, OwnAsleep, OwnAttributes, OwnEvent, OwnGroup, OwnGroupId, OwnHead, OwnKind, OwnLoss, OwnMask,
    OwnReservation,
};

use prost::Message;

/// Field of own packets in `TracePacket`.
pub(crate) const OWN_FIELD: u32 = 1873;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Packet {
    #[prost(message, optional, tag = "1")]
    pub(crate) bundle: Option<Bundle>,
    #[prost(message, optional, tag = "2")]
    pub(crate) process_tree: Option<ProcessTree>,
    #[prost(message, optional, tag = "6")]
    pub(crate) clock_snapshot: Option<ClockSnapshot>,
    #[prost(uint64, optional, tag = "8")]
    pub(crate) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "10")]
    pub(crate) sequence_id: Option<u32>,
    #[prost(message, optional, tag = "45")]
    pub(crate) system_info: Option<SystemInfo>,
    #[prost(bytes = "vec", optional, tag = "50")]
    pub(crate) compressed: Option<Vec<u8>>,
    #[prost(message, optional, tag = "1873")]
    pub(crate) own: Option<Own>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Bundle {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) cpu: Option<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) event: Vec<FtraceEvent>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) lost_events: Option<bool>,
    #[prost(message, optional, tag = "4")]
    pub(crate) compact: Option<Compact>,
    /// Own: numbers of compact switches, compact wakings and full events, each as the difference to the one
    /// before.
    #[prost(sint64, repeated, tag = "1871")]
    pub(crate) switch_order: Vec<i64>,
    #[prost(sint64, repeated, tag = "1872")]
    pub(crate) waking_order: Vec<i64>,
    #[prost(sint64, repeated, tag = "1873")]
    pub(crate) event_order: Vec<i64>,
    /// Own: the places of switches by which tasks gave their CPU away, among the compact ones and among the
    /// full events, each as the difference to the one before.
    #[prost(uint64, repeated, tag = "1874")]
    pub(crate) switch_yields: Vec<u64>,
    #[prost(uint64, repeated, tag = "1875")]
    pub(crate) event_yields: Vec<u64>,
    /// Own: switches before which the queue of who comes stood throttled: the place of each in the same way,
    /// and for how long, ns.
    #[prost(uint64, repeated, tag = "1876")]
    pub(crate) switch_stops: Vec<u64>,
    #[prost(uint64, repeated, tag = "1877")]
    pub(crate) switch_stopped_ns: Vec<u64>,
    #[prost(uint64, repeated, tag = "1878")]
    pub(crate) event_stops: Vec<u64>,
    #[prost(uint64, repeated, tag = "1879")]
    pub(crate) event_stopped_ns: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Compact {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) switch_timestamp: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    pub(crate) switch_prev_state: Vec<i64>,
    #[prost(int32, repeated, tag = "3")]
    pub(crate) switch_next_pid: Vec<i32>,
    #[prost(int32, repeated, tag = "4")]
    pub(crate) switch_next_prio: Vec<i32>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub(crate) intern_table: Vec<Vec<u8>>,
    #[prost(uint32, repeated, tag = "6")]
    pub(crate) switch_next_comm_index: Vec<u32>,
    #[prost(uint64, repeated, tag = "7")]
    pub(crate) waking_timestamp: Vec<u64>,
    #[prost(int32, repeated, tag = "8")]
    pub(crate) waking_pid: Vec<i32>,
    #[prost(int32, repeated, tag = "9")]
    pub(crate) waking_target_cpu: Vec<i32>,
    #[prost(int32, repeated, tag = "10")]
    pub(crate) waking_prio: Vec<i32>,
    #[prost(uint32, repeated, tag = "11")]
    pub(crate) waking_comm_index: Vec<u32>,
    #[prost(uint32, repeated, tag = "12")]
    pub(crate) waking_common_flags: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct FtraceEvent {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) pid: Option<u32>,
    #[prost(uint32, optional, tag = "5")]
    pub(crate) common_flags: Option<u32>,
    #[prost(oneof = "What", tags = "4, 17, 20, 114, 235, 236, 237, 238, 239, 491")]
    pub(crate) what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum What {
    #[prost(message, tag = "4")]
    Switch(Switch),
    #[prost(message, tag = "17")]
    Wakeup(Wake),
    #[prost(message, tag = "20")]
    Waking(Wake),
    #[prost(message, tag = "114")]
    WakeupNew(Wake),
    #[prost(message, tag = "235")]
    NewTask(NewTask),
    #[prost(message, tag = "236")]
    Rename(Rename),
    #[prost(message, tag = "237")]
    Exec(Exec),
    #[prost(message, tag = "238")]
    Exit(Exit),
    #[prost(message, tag = "239")]
    Fork(Fork),
    #[prost(message, tag = "491")]
    Migrate(Migrate),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Switch {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) prev_comm: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) prev_pid: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) prev_prio: Option<i32>,
    #[prost(int64, optional, tag = "4")]
    pub(crate) prev_state: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(crate) next_comm: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "6")]
    pub(crate) next_pid: Option<i32>,
    #[prost(int32, optional, tag = "7")]
    pub(crate) next_prio: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Wake {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) comm: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) pid: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) prio: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) target_cpu: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NewTask {
    #[prost(int32, optional, tag = "1")]
    pub(crate) pid: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) comm: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) clone_flags: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Rename {
    #[prost(int32, optional, tag = "1")]
    pub(crate) pid: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) oldcomm: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) newcomm: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exec {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) filename: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) pid: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) old_pid: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exit {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) comm: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) pid: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) tgid: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) prio: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Fork {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) parent_comm: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) parent_pid: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) child_comm: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) child_pid: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Migrate {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) comm: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) pid: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) prio: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) orig_cpu: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) dest_cpu: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ProcessTree {
    #[prost(message, repeated, tag = "1")]
    pub(crate) processes: Vec<Process>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) threads: Vec<Thread>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Process {
    #[prost(int32, optional, tag = "1")]
    pub(crate) pid: Option<i32>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) cmdline: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Thread {
    #[prost(int32, optional, tag = "1")]
    pub(crate) tid: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) name: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) tgid: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ClockSnapshot {
    #[prost(message, repeated, tag = "1")]
    pub(crate) clocks: Vec<Clock>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Clock {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) clock_id: Option<u32>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) timestamp: Option<u64>,
}

/// Number of `CLOCK_REALTIME` in a [`Clock`].
pub(crate) const REALTIME: u32 = 1;
/// Number of `CLOCK_BOOTTIME` in a [`Clock`].
pub(crate) const BOOTTIME: u32 = 6;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SystemInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) utsname: Option<Utsname>,
    #[prost(uint32, optional, tag = "8")]
    pub(crate) num_cpus: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Utsname {
    #[prost(string, optional, tag = "1")]
    pub(crate) sysname: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(crate) release: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(crate) machine: Option<String>,
}
