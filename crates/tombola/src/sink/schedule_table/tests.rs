use super::super::fixture::scheduled;
use super::*;
use tombola_core::tally::Returns;

fn totals() -> Totals {
    Totals {
        draws: 2000,
        returns: Returns { draws: 1980, wins: 1070, expected: 1066.3, variance: 400.0 },
        guarded: 1,
        idle: 12,
        kernel: 345,
        redrawn: 2,
        ended: 3,
        of_ended: Tally { wins: 4, expected: 4.1, variance: 3.0, undrawn: 0, slices: 4, used_ns: 9_000_000 },
        ..Totals::default()
    }
}

fn rendered(law: Law, number: u64, top: usize) -> String {
    let (tasks, totals) = (scheduled(), totals());
    render(&ScheduleView {
        number,
        length: Duration::from_millis(10_003),
        law,
        slice: Duration::from_millis(5),
        totals: &totals,
        tasks: &tasks,
        top,
    })
}

#[test]
fn a_lottery_with_hostile_names() {
    insta::assert_snapshot!(rendered(Law::Lottery, 1, 0));
}

#[test]
fn stride_has_no_chance_to_judge() {
    let text = rendered(Law::Stride, 2, 2);
    assert!(text.starts_with("\nschedule 2: stride for 10.003 s"), "{text}");
    assert!(text.contains("p-value of the shares: not random; of independence: not random"), "{text}");
    assert!(text.contains("and 2 tasks more: --top 0 shows all"), "{text}");
    let z = |row: &str| row.split_ascii_whitespace().nth(6).map(str::to_owned);
    let rows: Vec<&str> = text.lines().skip_while(|row| !row.contains("TICKETS")).skip(1).take(2).collect();
    assert_eq!([z(rows[0]), z(rows[1])], [Some("-".to_owned()), Some("-".to_owned())]);
}

#[test]
fn nobody_took_part() {
    let text = render(&ScheduleView {
        number: 1,
        length: Duration::ZERO,
        law: Law::Lottery,
        slice: Duration::from_millis(5),
        totals: &Totals::default(),
        tasks: &[],
        top: 20,
    });
    assert!(text.contains("0 draws, 0 tasks took part") && text.contains("- (too few draws)"), "{text}");
    assert!(!text.contains("TICKETS"), "{text}");
}
