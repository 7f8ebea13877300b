//! The C of the kernel's draw against its twin in Rust, bit for bit: `lottery_draw.h` is compiled for this
//! machine.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

#[path = "common/host_c.rs"]
mod host_c;

use std::fmt::{Arguments, Display, Write as _};
use std::fs::{self, File};
use std::iter::successors;
use std::path::Path;
use std::process::Command;
use tombola_core::race::{self, Number, Queues};

/// Operations for the driver, one a line, and the lines it must print.
#[derive(Default)]
struct Script {
    operations: String,
    expected: Vec<String>,
}

impl Script {
    fn tell(&mut self, operation: Arguments<'_>) {
        writeln!(self.operations, "{operation}").unwrap();
    }

    fn ask(&mut self, operation: Arguments<'_>, expected: impl Display) {
        self.tell(operation);
        self.expected.push(format!("{expected}"));
    }

    /// Runs the driver in every way it was compiled, and compares line by line.
    fn check(&self) {
        let directory = tempfile::tempdir().unwrap();
        let Some(drivers) = host_c::programs(directory.path(), "draw_host.c", &[]) else {
            println!("SKIP: there is no C compiler, neither cc nor clang");
            return;
        };
        let input = directory.path().join("operations");
        fs::write(&input, &self.operations).unwrap();
        for driver in drivers {
            let run = Command::new(&driver).stdin(File::open(&input).unwrap()).output().unwrap();
            let output = String::from_utf8(run.stdout).unwrap();
            let asked = self.operations.lines().filter(|line| answers(line));
            for ((got, want), operation) in output.lines().zip(&self.expected).zip(asked) {
                assert_eq!(got, want, "{} in C against Rust: {operation}", driver.display());
            }
            let errors = String::from_utf8_lossy(&run.stderr);
            assert!(run.status.success(), "{}: {} {errors}", driver.display(), run.status);
            assert_eq!(output.lines().count(), self.expected.len(), "{}", driver.display());
        }
    }
}

/// Whether the driver prints a line for an operation.
fn answers(operation: &str) -> bool {
    !["worth", "clock", "join", "leave"].contains(&operation.split(' ').next().unwrap())
}

/// Numbers for the test, from a fixed seed: Vigna's xorshift64*, which shares nothing with what is tested.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.word() % n
    }

    fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap()
    }

    /// Any length in bits, and often an edge: 0, powers of 2 and their neighbours, `u64::MAX`.
    fn any(&mut self) -> u64 {
        let shift = self.below(64);
        match self.below(8) {
            0 => 1 << shift,
            1 => (1 << shift) - 1,
            2 => u64::MAX >> shift,
            3 => u64::MAX << shift,
            _ => self.word() >> shift,
        }
    }

    /// 1 to 2^`bits`, the ends often.
    fn up_to(&mut self, bits: u32) -> u64 {
        match self.below(8) {
            0 => 1,
            1 => 1 << bits,
            _ => (self.any() & ((1 << bits) - 1)) + 1,
        }
    }

    fn tickets(&mut self) -> u32 {
        u32::try_from(self.up_to(20)).unwrap()
    }

    fn compensation(&mut self) -> u64 {
        match self.below(4) {
            0 => race::COMPENSATION_ONE,
            1 => race::COMPENSATION_MOST,
            _ => self.up_to(20).max(race::COMPENSATION_ONE),
        }
    }
}

#[test]
fn the_c_of_every_function_gives_the_bits_of_its_twin() {
    let mut script = Script::default();
    let mut random = Random(1);
    let constants = [
        u64::from(race::FRACTION),
        race::COMPENSATION_ONE,
        race::COMPENSATION_MOST,
        race::TICKETS_MOST.into(),
    ];
    script.ask(format_args!("next {}", seed_of(5, 1)), 5);
    script.ask(format_args!("constants"), constants.map(|c| c.to_string()).join(" "));
    let seeds = [0, 1, u64::MAX, u64::MAX - 1, 1 << 63].into_iter().chain(rare_seeds());
    for seed in seeds.chain((0..60_000).map(|_| random.word()).collect::<Vec<_>>()) {
        script.ask(format_args!("exponential {seed}"), race::exponential(seed));
    }
    for _ in 0..20_000 {
        let (a, b) = (random.any(), random.any());
        script.ask(format_args!("zeros {a}"), a.leading_zeros());
        script.ask(format_args!("high {a} {b}"), (u128::from(a) * u128::from(b)) >> 64);
        for used in [b, a, a.saturating_sub(1), a.saturating_add(1), a >> 10, (a >> 10) + 1] {
            script.ask(format_args!("compensation {used} {a}"), race::compensation(used, a));
        }
        let e = random.any() & ((1 << 58) - 1);
        let (tickets, compensation) = (random.tickets(), random.compensation());
        let residual = race::residual(e, tickets, compensation);
        script.ask(format_args!("residual {e} {tickets} {compensation}"), residual);
    }
    numbers(&mut script, &mut random);
    assert!(script.expected.len() > 300_000);
    script.check();
}

/// Seeds that chance does not meet: those that give many heads, and those whose second number lies on, next
/// to, and by every power of 2 away from each 64-bit constant of the header, which are the bounds it is
/// compared with.
fn rare_seeds() -> Vec<u64> {
    let header =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf/lottery_draw.h")).unwrap();
    let constants =
        header.split("0x").filter_map(|rest| u64::from_str_radix(rest.split("ULL").next()?, 16).ok());
    let constants: Vec<u64> = constants.collect();
    assert!(constants.len() >= 17, "{constants:x?}");
    let heads = [0].into_iter().chain((0..64).map(|bit| 1 << bit)).map(|number| seed_of(number, 1));
    let near = constants.iter().flat_map(|c| {
        let far = (0..64).flat_map(move |bit| [c.wrapping_add(1 << bit), c.wrapping_sub(1 << bit)]);
        far.chain([*c])
    });
    heads.chain(near.map(|number| seed_of(number, 2))).collect()
}

/// The seed whose `place`th number is a given one: `SplitMix64` backwards.
fn seed_of(number: u64, place: u64) -> u64 {
    // Newton's iteration doubles the right bits of an inverse modulo 2^64, from 3.
    let inverse = |odd: u64| (0..5).fold(odd, |x, _| x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x))));
    let z = number ^ number >> 31 ^ number >> 62;
    let z = z.wrapping_mul(inverse(0x94d0_49bb_1331_11eb));
    let z = z ^ z >> 27 ^ z >> 54;
    let z = z.wrapping_mul(inverse(0xbf58_476d_1ce4_e5b9));
    let z = z ^ z >> 30 ^ z >> 60;
    z.wrapping_sub(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(place))
}

/// Numbers made of numbers, so that exponents of all sizes come together.
fn numbers(script: &mut Script, random: &mut Random) {
    let print = |n: Number| n.parts().0.to_string() + " " + &n.parts().1.to_string();
    let mut pool: Vec<Number> = [0, 1, u64::MAX, u64::from(u32::MAX), 1 << 63].map(Number::of).into();
    let edges = [0, 1, 2, u64::MAX, 1 << 31, u64::from(u32::MAX), 1 << 32];
    for word in edges.into_iter().chain((0..40_000).map(|_| random.any()).collect::<Vec<_>>()) {
        script.ask(format_args!("of {word}"), print(Number::of(word)));
        let (a, b) = (pool[random.index(pool.len())], pool[random.index(pool.len())]);
        let (sa, sb) = (print(a), print(b));
        script.ask(format_args!("product {sa} {sb}"), print(a.product(b)));
        script.ask(format_args!("quotient {sa} {sb}"), print(a.quotient(b)));
        script.ask(format_args!("less {sa} {sb}"), u8::from(a.less(b)));
        script.ask(format_args!("less {sa} {sa}"), 0);
        let near = i32::try_from(random.below(140)).unwrap() - 70;
        for scale in [0, near, near - a.parts().1, i32::MAX, i32::MIN] {
            script.ask(format_args!("whole {sa} {scale}"), a.whole(scale));
        }
        for n in [Number::of(word), a.product(b), a.quotient(b)] {
            if n.parts().1.unsigned_abs() < 100_000 {
                pool.push(n);
            }
        }
        if pool.len() > 1000 {
            pool.drain(5..500);
        }
    }
}

/// Groups as the tree of a machine with cgroups: parent, and the queues, one of each node in two affinity
/// classes.
const PARENTS: [Option<usize>; 5] = [None, None, Some(0), Some(2), Some(1)];
const NODES: usize = PARENTS.len() + 1;
const CLASSES: usize = 2;

/// The same race in C and in Rust, where the simulator's policy `lottery-kernel` calls it: tasks that join,
/// leave and run, groups whose active tickets change while others wait, draws by CPUs that serve one class,
/// the other, or both.
#[test]
fn a_whole_race_in_c_has_the_winners_of_the_simulators_race() {
    const DRAWS: usize = 100_000;
    const TASKS: usize = 96;
    let mut script = Script::default();
    let mut random = Random(2);
    let group_of = |queue: usize| (queue % NODES).checked_sub(1);
    let mut queues = Queues::new(PARENTS, (0..CLASSES * NODES).map(group_of));
    for queue in 0..CLASSES * NODES {
        // Half of the clocks wrap at once.
        let clock = if queue % 2 == 0 { 0 } else { u64::MAX - random.below(1 << 40) };
        queues.set_clock(queue, clock);
        script.tell(format_args!("clock {queue} {clock}"));
    }
    let mut worth = [(1, 1); PARENTS.len()];
    for group in 0..PARENTS.len() {
        set_worth(&mut script, &mut queues, &mut worth, group, (1, 1));
    }
    let tasks: Vec<(usize, u32)> =
        (0..TASKS).map(|task| (task % (CLASSES * NODES), random.tickets())).collect();
    let mut waits = [false; TASKS];
    let (mut draws, mut winners, mut nobody) = (0, vec![0; TASKS], 0);
    while draws < DRAWS {
        let task = random.index(TASKS);
        let (queue, tickets) = tasks[task];
        // Long times with few in the race, and long ones with many.
        let crowded = draws / 5_000 % 2 == 0;
        match random.below(if crowded { 32 } else { 16 }) {
            0 if waits[task] => {
                queues.leave(task);
                script.tell(format_args!("leave {queue} {task}"));
                waits[task] = false;
            }
            1 => {
                let (group, to) = (random.index(PARENTS.len()), (random.up_to(20), random.up_to(40)));
                set_worth(&mut script, &mut queues, &mut worth, group, to);
            }
            2..12 => {
                let classes = [1, 2, 3, 3][random.index(4)];
                let served = |queue: &usize| classes >> (queue / NODES) & 1 == 1;
                let mask: u64 = (0..CLASSES * NODES).filter(served).map(|queue| 1u64 << queue).sum();
                let winner = queues.draw((0..CLASSES * NODES).filter(served));
                let answer = winner.map_or("nobody".to_owned(), |task| {
                    waits[task] = false;
                    winners[task] += 1;
                    format!("{task} {}", queues.clock(tasks[task].0))
                });
                if winner.is_some() {
                    draws += 1;
                } else {
                    nobody += 1;
                }
                script.ask(format_args!("draw {mask}"), answer);
            }
            _ if !waits[task] => {
                let (seed, compensation) = (random.any(), random.compensation());
                let residual = race::residual(race::exponential(seed), tickets, compensation);
                queues.join(queue, task, residual);
                script.tell(format_args!("join {queue} {task} {seed} {tickets} {compensation}"));
                waits[task] = true;
            }
            _ => {}
        }
    }
    assert!(winners.iter().all(|n| *n > 0) && nobody > 0, "{nobody} {winners:?}");
    script.check();
}

/// Sets what a group is worth, and tells it to every queue of the driver, which knows whole paths only.
fn set_worth(
    script: &mut Script,
    queues: &mut Queues,
    worth: &mut [(u64, u64)],
    group: usize,
    to: (u64, u64),
) {
    worth[group] = to;
    queues.set_worth(group, to.0, to.1);
    for queue in 0..CLASSES * NODES {
        let path = successors((queue % NODES).checked_sub(1), |group| PARENTS[*group]);
        let levels: Vec<String> = path.map(|g| format!("{} {}", worth[g].1, worth[g].0)).collect();
        script.tell(format_args!("worth {queue} {} {}", levels.len(), levels.join(" ")));
    }
}
