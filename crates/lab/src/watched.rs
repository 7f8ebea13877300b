//! The observer of draws: a policy around a policy, with books of its own.

use crate::chance::unit;
use crate::draws::{BINS, Balance, Client, Evidence, FOLLOWED, Followed};
use crate::kind::PolicyKind;
use crate::machine::{CpuIx, Machine, TaskIx};
use crate::policy::{Arrival, Departure, Pick, Policy};
use rand_chacha::ChaCha8Rng;
use tombola_core::race;

/// Most instances that are clients of their own. With more, the instances of an entry are one client.
const MOST: usize = 512;
/// What a client may have expected in all, by the sums of its bucket, before they begin anew: of 2⁻⁵³ of the
/// largest term 2⁻³³ is left in a draw.
const SUMMED: f64 = 1_048_576.0;
/// Tickets that leave a sum with less than this part of them make it be added up again.
const LEFT: f64 = 1.0 / 1_048_576.0;

/// What the tickets of a task are multiplied by that blocked after so many nanoseconds of a slice of so many.
pub(crate) type Compensation = fn(u64, u64) -> f64;

/// The compensation by whose law a policy is judged: its own, where it is published or is what integers can
/// hold.
pub(crate) fn compensation_of(policy: PolicyKind) -> Compensation {
    match policy {
        PolicyKind::LotteryUncompensated => |_, _| 1.0,
        PolicyKind::LotteryKernel => {
            |used_ns, slice_ns| race::compensation(used_ns, slice_ns) as f64 / race::COMPENSATION_ONE as f64
        }
        _ => |used_ns, slice_ns| (slice_ns as f64 / used_ns as f64).max(1.0),
    }
}

/// A lottery under observation. It decides as it would alone.
pub(crate) struct Watched {
    policy: Box<dyn Policy>,
    /// The compensation tickets of its law.
    compensation: Compensation,
    tasks: Vec<Candidate>,
    groups: Vec<Currency>,
    /// Queued tickets of each group and affinity class that has tasks.
    buckets: Vec<Bucket>,
    /// By CPU: the buckets it draws from.
    draws_from: Vec<Vec<usize>>,
    clients: Vec<Queued>,
    /// By CPU: its last judged draw.
    last: Vec<Last>,
    /// Of each followed client: chance of having waited as long as it has.
    survival: Vec<f64>,
    loans: usize,
    drawn: bool,
    evidence: Evidence,
    /// Places waits in the probability integral transform.
    rng: ChaCha8Rng,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    client: usize,
    bucket: usize,
    group: Option<usize>,
    amount: f64,
    /// `amount` with compensation.
    rate: f64,
    queued: bool,
}

#[derive(Clone, Copy, Debug)]
struct Currency {
    parent: Option<usize>,
    weight: f64,
    /// Tickets it has issued to those who want the CPU, or have it.
    active: f64,
    /// What one ticket is worth in base tickets.
    worth: f64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    class: usize,
    group: Option<usize>,
    /// Tickets in the draw, in the group's currency.
    tickets: f64,
    members: u64,
    /// Σ of the chance of one ticket over the draws so far, and of its square.
    chance: f64,
    square: f64,
}

/// A client's tickets in the draw, and how far its bucket was when that last changed: what it expects since
/// then is tickets times the difference.
#[derive(Clone, Copy, Debug, Default)]
struct Queued {
    bucket: usize,
    tickets: f64,
    members: u64,
    chance: f64,
    square: f64,
    /// Row and column in the table of pairs.
    class: usize,
}

#[derive(Clone, Debug, Default)]
struct Last {
    winner: Option<TaskIx>,
    /// Of each followed client: won − chance, and chance.
    followed: Vec<(f64, f64)>,
}

impl Watched {
    /// Around a lottery; `rng` is a stream that nothing else uses.
    pub(crate) fn new(
        machine: &Machine,
        policy: Box<dyn Policy>,
        compensation: Compensation,
        rng: ChaCha8Rng,
    ) -> Self {
        let mut buckets: Vec<Bucket> = Vec::new();
        let mut tasks: Vec<Candidate> = Vec::with_capacity(machine.tasks().len());
        let (mut clients, mut wins): (Vec<Queued>, Vec<Client>) = (Vec::new(), Vec::new());
        let single = machine.tasks().len() <= MOST;
        for (index, view) in machine.tasks().iter().enumerate() {
            let key = (view.class, view.group);
            let same_entry = index > 0 && machine.tasks()[index - 1].entry == view.entry;
            let bucket = if same_entry {
                tasks[index - 1].bucket
            } else {
                buckets.iter().position(|b| (b.class, b.group) == key).unwrap_or_else(|| {
                    let (class, group) = key;
                    buckets.push(Bucket { class, group, tickets: 0.0, members: 0, chance: 0.0, square: 0.0 });
                    buckets.len() - 1
                })
            };
            if single || !same_entry {
                clients.push(Queued { bucket, ..Queued::default() });
                let entry = view.entry;
                wins.push(Client { entry, weight: 0, won: 0, expected: 0.0, variance: 0.0 });
            }
            let client = clients.len() - 1;
            wins[client].weight += view.flat_tickets;
            let (group, amount) = (view.group, view.tickets as f64);
            tasks.push(Candidate { client, bucket, group, amount, rate: amount, queued: false });
        }
        // Those who win most often are seen most.
        let mut order: Vec<usize> = (0..wins.len()).collect();
        order.sort_by_key(|client| std::cmp::Reverse(wins[*client].weight));
        order.truncate(FOLLOWED);
        for client in &mut clients {
            client.class = order.len();
        }
        for (class, client) in order.iter().enumerate() {
            clients[*client].class = class;
        }
        let followed: Vec<Followed> = order
            .into_iter()
            .map(|client| Followed {
                client,
                lag: Balance::default(),
                doubles: 0.0,
                misses: 0.0,
                waits: [0; BINS],
            })
            .collect();
        let cpus = machine.cpus().len();
        let currency = |g: &crate::machine::GroupView| Currency {
            parent: g.parent,
            weight: g.weight as f64,
            active: 0.0,
            worth: 0.0,
        };
        Self {
            policy,
            compensation,
            groups: machine.groups().iter().map(currency).collect(),
            draws_from: (0..cpus)
                .map(|cpu| {
                    let served = |bucket: &usize| machine.classes_of(cpu).contains(&buckets[*bucket].class);
                    (0..buckets.len()).filter(served).collect()
                })
                .collect(),
            tasks,
            buckets,
            clients,
            last: vec![Last { winner: None, followed: vec![(0.0, 0.0); followed.len()] }; cpus],
            survival: vec![1.0; followed.len()],
            loans: 0,
            drawn: false,
            evidence: Evidence {
                draws: 0,
                unjudged: 0,
                steady: cpus == 1,
                clients: wins,
                repeats: Balance::default(),
                pairs: vec![0; (followed.len() + 1).pow(2)],
                followed,
            },
            rng,
        }
    }

    fn worth(&self, bucket: usize) -> f64 {
        self.buckets[bucket].group.map_or(1.0, |group| self.groups[group].worth)
    }

    /// What a client expects up to now.
    fn expect(queued: &Queued, bucket: &Bucket, client: &mut Client) {
        let expected = queued.tickets * (bucket.chance - queued.chance);
        client.expected += expected;
        client.variance += expected - queued.tickets.powi(2) * (bucket.square - queued.square);
    }

    /// A task's tickets come into the draw or leave it.
    fn set_queued(&mut self, task: TaskIx, queued: bool) {
        let candidate = &mut self.tasks[task];
        if std::mem::replace(&mut candidate.queued, queued) == queued {
            return;
        }
        let candidate = *candidate;
        let coming = self.clients[candidate.client].tickets + candidate.rate;
        if queued && coming * self.buckets[candidate.bucket].chance > SUMMED {
            self.sum_anew(candidate.bucket);
        }
        let (bucket, client) = (&mut self.buckets[candidate.bucket], &mut self.clients[candidate.client]);
        Self::expect(client, bucket, &mut self.evidence.clients[candidate.client]);
        (client.chance, client.square) = (bucket.chance, bucket.square);
        if queued {
            (bucket.members, client.members) = (bucket.members + 1, client.members + 1);
            (bucket.tickets, client.tickets) = (bucket.tickets + candidate.rate, coming);
            return;
        }
        (bucket.members, client.members) = (bucket.members - 1, client.members - 1);
        let left = |members, tickets| if members == 0 { Some(0.0) } else { without(tickets, candidate.rate) };
        let (of_bucket, of_client) =
            (left(bucket.members, bucket.tickets), left(client.members, client.tickets));
        bucket.tickets =
            of_bucket.unwrap_or_else(|| in_the_draw(&self.tasks, |other| other.bucket == candidate.bucket));
        client.tickets =
            of_client.unwrap_or_else(|| in_the_draw(&self.tasks, |other| other.client == candidate.client));
    }

    /// Begins the sums of a bucket anew. What one ticket has a chance of depends on how many there are: where
    /// a client with very many comes to one where few were drawn from for long, its part would be the
    /// difference of two large numbers.
    fn sum_anew(&mut self, index: usize) {
        let bucket = &mut self.buckets[index];
        for (client, seen) in self.clients.iter_mut().zip(&mut self.evidence.clients) {
            if client.bucket == index {
                Self::expect(client, bucket, seen);
                (client.chance, client.square) = (0.0, 0.0);
            }
        }
        (bucket.chance, bucket.square) = (0.0, 0.0);
    }

    /// A task's tickets become active in the currency of its group, or cease to be.
    fn set_active(&mut self, task: TaskIx, active: bool) {
        if self.drawn {
            self.evidence.steady = false;
        }
        if self.groups.is_empty() {
            return;
        }
        let mut amount = self.tasks[task].amount;
        let mut at = self.tasks[task].group;
        while let Some(group) = at {
            let currency = &mut self.groups[group];
            let before = currency.active;
            currency.active += if active { amount } else { -amount };
            if (before > 0.0) == (currency.active > 0.0) {
                break;
            }
            amount = currency.weight;
            at = currency.parent;
        }
        for group in 0..self.groups.len() {
            let (mut worth, mut at) = (1.0, Some(group));
            while let Some(index) = at {
                let currency = &self.groups[index];
                worth *= if currency.active > 0.0 { currency.weight / currency.active } else { 0.0 };
                at = currency.parent;
            }
            self.groups[group].worth = worth;
        }
    }

    /// Chance of tickets of a bucket in a draw of a CPU among `whole` base tickets.
    fn chance(&self, cpu: CpuIx, bucket: usize, tickets: f64, whole: f64) -> f64 {
        if tickets > 0.0 && self.draws_from[cpu].binary_search(&bucket).is_ok() {
            (tickets * self.worth(bucket) / whole).min(1.0)
        } else {
            0.0
        }
    }

    fn judge(&mut self, cpu: CpuIx, winner: TaskIx) {
        let (mut whole, mut members) = (0.0, 0);
        for &bucket in &self.draws_from[cpu] {
            whole += self.buckets[bucket].tickets * self.worth(bucket);
            members += self.buckets[bucket].members;
        }
        self.drawn = true;
        if members < 2 || self.loans > 0 {
            self.evidence.unjudged += u64::from(self.loans > 0);
            return;
        }
        self.evidence.draws += 1;
        for &bucket in &self.draws_from[cpu] {
            if self.buckets[bucket].members == 0 {
                continue; // a chance of tickets that nobody holds has no bound
            }
            let chance = self.worth(bucket) / whole;
            let bucket = &mut self.buckets[bucket];
            bucket.chance += chance;
            bucket.square += chance * chance;
        }
        let client = self.tasks[winner].client;
        self.evidence.clients[client].won += 1;
        if let Some(before) = self.last[cpu].winner.replace(winner) {
            let candidate = &self.tasks[before];
            let tickets = if candidate.queued { candidate.rate } else { 0.0 };
            let p = self.chance(cpu, candidate.bucket, tickets, whole);
            let again = if before == winner { 1.0 } else { 0.0 };
            self.evidence.repeats.add(Balance { sum: again - p, variance: p * (1.0 - p) });
            let classes = self.survival.len() + 1;
            let (row, column) = (self.clients[candidate.client].class, self.clients[client].class);
            self.evidence.pairs[row * classes + column] += 1;
        }
        for index in 0..self.survival.len() {
            let followed = self.evidence.followed[index].client;
            let Queued { bucket, tickets, .. } = self.clients[followed];
            let p = self.chance(cpu, bucket, tickets, whole);
            let won = followed == client;
            let difference = if won { 1.0 - p } else { -p };
            let (before, chance) = std::mem::replace(&mut self.last[cpu].followed[index], (difference, p));
            let seen = &mut self.evidence.followed[index];
            let variance = before * before * p * (1.0 - p);
            seen.lag.add(Balance { sum: before * difference, variance });
            seen.doubles += chance * p;
            seen.misses += (1.0 - chance) * (1.0 - p);
            let survival = &mut self.survival[index];
            let shorter = *survival;
            *survival *= 1.0 - p;
            if won {
                let place = *survival + unit(&mut self.rng) * (shorter - *survival);
                seen.waits[bin(place)] += 1;
                *survival = 1.0;
            }
        }
    }
}

/// A sum without one of its terms; `None` where so little is left that rounding shows.
fn without(sum: f64, term: f64) -> Option<f64> {
    let left = sum - term;
    (left >= term * LEFT).then_some(left)
}

/// Tickets in the draw of some tasks, added up.
fn in_the_draw(tasks: &[Candidate], of: impl Fn(&Candidate) -> bool) -> f64 {
    tasks.iter().filter(|task| task.queued && of(task)).map(|task| task.rate).sum()
}

/// The bin of a place in 0…1.
fn bin(place: f64) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 ≤ place ≤ 1
    let bin = (place * BINS as f64) as usize;
    bin.min(BINS - 1)
}

impl Policy for Watched {
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival) {
        if matches!(why, Arrival::New | Arrival::Woken | Arrival::Unthrottled) {
            self.set_active(task, true);
        }
        self.set_queued(task, true);
        self.policy.enqueue(machine, task, why);
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let pick = self.policy.pick(machine, cpu)?;
        self.judge(cpu, pick.task);
        self.set_queued(pick.task, false);
        self.tasks[pick.task].rate = self.tasks[pick.task].amount;
        Some(pick)
    }

    fn stopped(&mut self, machine: &mut Machine, cpu: CpuIx, task: TaskIx, ran_ns: u64, why: Departure) {
        if matches!(why, Departure::Blocked | Departure::Ended | Departure::Throttled) {
            self.set_active(task, false);
        }
        if why == Departure::Blocked && ran_ns > 0 {
            self.tasks[task].rate = self.tasks[task].amount * (self.compensation)(ran_ns, machine.quantum_ns);
        }
        self.policy.stopped(machine, cpu, task, ran_ns, why);
    }

    fn preempt(&mut self, machine: &mut Machine) -> Option<CpuIx> {
        self.policy.preempt(machine)
    }

    fn timer(&mut self, machine: &mut Machine, task: TaskIx) {
        self.policy.timer(machine, task);
    }

    fn lend(&mut self, machine: &mut Machine, waiter: TaskIx, holder: TaskIx) {
        self.loans += 1;
        self.policy.lend(machine, waiter, holder);
    }

    fn give_back(&mut self, machine: &mut Machine, waiter: TaskIx, holder: TaskIx) {
        self.loans -= 1;
        self.policy.give_back(machine, waiter, holder);
    }

    fn next_holder(&mut self, machine: &mut Machine, waiters: &[TaskIx]) -> usize {
        self.policy.next_holder(machine, waiters)
    }

    fn evidence(&self) -> Option<Evidence> {
        let mut evidence = self.evidence.clone();
        for (queued, client) in self.clients.iter().zip(&mut evidence.clients) {
            Self::expect(queued, &self.buckets[queued.bucket], client);
        }
        let mut rng = self.rng.clone();
        for (followed, survival) in evidence.followed.iter_mut().zip(&self.survival) {
            if *survival < 1.0 {
                followed.waits[bin(unit(&mut rng) * survival)] += 1;
            }
        }
        Some(evidence)
    }
}
