//! Stride scheduling: the deterministic counterpart of a lottery.
//!
//! Source: C. A. Waldspurger, W. E. Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource
//! Management", MIT/LCS/TM-528, 1995, sections 2 and 3.
//!
//! Law. stride = stride1/tickets. Run the task with the smallest pass, ties by declaration; then pass +=
//! stride × part of the quantum used. A global pass advances by stride1/(all active tickets) for each quantum
//! of service. A task that leaves keeps remain = pass − global pass and comes back with pass = global pass +
//! remain; a new one begins with remain = stride, or 0 where `stride.first_pass` says so. Any two tasks stay
//! within one quantum of their ratio; against the ideal the error of a task may grow to O(number of tasks).
//!
//! Groups are flattened: tickets are what they are worth when everybody is runnable.
//!
//! [`Arithmetic::Exact`] keeps passes as integers of 1/[`SCALE`] ns per ticket with the remainder carried.
//! Tickets are divided by what all of them have in common. While nobody comes or goes passes are exact, and
//! equal ones are equal; with sleep they are too where all sums of tickets divide the scale, as those up to
//! 41 do, and otherwise err by one unit (5·10⁻¹⁸ ns) each time somebody comes or goes.
//! [`Arithmetic::Stride1`] is the paper's: strides are ⌊stride1/tickets⌋, and what is cut off adds up for
//! ever.

use super::queue::PassQueue;
use super::{Arrival, Departure, Pick, Policy};
use crate::machine::{CpuIx, Machine, TaskIx};
use crate::scenario::tuning::FirstPass;

/// Pass units in one nanosecond of a task with one ticket, under exact arithmetic: the least common multiple
/// of 1 to 41, near 2^57.6. A pass of the longest simulation (2^62 ns) stays below 2^120.
pub const SCALE: u128 = 219_060_189_739_591_200;

/// How strides are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Without error.
    Exact,
    /// Integer strides from this constant; the paper has 2²⁰.
    Stride1(u64),
}

/// A quotient that is kept exactly: a sum of `service / tickets` with its remainder.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quotient {
    pub(super) whole: i128,
    /// Numerator of what the division left over; below the tickets it was divided by.
    pub(super) rest: u64,
}

impl Quotient {
    /// Adds service / tickets, in pass units.
    pub(super) fn add(&mut self, service_ns: u64, tickets: u64) {
        let numerator = u128::from(service_ns) * SCALE + u128::from(self.rest);
        let tickets = u128::from(tickets.max(1));
        // Below 2^122: service has 64 bits.
        self.whole += i128::try_from(numerator / tickets).unwrap_or(i128::MAX / 4);
        self.rest = u64::try_from(numerator % tickets).unwrap_or(0); // below a 64-bit divisor
    }

    /// Adds another quotient of the same tickets: the same as to add its service, without a division.
    #[inline]
    pub(super) fn add_quotient(&mut self, other: Self, tickets: u64) {
        self.whole += other.whole;
        self.rest += other.rest;
        if self.rest >= tickets {
            self.rest -= tickets;
            self.whole += 1;
        }
    }
}

/// The greatest number that divides the tickets of every task, and `also` (0: anything).
pub(super) fn common_factor(machine: &Machine, also: u64) -> u64 {
    machine.tasks().iter().fold(also, |common, task| num_integer::gcd(common, task.flat_tickets)).max(1)
}

/// The stride policy.
pub struct Stride {
    arithmetic: Arithmetic,
    queue: PassQueue,
    clients: Vec<Client>,
    global: Quotient,
    /// Service since the global pass was last brought up to date.
    pending_ns: u64,
    tickets: u64,
    seen_ns: u64,
    running: u64,
    quantum_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    tickets: u64,
    pass: Quotient,
    /// Pass − global pass while it is away.
    remain: i128,
    /// What a full quantum adds; an integer stride has no rest.
    full: Quotient,
}

impl Stride {
    /// A stride scheduler for a machine.
    pub fn new(machine: &Machine, arithmetic: Arithmetic, first_pass: FirstPass) -> Self {
        let mut stride = Self {
            arithmetic,
            queue: PassQueue::new(machine),
            clients: Vec::new(),
            global: Quotient::default(),
            pending_ns: 0,
            tickets: 0,
            seen_ns: 0,
            running: 0,
            quantum_ns: machine.quantum_ns,
        };
        let common = match arithmetic {
            Arithmetic::Exact => common_factor(machine, 0),
            Arithmetic::Stride1(_) => 1,
        };
        stride.clients = machine
            .tasks()
            .iter()
            .map(|task| {
                let mut full = Quotient::default();
                let tickets = task.flat_tickets / common;
                stride.advance(&mut full, machine.quantum_ns, tickets);
                Client { tickets, pass: Quotient::default(), remain: full.whole, full }
            })
            .collect();
        if first_pass == FirstPass::Zero {
            stride.clients.iter_mut().for_each(|client| client.remain = 0);
            return stride;
        }
        // The rest of the first stride belongs to the pass, or a third of a quantum would begin rounded.
        for client in &mut stride.clients {
            client.pass.rest = client.full.rest;
        }
        stride
    }

    fn advance(&self, pass: &mut Quotient, service_ns: u64, tickets: u64) {
        match self.arithmetic {
            Arithmetic::Exact => pass.add(service_ns, tickets),
            Arithmetic::Stride1(one) => {
                let stride = one / tickets.max(1);
                let part = u128::from(stride) * u128::from(service_ns) / u128::from(self.quantum_ns);
                pass.whole += i128::try_from(part).unwrap_or(i128::MAX / 4);
            }
        }
    }

    /// Counts the service given since it was last asked.
    fn note(&mut self, machine: &Machine) {
        let now = machine.now_ns();
        self.pending_ns += (now - self.seen_ns) * self.running;
        self.seen_ns = now;
    }

    fn global_pass(&mut self) -> i128 {
        if self.pending_ns > 0 && self.tickets > 0 {
            let mut global = self.global;
            self.advance(&mut global, self.pending_ns, self.tickets);
            self.global = global;
        }
        self.pending_ns = 0;
        self.global.whole
    }

    fn set_tickets(&mut self, tickets: u64) {
        self.global.rest = 0;
        self.tickets = tickets;
    }
}

#[allow(clippy::inline_always)] // each slice ends with one call
impl Policy for Stride {
    #[inline(always)] // into requeue
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival) {
        if !matches!(why, Arrival::Expired | Arrival::Preempted) {
            self.note(machine);
            let global = self.global_pass();
            let client = &mut self.clients[task];
            client.pass.whole = global + client.remain;
            let tickets = self.tickets + client.tickets;
            self.set_tickets(tickets);
        }
        self.queue.push(machine, task, self.clients[task].pass.whole);
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let (_, task) = self.queue.pop(machine, cpu)?;
        self.note(machine);
        self.running += 1;
        Some(Pick { task, slice_ns: machine.quantum_ns })
    }

    #[inline(always)] // into requeue
    fn stopped(&mut self, machine: &mut Machine, _cpu: CpuIx, task: TaskIx, ran_ns: u64, why: Departure) {
        self.note(machine);
        self.running -= 1;
        let away = matches!(why, Departure::Blocked | Departure::Ended | Departure::Throttled);
        if ran_ns == self.quantum_ns && !away {
            let client = &mut self.clients[task];
            client.pass.add_quotient(client.full, client.tickets);
            return;
        }
        let mut client = self.clients[task];
        self.advance(&mut client.pass, ran_ns, client.tickets);
        if away {
            let global = self.global_pass();
            client.remain = client.pass.whole - global;
            self.set_tickets(self.tickets - client.tickets);
        }
        self.clients[task] = client;
    }
}
