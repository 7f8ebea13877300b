use super::*;
use crate::groups::Groups;
use crate::sink::fixture::{burners, frame, window};
use tombola_core::identity::TaskId;
use tombola_core::interference::{Interference, Pair, Standing};
use tombola_core::source::Origin;
use tombola_core::worth::Judged;

/// Burners 101 and 102 are the command's; 103 is not.
fn moment() -> Moment {
    let mut window = window(burners());
    let id = |pid| TaskId { pid, start_ns: 1_000_000 + u64::from(pid) };
    let pair = |victim, culprit, held_ns| {
        (Pair { victim: id(victim), culprit: id(culprit) }, Standing { preemptions: 1, held_ns })
    };
    window.interference = Some(Interference {
        pairs: [
            pair(101, 103, 150_000_000),
            pair(101, 102, 50_000_000),
            pair(102, 103, 10_000_000),
            pair(103, 101, 999),
        ]
        .into(),
        ..Interference::default()
    });
    Moment::new(window, &frame(Groups::new()), 1, Origin::Loaded).unwrap()
}

fn is_its(line: &Line) -> bool {
    matches!(line.task.totals.tgid, 101 | 102)
}

#[test]
fn waits_are_told_by_whom_they_were_behind() {
    let moment = moment();
    let verdict = Verdict::of(&moment, is_its);
    // The fixture waits a third of what it runs, so a quarter of what it wants: 925,123,456 ns run.
    assert_eq!((verdict.tasks, verdict.run_ns), (2, 925_123_456));
    assert_eq!(verdict.wait_ns, 697_000_000 / 3 + 228_123_456 / 3);
    assert_eq!(verdict.behind, [("burner-10".to_owned(), 160_000_000), (ITS_OWN.to_owned(), 50_000_000)]);
    let text = verdict.paragraph("make", Some(("/a", 0.41)));
    assert!(text.starts_with("make ran 0.925 s and waited 25 % of the time it wanted to run; 13 % behind burner-10, 4 % behind its own tasks"), "{text}");
    assert!(text.contains("PSI) of /a: in 41 % of the time"), "{text}");
}

#[test]
fn of_waits_that_are_not_known_no_limit_is_kept() {
    let mut moment = moment();
    let blind = |kind| Judged { kind, worth: Worth::Unknown, too_low_ns: None, why: "no wakes are recorded" };
    moment.audit.worths = vec![blind(Kind::Wait)];
    let verdict = Verdict::of(&moment, is_its);
    for limit in ["waited>99%", "throttled>1%"] {
        let said = format!("{limit} is not known: no wakes are recorded");
        assert_eq!(verdict.judge(&limit.parse().unwrap()), Judgement::Unknown(said));
    }
    assert_eq!(verdict.judge(&"lost>1%".parse().unwrap()), Judgement::Kept);
    moment.audit.worths = Kind::ALL.map(|kind| Judged { worth: Worth::Bounded, ..blind(kind) }).to_vec();
    let verdict = Verdict::of(&moment, is_its);
    assert_eq!(verdict.judge(&"waited>99%".parse().unwrap()), Judgement::Kept);
}

#[test]
fn a_limit_is_exceeded_above_it_and_not_at_it() {
    let moment = moment();
    let mut verdict = Verdict::of(&moment, is_its);
    (verdict.run_ns, verdict.wait_ns, verdict.throttled_ns) = (60, 40, 10);
    (verdict.entitled_ns, verdict.lag_ns, verdict.lost_ns, verdict.wall_ns) = (1000, 50, 0, 2000);
    for (limit, is_exceeded) in [
        ("waited>39.9%", true),
        ("waited>40%", false),
        ("throttled>9%", true),
        ("throttled>10%", false),
        ("lag>4.9%", true),
        ("lag>5%", false),
        ("lag>49ns", true),
        ("lag>50ns", false),
        ("lost>0", false),
    ] {
        let judgement = verdict.judge(&limit.parse().unwrap());
        assert_eq!(judgement != Judgement::Kept, is_exceeded, "{limit}: {judgement:?}");
        assert!(!matches!(judgement, Judgement::Unknown(_)), "{limit}");
    }
    verdict.lag_ns = -50;
    assert_eq!(verdict.judge(&"lag>0%".parse().unwrap()), Judgement::Kept, "who is ahead is owed nothing");
}

#[test]
fn a_command_that_was_not_seen_is_said_to_be() {
    let verdict = Verdict::of(&moment(), |_| false);
    assert!(verdict.paragraph("make", None).contains("none of its tasks was seen"));
    for limit in ["waited>0%", "throttled>99%", "lag>1h"] {
        let judgement = verdict.judge(&limit.parse().unwrap());
        assert!(matches!(&judgement, Judgement::Unknown(why) if why.starts_with(limit)), "{judgement:?}");
    }
    assert_eq!(verdict.judge(&"lost>0".parse().unwrap()), Judgement::Kept, "a loss is the machine's");
}
