//! Tombola's own packets.

use prost::Message;

/// An own packet.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Own {
    #[prost(message, optional, tag = "1")]
    pub(crate) head: Option<OwnHead>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) events: Vec<OwnEvent>,
    /// At the end: until when the events of every CPU are complete.
    #[prost(uint64, optional, tag = "3")]
    pub(crate) end_ns: Option<u64>,
}

/// What Perfetto's packets cannot say of a recording.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OwnHead {
    #[prost(string, optional, tag = "1")]
    pub(crate) host: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) release: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(crate) arch: Option<String>,
    #[prost(uint32, optional, tag = "4")]
    pub(crate) cpus: Option<u32>,
    #[prost(string, optional, tag = "5")]
    pub(crate) clock: Option<String>,
    #[prost(uint64, optional, tag = "6")]
    pub(crate) wall_event_ns: Option<u64>,
    #[prost(uint64, optional, tag = "7")]
    pub(crate) wall_unix_us: Option<u64>,
    #[prost(uint64, optional, tag = "8")]
    pub(crate) begin_ns: Option<u64>,
    /// Bits of the capabilities, in their order.
    #[prost(uint64, tag = "9")]
    pub(crate) can: u64,
    #[prost(uint32, tag = "10")]
    pub(crate) loss: u32,
    #[prost(uint64, tag = "11")]
    pub(crate) resolution_ns: u64,
    /// The format the events were first recorded in.
    #[prost(string, optional, tag = "12")]
    pub(crate) first_format: Option<String>,
    /// Mask of the preemption flag of states in this file.
    #[prost(uint64, tag = "13")]
    pub(crate) preempted: u64,
    /// Whose events: 0 all, 1 of some CPUs, 2 of some tasks, 3 what passed a filter.
    #[prost(uint32, tag = "14")]
    pub(crate) scope: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OwnEvent {
    #[prost(uint64, tag = "1")]
    pub(crate) ts_ns: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) cpu: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) seq: u64,
    #[prost(oneof = "OwnKind", tags = "4, 5, 6, 7, 8")]
    pub(crate) kind: Option<OwnKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum OwnKind {
    #[prost(message, tag = "4")]
    Attributes(OwnAttributes),
    #[prost(message, tag = "5")]
    Group(OwnGroup),
    #[prost(message, tag = "6")]
    Loss(OwnLoss),
    /// Whether the CPU came or went.
    #[prost(bool, tag = "7")]
    Online(bool),
    #[prost(message, tag = "8")]
    Asleep(OwnAsleep),
}

/// Who was seen asleep.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct OwnAsleep {
    #[prost(uint32, tag = "1")]
    pub(crate) pid: u32,
    /// In which state, by the law of kernels since 4.14, whatever that of the file's switches.
    #[prost(uint64, tag = "2")]
    pub(crate) state: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OwnAttributes {
    #[prost(uint32, tag = "1")]
    pub(crate) pid: u32,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) tgid: Option<u32>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) comm: Vec<u8>,
    #[prost(sint32, optional, tag = "4")]
    pub(crate) prio: Option<i32>,
    #[prost(uint64, optional, tag = "5")]
    pub(crate) start_ns: Option<u64>,
    #[prost(uint32, optional, tag = "6")]
    pub(crate) weight: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    pub(crate) policy: Option<u32>,
    #[prost(message, optional, tag = "8")]
    pub(crate) group: Option<OwnGroupId>,
    /// CPUs of the affinity mask, lowest in bit 0 of the first word; absent where not told.
    #[prost(message, optional, tag = "9")]
    pub(crate) affinity: Option<OwnMask>,
    #[prost(message, optional, tag = "10")]
    pub(crate) reservation: Option<OwnReservation>,
}

/// Parameters of `SCHED_DEADLINE`.
#[allow(clippy::struct_field_names)] // all are times
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct OwnReservation {
    #[prost(uint64, tag = "1")]
    pub(crate) runtime_ns: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) deadline_ns: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) period_ns: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OwnMask {
    #[prost(fixed64, repeated, tag = "1")]
    pub(crate) words: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct OwnGroupId {
    /// 0 unknown, 1 a cgroup, 2 an autogroup.
    #[prost(uint32, tag = "1")]
    pub(crate) kind: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) number: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OwnGroup {
    #[prost(message, optional, tag = "1")]
    pub(crate) id: Option<OwnGroupId>,
    #[prost(message, optional, tag = "2")]
    pub(crate) parent: Option<OwnGroupId>,
    #[prost(uint64, tag = "3")]
    pub(crate) weight: u64,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) quota_ns: Option<u64>,
    #[prost(uint64, tag = "5")]
    pub(crate) period_ns: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) throttled_ns: u64,
    #[prost(uint64, tag = "7")]
    pub(crate) throttles: u64,
    #[prost(string, optional, tag = "8")]
    pub(crate) name: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct OwnLoss {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) of_cpu: Option<u32>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) count: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) from_ns: Option<u64>,
}
