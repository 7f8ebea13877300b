//! Earliest eligible virtual deadline first, as published.
//!
//! Source: I. Stoica, H. Abdel-Wahab, "Earliest Eligible Virtual Deadline First: A Flexible and Accurate
//! Mechanism for Proportional Share Resource Allocation", Old Dominion University TR-95-22, 1995.
//!
//! Law. v is a task's service divided by its weight w; V = Σw·v / Σw over those who want the CPU. A task is
//! eligible iff v ≤ V; a request of one quantum r has the deadline v + r/w; a task may have another length of
//! request. Run the eligible task with the earliest deadline, ties by declaration, until its request is
//! served. Its lag w·(V − v) stays within one quantum when no request is longer than one. A task that leaves
//! keeps its lag and comes back with it (strategy 1 of the report), but not more of it than one quantum, owed
//! or owing.
//!
//! That limit is not in the report. Without it lag is counted twice: what one who leaves is owed is divided
//! among those who stay, who may leave with it before the first is back, and with tasks of unequal weight
//! that sleep at different times lag grows exponentially, also on one CPU. Linux has the same limit, at two
//! slices.
//!
//! On more than one CPU there is one queue, and V is the same average; the bound does not hold there, nor
//! with affinity, where nobody may be eligible: then the least v runs, and no CPU idles. Groups are
//! flattened.
//!
//! v is an integer of 1/[`SCALE`](super::stride::SCALE) ns per ticket with the remainder carried. When nobody
//! is there, V begins at 0 again: only differences count.

use super::queue::PassQueue;
use super::stride::Quotient;
use super::{Arrival, Departure, Pick, Policy};
use crate::machine::{CpuIx, Machine, TaskIx};
use crate::scenario::Scenario;

/// [`SCALE`](super::stride::SCALE), signed.
const SCALE: i128 = super::stride::SCALE.cast_signed();

/// Σ w and Σ w·(v − base) over a set of entities: their weighted average of v.
///
/// The base follows the average where products would leave the range: a v that a light task has reached
/// alone, times the weight of the heaviest that then comes, is beyond 2^127.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Average {
    pub(super) weight: i128,
    sum: i128,
    base: i128,
}

impl Average {
    /// Adds an entity. With what its division left over Σ w·v is exact, and one that stands exactly at the
    /// average is not refused for a rounding.
    pub(super) fn join(&mut self, weight: u64, v: Quotient) {
        let w = i128::from(weight);
        if self.part(w, v.whole).is_none() {
            // To where the average will be: a heavy one that is owed something stands far behind the light
            // ones, and takes the average along.
            self.move_base(if self.weight == 0 { v.whole - self.base } else { self.value() - self.base });
            let (far, all) = (v.whole - self.base, self.weight + w);
            self.move_base((far / all).saturating_mul(w) + (far % all).saturating_mul(w) / all);
        }
        self.sum += w.saturating_mul(v.whole - self.base) + i128::from(v.rest);
        self.weight += w;
    }

    /// Takes one away.
    pub(super) fn leave(&mut self, weight: u64, v: Quotient) {
        let w = i128::from(weight);
        if self.part(-w, v.whole).is_none() {
            self.move_base(self.value() - self.base);
        }
        self.sum -= w.saturating_mul(v.whole - self.base) + i128::from(v.rest);
        self.weight -= w;
        if self.weight == 0 {
            self.sum = 0; // moving the base rounds: nobody's average is 0
        }
    }

    /// w·(v − base), if there is room for it and for the sum with it.
    fn part(&self, w: i128, v: i128) -> Option<i128> {
        let part = w.checked_mul(v - self.base)?;
        let has_room = |n: i128| n.unsigned_abs() >> 125 == 0;
        (has_room(part) && has_room(self.sum) && has_room(self.sum + part)).then_some(part)
    }

    fn move_base(&mut self, by: i128) {
        self.sum -= self.weight.saturating_mul(by);
        self.base += by;
    }

    /// Service of a member that has not been added to its v yet.
    pub(super) fn with_service(mut self, ran_ns: u64) -> Self {
        self.serve(ran_ns);
        self
    }

    /// A member's v has grown by its service, and nothing else.
    #[inline]
    fn serve(&mut self, ran_ns: u64) {
        self.sum += i128::from(ran_ns) * SCALE;
    }

    /// Whether somebody at `v` is eligible: v ≤ V, without a division.
    #[inline]
    fn reaches(&self, v: i128) -> bool {
        let far = v - self.base;
        // Bits of the product, at most: where they have room it needs no check.
        let high = u64::try_from(far.unsigned_abs() >> 64).unwrap_or(u64::MAX);
        match u64::try_from(self.weight) {
            Ok(weight @ 1..) if high.leading_zeros() + weight.leading_zeros() > 66 => {
                far.wrapping_mul(i128::from(weight)) <= self.sum
            }
            _ => v <= self.value(),
        }
    }

    /// V, rounded down; 0 for nobody.
    pub(super) fn value(&self) -> i128 {
        if self.weight == 0 { 0 } else { self.base + self.sum.div_euclid(self.weight) }
    }

    /// Where an entity of some weight must come in so that its lag is `lag` (pass units × weight) once it is
    /// counted: its coming moves the average away from it, so it must stand further off by (W + w)/W.
    pub(super) fn place(&self, weight: u64, lag: i128) -> i128 {
        let w = i128::from(weight);
        if self.weight == 0 {
            return self.value();
        }
        // lag is at most a few quanta of service; divided first so that nothing overflows.
        let own = lag / w;
        self.value() - own - (own / self.weight) * w - (own % self.weight) * w / self.weight
    }
}

/// EEVDF over one queue.
pub struct Eevdf {
    clients: Vec<Client>,
    /// The longest request, or quantum: what bounds the lag.
    longest_ns: u64,
    average: Average,
    /// Not eligible when last looked at, by v.
    early: PassQueue,
    /// Eligible when last looked at, by deadline.
    eligible: PassQueue,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    weight: u64,
    v: Quotient,
    /// w·(V − v) while away.
    lag: i128,
    deadline: i128,
    /// Part of the present request already served.
    served_ns: u64,
    /// Length of its requests.
    request_ns: u64,
    /// What a whole request adds to v.
    full: Quotient,
}

impl Eevdf {
    /// For a machine.
    pub fn new(machine: &Machine, scenario: &Scenario) -> Self {
        let common = super::stride::common_factor(machine, 0);
        let clients = machine.tasks().iter().map(|t| {
            let weight = t.flat_tickets / common;
            let request_ns = match scenario.tasks[t.entry].request_ns {
                0 => machine.quantum_ns,
                request_ns => request_ns,
            };
            let mut full = Quotient::default();
            full.add(request_ns, weight);
            Client { weight, v: Quotient::default(), lag: 0, deadline: 0, served_ns: 0, request_ns, full }
        });
        let clients: Vec<Client> = clients.collect();
        Self {
            longest_ns: clients.iter().map(|client| client.request_ns).fold(machine.quantum_ns, u64::max),
            clients,
            average: Average::default(),
            early: PassQueue::new(machine),
            eligible: PassQueue::new(machine),
        }
    }

    fn now(&self, machine: &Machine) -> Average {
        (0..machine.cpus().len())
            .filter(|cpu| machine.cpus()[*cpu].task.is_some())
            .fold(self.average, |average, cpu| average.with_service(machine.ran_ns(cpu)))
    }

    fn request(&mut self, task: TaskIx) {
        let client = &mut self.clients[task];
        let mut end = client.v;
        end.add_quotient(client.full, client.weight);
        client.deadline = end.whole;
        client.served_ns = 0;
    }
}

#[allow(clippy::inline_always)] // each slice ends with one call
impl Policy for Eevdf {
    #[inline(always)] // into requeue
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival) {
        if !matches!(why, Arrival::Expired | Arrival::Preempted) {
            let average = self.now(machine);
            let mut client = self.clients[task];
            client.v = Quotient { whole: average.place(client.weight, client.lag), rest: 0 };
            self.average.join(client.weight, client.v);
            self.clients[task] = client;
            self.request(task);
        }
        self.early.push(machine, task, self.clients[task].v.whole);
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let now = self.now(machine);
        while let Some((v, task)) = self.early.peek(machine, cpu) {
            if !now.reaches(v) {
                break;
            }
            self.early.pop(machine, cpu);
            self.eligible.push(machine, task, self.clients[task].deadline);
        }
        let task = loop {
            match self.eligible.pop(machine, cpu) {
                // V may have gone back since: somebody came with little service.
                Some((_, task)) if !now.reaches(self.clients[task].v.whole) => {
                    self.early.push(machine, task, self.clients[task].v.whole);
                }
                Some((_, task)) => break task,
                None => break self.early.pop(machine, cpu)?.1,
            }
        };
        let client = &self.clients[task];
        let left = client.request_ns.saturating_sub(client.served_ns);
        Some(Pick { task, slice_ns: left.max(1) })
    }

    #[inline(always)] // into requeue
    fn stopped(&mut self, machine: &mut Machine, _cpu: CpuIx, task: TaskIx, ran_ns: u64, why: Departure) {
        let client = &mut self.clients[task];
        if ran_ns == client.request_ns {
            client.v.add_quotient(client.full, client.weight);
        } else {
            client.v.add(ran_ns, client.weight);
        }
        client.served_ns += ran_ns;
        let client = *client;
        self.average.serve(ran_ns);
        if client.served_ns >= client.request_ns {
            self.request(task);
        }
        if matches!(why, Departure::Blocked | Departure::Ended | Departure::Throttled) {
            let weight = i128::from(client.weight);
            let most = i128::from(self.longest_ns) * SCALE;
            let ahead = (self.now(machine).value() - client.v.whole).clamp(-most / weight, most / weight);
            self.clients[task].lag = weight * ahead;
            self.average.leave(client.weight, client.v);
            if self.average.weight == 0 {
                self.average = Average::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use num_rational::Ratio;
    use std::fmt::Write as _;

    /// The law in exact fractions, ties by declaration: who gets each of the first quanta.
    fn published(weights: &[i128], quanta: usize) -> Vec<usize> {
        let mut served = vec![0i128; weights.len()];
        let total: i128 = weights.iter().sum();
        (0..quanta)
            .map(|now| {
                let average = Ratio::new(i128::try_from(now).unwrap(), total);
                let next = (0..weights.len())
                    .filter(|i| Ratio::new(served[*i], weights[*i]) <= average)
                    .min_by_key(|i| (Ratio::new(served[*i] + 1, weights[*i]), *i))
                    .unwrap();
                served[next] += 1;
                next
            })
            .collect()
    }

    proptest::proptest! {
        #[test]
        fn every_quantum_is_the_one_of_exact_fractions(weights in proptest::collection::vec(1u64..40, 2..6)) {
            check(&weights)?;
        }
    }

    proptest::proptest! {
        /// Without a division: of numbers of any size, and of those next to V.
        #[test]
        fn who_is_eligible_is_what_plain_fractions_say(
            weight in 1u128..1 << 84, cut in 0u32..83, sum in -(1i128 << 125)..1 << 125, base in -(1i128 << 110)..1 << 110,
            far in proptest::prelude::any::<i128>(), shift in 8u32..127, near in -1i128..=1,
        ) {
            let weight = (weight >> cut).max(1).cast_signed();
            let average = Average { weight, sum, base };
            for off in [far >> shift, (sum.div_euclid(weight) + near).clamp(-1 << 120, 1 << 120)] {
                let eligible = BigInt::from(off) * weight <= BigInt::from(sum);
                proptest::prop_assert_eq!(average.reaches(base + off), eligible, "{} {}", average.value(), off);
            }
        }
    }

    fn check(weights: &[u64]) -> Result<(), proptest::test_runner::TestCaseError> {
        let mut text = String::from("name='x'\nduration='1s'\nquantum='10ms'\n");
        for (i, weight) in weights.iter().enumerate() {
            writeln!(text, "[[task]]\nname='t{i}'\ntickets={weight}").unwrap();
        }
        let got = crate::laws::order_of(
            &crate::scenario::Scenario::from_toml(&text).unwrap(),
            crate::policy::PolicyKind::Eevdf,
        );
        let weights: Vec<i128> = weights.iter().map(|w| i128::from(*w)).collect();
        proptest::prop_assert_eq!(got, published(&weights, 100));
        Ok(())
    }

    /// Worked by hand: 3:2:1 gives ABACAB if a task exactly at the average is refused, ABABAC as published.
    #[test]
    fn three_two_one_is_as_published() {
        assert_eq!(published(&[3, 2, 1], 6), [0, 1, 0, 1, 0, 2]);
        check(&[3, 2, 1]).unwrap();
    }

    /// Tasks of unequal weight that sleep at different times made lag grow until integers overflowed:
    /// exponentially, on one CPU as on four. Within its limit, nobody waits longer than those who came before
    /// it need.
    #[test]
    fn lag_does_not_grow_with_sleep() {
        for (cpus, count, phases) in [
            (4, 10, ["run='2ms'\nsleep='8ms'", "run='2ms'\nsleep='8ms'"]),
            (4, 3, ["run='8ms'\nsleep='2ms'", "run='8ms'\nsleep='2ms'"]),
            (1, 3, ["run='3ms'\nsleep='29ms'", "run='17ms'\nsleep='51ms'"]),
        ] {
            let text = format!(
                "name='x'\ncpus={cpus}\nduration='60s'\nquantum='10ms'\n[[task]]\nname='a'\ncount={count}\nweight=2048\n{}\n\
                 [[task]]\nname='b'\ncount={count}\nweight=100\n{}\n",
                phases[0], phases[1]
            );
            let scenario = crate::scenario::Scenario::from_toml(&text).unwrap();
            let outcome = crate::laws::slices_of(&scenario, crate::policy::PolicyKind::Eevdf);
            let light = outcome.tasks[1].wait.max_ns;
            assert!(light < 2_000_000_000, "{cpus} {count}: {light} ns");
        }
    }

    /// The heaviest task comes after the lightest has been alone for a year: no product leaves its range, and
    /// V is what plain fractions say.
    #[test]
    fn an_average_of_the_heaviest_and_the_lightest_is_exact() {
        let (light, heavy) = (1u64, 1u64 << 63);
        let alone = 31_536_000_000_000_000 * SCALE;
        let mut average = Average::default();
        let at = |whole| Quotient { whole, rest: 0 };
        average.join(light, at(alone));
        assert_eq!(average.value(), alone);
        average.join(heavy, at(alone + 10));
        average.join(heavy, at(alone + 20));
        // (1·0 + 2^63·10 + 2^63·20) / (2^64 + 1) is a little below 15.
        assert_eq!(average.value(), alone + 14);
        average.leave(heavy, at(alone + 20));
        average.leave(light, at(alone));
        assert_eq!((average.value(), average.weight), (alone + 10, i128::from(heavy)));
    }

    /// One of 2^53 tickets that is owed a quantum comes to one of 1: by the definition of lag it must stand a
    /// quantum of the light one's time behind, and it takes the average with it.
    #[test]
    fn the_heaviest_that_is_owed_something_is_placed_where_its_lag_says() {
        let (light, heavy) = (1u64, 1u64 << 53);
        let quantum = 10_000_000 * SCALE;
        for alone in [0, 3_000_000 * SCALE, 1 << 120] {
            let at = |whole| Quotient { whole, rest: 0 };
            let mut average = Average::default();
            average.join(light, at(alone));
            let v = average.place(heavy, quantum);
            average.join(heavy, at(v));
            let exact = (BigInt::from(heavy) * v + alone) / (BigInt::from(heavy) + 1);
            let off = BigInt::from(average.value()) - exact;
            assert!(BigInt::from(-1) <= off && off <= BigInt::from(1), "{off}");
            // Its v is a whole number, each of which is 2^53 of lag.
            let lag = (average.value() - v) * i128::from(heavy);
            assert!((lag - quantum).abs() <= 2 * i128::from(heavy), "{lag}, due {quantum}");
            average.serve(1 << 62);
            average.leave(heavy, at(v + 1));
            assert_eq!(average.weight, 1);
        }
    }
}
