//! What textbooks and papers print, and what queueing theory knows: scenarios that need parameters of
//! policies, arrivals or a warm-up.

use crate::engine::Slice;
use crate::laws::{order_of, slices_of, slices_under};
use crate::outcome::Outcome;
use crate::policy::PolicyKind;
use crate::scenario::Scenario;
use num_rational::Ratio;
use proptest::prelude::*;

const MS: u64 = 1_000_000;

fn scenario(text: &str) -> Scenario {
    Scenario::from_toml(&format!("name='x'\n{text}")).unwrap()
}

fn outcome(text: &str, policy: PolicyKind) -> Outcome {
    slices_of(&scenario(text), policy)
}

/// The first quanta by the letters of their tasks.
fn letters(text: &str, policy: PolicyKind) -> String {
    let order = order_of(&scenario(text), policy);
    order.into_iter().map(|task| char::from(b'A' + u8::try_from(task).unwrap())).collect()
}

/// Task and length of each slice, in ms.
fn stretches(text: &str, policy: PolicyKind) -> Vec<(usize, u64)> {
    slices_under(&scenario(text), policy)
        .iter()
        .map(|Slice { task, ran_ns, .. }| (*task, ran_ns / MS))
        .collect()
}

/// R. and A. Arpaci-Dusseau, "Operating Systems: Three Easy Pieces", chapter 9: 20 drawn tickets of A (0
/// to 74) and B (75 to 99), and the schedule that they give, in which B runs four times.
#[test]
fn given_draws_give_the_schedule_of_the_textbook() {
    let text = "duration='200ms'\n[lottery]\n\
        draws=[63, 85, 70, 39, 76, 17, 29, 41, 36, 39, 10, 99, 68, 83, 63, 62, 43, 0, 49, 12]\n\
        [[task]]\nname='A'\ntickets=75\n[[task]]\nname='B'\ntickets=25\n";
    assert_eq!(letters(text, PolicyKind::LotteryList), "ABAABAAAAAABABAAAAAA");
    // From the first again; and its section 9.4: of 100, 50 and 250 tickets number 300 is C's, also as 700
    // of 400.
    let text = "duration='60ms'\n[lottery]\ndraws=[300, 149, 700]\n\
        [[task]]\nname='A'\ntickets=100\n[[task]]\nname='B'\ntickets=50\n[[task]]\nname='C'\ntickets=250\n";
    assert_eq!(letters(text, PolicyKind::LotteryList), "CBCCBC");
    // A list is no chance to be judged.
    assert!(outcome(text, PolicyKind::LotteryList).draws.is_none());
    assert!(outcome(text, PolicyKind::Lottery).draws.is_some());
}

/// The same book, figure 9.3: strides 100, 200 and 40, passes that begin at 0, ties to the first.
#[test]
fn passes_from_zero_give_the_table_of_the_textbook() {
    let tasks = "duration='80ms'\n[[task]]\nname='A'\ntickets=100\n[[task]]\nname='B'\ntickets=50\n\
        [[task]]\nname='C'\ntickets=250\n";
    let zero = format!("{}[stride]\nfirst_pass='zero'\n{}", &tasks[..16], &tasks[16..]);
    for policy in [PolicyKind::Stride, PolicyKind::StrideInteger] {
        assert_eq!(letters(&zero, policy), "ABCCCACC", "{policy}");
    }
    assert_eq!(letters(tasks, PolicyKind::Stride), "CCACCABC", "passes from one stride");
}

/// One level that is never boosted is round robin.
#[test]
fn a_feedback_queue_of_one_level_is_round_robin() {
    let text = "duration='1s'\n[mlfq]\nlevels=1\nboost='never'\n[[task]]\nname='a'\ncount=3\n\
        [[task]]\nname='b'\ntotal='55ms'\narrive='33ms'\n[[task]]\nname='c'\narrive='101ms'\n";
    assert_eq!(stretches(text, PolicyKind::Mlfq), stretches(text, PolicyKind::RoundRobin));
}

/// By hand, with allotments of 10, 20 and 40 ms. Of the slice in which a boost falls only what comes after it
/// counts, and that at the top, whose allotment it uses up.
#[test]
fn levels_and_boosts_are_those_of_the_scenario() {
    let text = |boost| format!("duration='250ms'\n[mlfq]\nlevels=3\nboost='{boost}'\n[[task]]\nname='a'\n");
    let lengths = |boost| -> Vec<u64> {
        stretches(&text(boost), PolicyKind::Mlfq).into_iter().map(|(_, ms)| ms).collect()
    };
    assert_eq!(lengths("never"), [10, 20, 40, 40, 40, 40, 40, 20]);
    assert_eq!(lengths("100ms"), [10, 20, 40, 40, 20, 40, 40, 20, 20]);
    // The short job comes in the middle of the long one's slice, and stands at the top.
    let text = "duration='60ms'\n[mlfq]\nlevels=2\nboost='never'\n[[task]]\nname='long'\n\
        [[task]]\nname='short'\narrive='15ms'\ntotal='20ms'\n";
    assert_eq!(stretches(text, PolicyKind::Mlfq), [(0, 10), (0, 5), (1, 10), (0, 15), (1, 10), (0, 10)]);
}

/// Of n winners everybody has ⌊n·t/T⌋ or one more, whatever the luck.
#[test]
fn a_lottery_of_several_winners_is_off_by_less_than_one_in_each_draw() {
    for (winners, tickets) in [(4, [3, 1, 0]), (4, [2, 1, 1]), (4, [5, 3, 0]), (7, [3, 2, 1]), (1, [3, 2, 1])]
    {
        let tasks: Vec<String> = tickets
            .iter()
            .filter(|t| **t > 0)
            .enumerate()
            .map(|(i, t)| format!("[[task]]\nname='t{i}'\ntickets={t}\n"))
            .collect();
        let tasks = tasks.concat();
        let text = format!("duration='28s'\n[lottery]\nwinners={winners}\n{tasks}");
        let order = order_of(&scenario(&text), PolicyKind::LotteryMulti);
        let total: u64 = tickets.iter().sum();
        let mut sums = [0u64; 3];
        for draw in order.chunks_exact(winners) {
            for (task, t) in tickets.iter().enumerate() {
                let won = draw.iter().filter(|winner| **winner == task).count() as u64;
                let least = winners as u64 * t / total;
                assert!((least..=least + 1).contains(&won), "{winners} {tickets:?}: {draw:?}");
                sums[task] += won;
            }
        }
        // In the mean n·t/T: of at least 400 draws, each off by a part of one.
        for (won, t) in sums.iter().zip(tickets) {
            let due = order.len() as f64 * t as f64 / total as f64;
            let draws = (order.len() / winners) as f64;
            assert!(
                (*won as f64 - due).abs() <= 5.0 * (draws / 4.0).sqrt() + 1.0,
                "{winners} {tickets:?}: {sums:?}"
            );
        }
    }
}

/// The mean response of a queue with Poisson arrivals (λ = 1/10 ms, mean service S = 5 ms, ρ = ½), first come
/// first served: S/(1 − ρ) = 10 ms for exponential lengths (M/M/1), S + ρS/(2(1 − ρ)) = 7.5 ms for constant
/// ones (M/D/1, Pollaczek and Khinchine). The asymptotic variance of the mean of n waits in M/M/1 is ρ(2 + 5ρ
/// − 4ρ² + ρ³)/(1 − ρ)⁴·S²/n: with that of the service, 30·S²/n. Five standard deviations for n = 60,000.
#[test]
fn open_arrivals_are_the_queue_of_the_theory() {
    for (run, due_ms) in [("exp(5ms)", 10.0), ("5ms", 7.5)] {
        let text =
            format!("duration='620s'\nwarm_up='20s'\n[[task]]\nname='a'\nevery='exp(10ms)'\nrun='{run}'\n");
        let task = &outcome(&text, PolicyKind::Fifo).tasks[0];
        let n = task.response.count as f64;
        assert!((n - 60_000.0).abs() < 5.0 * 60_000f64.sqrt(), "{n} arrivals");
        let (mean_ms, bound_ms) = (task.response.mean_ns / 1e6, 5.0 * (30.0f64 * 25.0 / n).sqrt());
        assert!((mean_ms - due_ms).abs() < bound_ms, "{run}: {mean_ms} ms, due {due_ms} within {bound_ms}");
        // Utilisation law: the CPU is busy for ρ of the time.
        assert!((task.share - 0.5).abs() < 5.0 * 0.5 / n.sqrt() * 2f64.sqrt(), "{run}: {}", task.share);
    }
}

/// Arrivals wait for nobody: by hand. Jobs of 6 ms that arrive every 4 ms are answered after 6, 8, 10 … ms.
#[test]
fn jobs_queue_behind_those_before_them() {
    let text = "duration='60ms'\n[[task]]\nname='a'\nevery='4ms'\nrun='6ms'\nloops=5\n";
    let task = &outcome(text, PolicyKind::RoundRobin).tasks[0];
    assert_eq!((task.completed, task.response.min_ns, task.response.max_ns), (5, 6 * MS, 14 * MS));
    assert!((task.response.mean_ns - 10e6).abs() < 1.0);
}

/// By hand: a runs alone for 5 s, then half of the time; of the last 5 s that is half. The wait that is under
/// way at 5 s began before, and counts whole.
#[test]
fn statistics_begin_after_the_warm_up() {
    let text = "duration='10s'\nwarm_up='5s'\nquantum='20ms'\n[[task]]\nname='a'\n[[task]]\nname='b'\narrive='4990ms'\n";
    for policy in [PolicyKind::RoundRobin, PolicyKind::Stride, PolicyKind::Fluid] {
        let got = outcome(text, policy);
        assert_eq!(got.duration_ns, 5_000_000_000);
        let cpu = got.cpus[0];
        assert_eq!((cpu.busy_ns, cpu.idle_ns), (5_000_000_000, 0), "{policy}");
        for task in &got.tasks {
            assert!((task.share - 0.5).abs() <= 0.004, "{policy}: {}", task.share);
            assert!((task.entitled_share.unwrap() - 0.5).abs() < 1e-9, "{policy}");
            assert!(task.lag_max_ns.unwrap() <= 20e6, "{policy}: {:?}", task.lag_max_ns);
        }
    }
    let waits = &outcome(text, PolicyKind::RoundRobin).tasks[1].wait;
    assert_eq!(waits.max_ns, 20 * MS);
}

/// EEVDF with requests of different length in exact fractions, ties by declaration: who gets each request.
fn published(clients: &[(i128, i128)], requests: usize) -> Vec<(usize, u64)> {
    let total: i128 = clients.iter().map(|(weight, _)| weight).sum();
    let (mut served, mut now) = (vec![0i128; clients.len()], 0i128);
    let mut order = Vec::new();
    for _ in 0..requests {
        let next = (0..clients.len())
            .filter(|i| Ratio::new(served[*i], clients[*i].0) <= Ratio::new(now, total))
            .min_by_key(|i| (Ratio::new(served[*i] + clients[*i].1, clients[*i].0), *i))
            .unwrap();
        served[next] += clients[next].1;
        now += clients[next].1;
        order.push((next, u64::try_from(clients[next].1).unwrap()));
    }
    order
}

proptest! {
    #[test]
    fn requests_are_served_as_in_exact_fractions(
        clients in prop::collection::vec((1i128..20, 1i128..12), 2..6),
    ) {
        let tasks: Vec<String> = clients
            .iter()
            .enumerate()
            .map(|(i, (weight, ms))| format!("[[task]]\nname='t{i}'\ntickets={weight}\nrequest='{ms}ms'\n"))
            .collect();
        let tasks = tasks.concat();
        let got = stretches(&format!("duration='1s'\n{tasks}"), PolicyKind::Eevdf);
        let due = published(&clients, got.len());
        // The last one is cut by the end.
        prop_assert_eq!(&got[..got.len() - 1], &due[..got.len() - 1]);
    }
}

/// Every refusal names the place and the range.
#[test]
fn parameters_out_of_range_are_refused() {
    for (text, expected) in [
        ("[mlfq]\nlevels=0", "levels is 0; it must be 1 to 16"),
        ("[mlfq]\nlevels=17", "levels is 17; it must be 1 to 16"),
        ("[mlfq]\nboost='0s'", "boost is 0; it must be above 0"),
        ("[mlfq]\nbottom=1", "unknown field `bottom`"),
        ("[lottery]\nwinners=0", "winners is 0; it must be 1 to 1024"),
        ("[lottery]\ndraws=[]", "no draw is given"),
        ("[lottery]\ndraws=[1, -1]", "the number of a ticket is -1"),
        ("[stride]\nfirst_pass='one'", "first_pass 'one'; use stride or zero"),
        ("warm_up='1s'", "the warm-up is not shorter than the duration"),
        ("[[task]]\nname='b'\nrequest='0'", "request is 0"),
        ("[[task]]\nname='b'\nevery='1ms'", "a task with jobs needs run"),
        ("[[task]]\nname='b'\nevery='0ms'\nrun='1ms'", "every is 0"),
        ("[[task]]\nname='b'\nevery='1ms'\nrun='1ms'\nperiod='1ms'", "give every or period, not both"),
    ] {
        let text = format!("name='x'\nduration='1s'\n{text}\n[[task]]\nname='a'\n");
        let error = Scenario::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("line "), "{text}: {error}");
    }
}
