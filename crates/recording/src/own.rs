//! Own packets and what they mean.

use crate::attributes::Attributes;
use crate::capabilities::{Capabilities, Header, LossTold, Scope};
use crate::event::{Event, Kind};
use crate::proto::{
    OwnAsleep, OwnAttributes, OwnEvent, OwnGroup, OwnGroupId, OwnHead, OwnKind, OwnLoss, OwnMask,
    OwnReservation,
};
use crate::state::StateLaw;
use tombola_core::cpu_set::CpuSet;
use tombola_core::reservation::Reservation;
use tombola_core::snapshot::{Group, GroupTotals, Quota};

/// Most words of an affinity mask that are believed: 65,536 CPUs.
const MASK_WORDS: usize = 1024;

/// The preemption flag of kernels since 4.14, which the states of sleepers are written by.
const PREEMPTED: u64 = 0x100;

impl OwnHead {
    pub(crate) fn of(header: &Header, law: &StateLaw) -> Self {
        Self {
            host: header.host.clone(),
            release: header.release.clone(),
            arch: header.arch.clone(),
            cpus: header.cpus,
            clock: header.clock.clone(),
            wall_event_ns: header.wall.map(|(ns, _)| ns),
            wall_unix_us: header.wall.map(|(_, us)| us),
            begin_ns: header.begin_ns,
            can: bits(&header.can),
            loss: match header.can.loss {
                LossTold::Unknown => 0,
                LossTold::Flagged => 1,
                LossTold::Counted => 2,
                LossTold::Exact => 3,
            },
            resolution_ns: header.can.resolution_ns,
            first_format: Some(header.first_format().to_owned()),
            preempted: law.preempted(),
            scope: match header.scope {
                Scope::Whole => 0,
                Scope::Cpus => 1,
                Scope::Tasks => 2,
                Scope::Filtered => 3,
            },
        }
    }

    pub(crate) fn header(self) -> Header {
        let first = self.first_format.unwrap_or_default();
        Header {
            format: if first.is_empty() { "Perfetto".to_owned() } else { format!("Perfetto of {first}") },
            host: self.host,
            release: self.release,
            arch: self.arch,
            cpus: self.cpus,
            clock: self.clock,
            wall: self.wall_event_ns.zip(self.wall_unix_us),
            begin_ns: self.begin_ns,
            end_ns: None,
            groups: Vec::new(),
            scope: match self.scope {
                1 => Scope::Cpus,
                2 => Scope::Tasks,
                3 => Scope::Filtered,
                _ => Scope::Whole,
            },
            can: Capabilities {
                loss: match self.loss {
                    1 => LossTold::Flagged,
                    2 => LossTold::Counted,
                    3 => LossTold::Exact,
                    _ => LossTold::Unknown,
                },
                resolution_ns: self.resolution_ns,
                ..from_bits(self.can)
            },
        }
    }
}

fn bits(can: &Capabilities) -> u64 {
    [
        can.prev,
        can.waking,
        can.wakeup,
        can.waker,
        can.interrupt,
        can.fork_exit,
        can.migrations,
        can.tgid,
        can.groups,
        can.affinity,
        can.hides_preemption,
        can.yields,
    ]
    .iter()
    .enumerate()
    .fold(0, |bits, (n, yes)| bits | u64::from(*yes) << n)
}

fn from_bits(bits: u64) -> Capabilities {
    let bit = |n: u32| bits >> n & 1 == 1;
    Capabilities {
        prev: bit(0),
        waking: bit(1),
        wakeup: bit(2),
        waker: bit(3),
        interrupt: bit(4),
        fork_exit: bit(5),
        migrations: bit(6),
        tgid: bit(7),
        groups: bit(8),
        affinity: bit(9),
        hides_preemption: bit(10),
        yields: bit(11),
        ..Capabilities::default()
    }
}

impl OwnEvent {
    /// The own form of what no Perfetto packet can say; `None` for other kinds.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let kind = match &event.kind {
            Kind::Attributes { pid, start_ns, attributes } => OwnKind::Attributes(OwnAttributes {
                pid: *pid,
                tgid: attributes.tgid,
                comm: attributes.comm.to_vec(),
                prio: attributes.prio,
                start_ns: *start_ns,
                weight: attributes.weight,
                policy: attributes.policy,
                group: attributes.group.map(group_id),
                affinity: attributes.affinity.as_ref().map(mask),
                reservation: attributes.reservation.map(|promised| OwnReservation {
                    runtime_ns: promised.runtime_ns,
                    deadline_ns: promised.deadline_ns,
                    period_ns: promised.period_ns,
                }),
            }),
            Kind::Group { totals, name } => OwnKind::Group(OwnGroup {
                id: Some(group_id(totals.id)),
                parent: totals.parent.map(group_id),
                weight: totals.weight,
                quota_ns: totals.quota.map(|q| q.quota_ns),
                period_ns: totals.quota.map_or(0, |q| q.period_ns),
                throttled_ns: totals.throttled_ns,
                throttles: totals.throttles,
                name: name.clone(),
            }),
            Kind::Loss { of_cpu, count, from_ns } => {
                OwnKind::Loss(OwnLoss { of_cpu: *of_cpu, count: *count, from_ns: *from_ns })
            }
            Kind::Asleep { pid, left } => {
                OwnKind::Asleep(OwnAsleep { pid: *pid, state: StateLaw::written(PREEMPTED).number(*left) })
            }
            Kind::Online => OwnKind::Online(true),
            Kind::Offline => OwnKind::Online(false),
            _ => return None,
        };
        Some(Self { ts_ns: event.ts_ns, cpu: event.cpu, seq: event.seq, kind: Some(kind) })
    }

    pub(crate) fn event(self) -> Option<Event> {
        let kind = match self.kind? {
            OwnKind::Attributes(told) => Kind::Attributes {
                pid: told.pid,
                start_ns: told.start_ns,
                attributes: Box::new(Attributes {
                    tgid: told.tgid,
                    comm: told.comm[..].into(),
                    prio: told.prio,
                    weight: told.weight,
                    policy: told.policy,
                    group: told.group.map(group),
                    affinity: told
                        .affinity
                        .map(|mask| CpuSet::from_words(&mask.words[..mask.words.len().min(MASK_WORDS)])),
                    reservation: told.reservation.map(|promised| Reservation {
                        runtime_ns: promised.runtime_ns,
                        deadline_ns: promised.deadline_ns,
                        period_ns: promised.period_ns,
                    }),
                }),
            },
            OwnKind::Group(told) => Kind::Group { totals: Box::new(told.totals()?), name: told.name },
            OwnKind::Loss(told) => {
                Kind::Loss { of_cpu: told.of_cpu, count: told.count, from_ns: told.from_ns }
            }
            OwnKind::Asleep(told) => {
                Kind::Asleep { pid: told.pid, left: StateLaw::written(PREEMPTED).left(told.state) }
            }
            OwnKind::Online(true) => Kind::Online,
            OwnKind::Online(false) => Kind::Offline,
        };
        Some(Event { ts_ns: self.ts_ns, cpu: self.cpu, seq: self.seq, kind })
    }
}

impl OwnGroup {
    /// What it is like; `None` where it does not say which.
    pub(crate) fn totals(&self) -> Option<GroupTotals> {
        Some(GroupTotals {
            id: group(self.id?),
            parent: self.parent.map(group),
            weight: self.weight,
            quota: self.quota_ns.map(|quota_ns| Quota { quota_ns, period_ns: self.period_ns }),
            throttled_ns: self.throttled_ns,
            throttles: self.throttles,
        })
    }
}

fn group_id(group: Group) -> OwnGroupId {
    match group {
        Group::Unknown => OwnGroupId { kind: 0, number: 0 },
        Group::Cgroup(number) => OwnGroupId { kind: 1, number },
        Group::Autogroup(number) => OwnGroupId { kind: 2, number },
    }
}

fn group(id: OwnGroupId) -> Group {
    match id.kind {
        1 => Group::Cgroup(id.number),
        2 => Group::Autogroup(id.number),
        _ => Group::Unknown,
    }
}

fn mask(set: &CpuSet) -> OwnMask {
    let mut words = Vec::new();
    for cpu in set.iter() {
        let word = (cpu / 64) as usize;
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= 1 << (cpu % 64);
    }
    OwnMask { words }
}
