use super::super::fixture::{burners, hostile, judged, report, window};
use super::*;
use tombola_core::report::Lottery;
use tombola_core::snapshot::Group;
use tombola_core::snapshot::{ExitTotals, Loss};
use tombola_core::window::Window;
use unicode_width::UnicodeWidthStr;

/// What a test varies.
#[derive(Clone, Copy)]
struct Options {
    wide: bool,
    top: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { wide: false, top: 5 }
    }
}

/// All rows of a report.
pub(in crate::sink) fn view<'a>(report: &'a Report, order: &'a Order, groups: &'a Groups) -> View<'a> {
    View {
        iteration: 1,
        report,
        rows: &report.rows,
        rows_left_out: 0,
        by: By::Task,
        columns: &[],
        wide: false,
        width: None,
        draws: None,
        order,
        top: 5,
        groups,
    }
}

fn render(
    iteration: u64,
    report: &Report,
    draws: Option<DrawResult<'_>>,
    order: &Order,
    groups: &Groups,
    Options { wide, top }: Options,
) -> String {
    super::render(&View { iteration, wide, draws, top, ..view(report, order, groups) })
}

fn plain(window: Window, options: Options) -> String {
    let order = Order::new(&window, options.top).unwrap();
    render(1, &report(window), None, &order, &Groups::new(), options)
}

#[test]
fn three_burners_and_a_real_time_task() {
    let window = Window { is_first: true, ..window(burners()) };
    insta::assert_snapshot!(plain(window, Options { top: 3, ..Options::default() }));
}

#[test]
fn wide_with_draws() {
    let order = Order::new(&window(burners()), 2).unwrap();
    let report = report(window(burners()));
    let outcome = Lottery::new(42).hold(&report, 1_000_000);
    let draws = DrawResult { wanted: 1_000_000, seed: 42, outcome: &outcome };
    let groups = Groups::from([(Group::Cgroup(1), "/user.slice/a\x1b[2Jb".to_owned())]);
    insta::assert_snapshot!(render(2, &report, Some(draws), &order, &groups, Options { wide: true, top: 2 }));
}

#[test]
fn hostile_names() {
    let text = plain(window(hostile()), Options::default());
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    // Head, books, loss, titles, 14 rows, two lists with heading, titles and 5 rows each: no name made a
    // line.
    assert_eq!(text.lines().count(), 4 + 14 + 2 * 7);
    insta::assert_snapshot!(text);
}

#[test]
fn columns_stay_aligned_beside_wide_characters() {
    let text = plain(window(hostile()), Options { top: 0, ..Options::default() });
    let table: Vec<&str> = text.lines().skip(3).collect();
    assert!(table.iter().all(|line| line.width() == table[0].width()), "{text}");
}

#[test]
fn totals_say_what_they_are_worth() {
    let text = plain(judged(window(burners())), Options::default());
    let both = "run time (+2.500 ms at most) bounded: something is not known; switches exact";
    let blind = "entitlement unknown: weights and groups are not recorded";
    assert_eq!(text.lines().nth(3).unwrap(), format!("certainty: {both}; {blind}"));
    assert!(!plain(window(burners()), Options::default()).contains("certainty"));
}

#[test]
fn nobody_and_nothing() {
    let report = report(window(vec![]));
    let outcome = Lottery::new(1).hold(&report, 20);
    let draws = DrawResult { wanted: 20, seed: 1, outcome: &outcome };
    insta::assert_snapshot!(render(
        1,
        &report,
        Some(draws),
        &Order::default(),
        &Groups::new(),
        Options::default()
    ));
}

#[test]
fn few_draws_say_why_there_is_no_test() {
    let report = report(window(burners()));
    for (wanted, winners) in [(0, 0), (1, 1)] {
        let outcome = Lottery::new(1).hold(&report, wanted);
        let text = render(
            1,
            &report,
            Some(DrawResult { wanted, seed: 1, outcome: &outcome }),
            &Order::default(),
            &Groups::new(),
            Options { top: 0, ..Options::default() },
        );
        assert!(text.contains(&format!("draws: {wanted} among 3 candidates, seed 1\n")), "{text}");
        assert!(text.contains("χ² not computed"), "{text}");
        assert_eq!(text.contains("WINS"), winners > 0);
    }
}

#[test]
fn loss_is_shown_with_its_remedy() {
    let loss = Loss { untracked_ns: 3_400_000, map_full: 12, ..Loss::default() };
    let loss_total = Loss {
        map_busy: 1,
        map_other: 2,
        clock_backwards: 3,
        stale_records: 4,
        map_full: 13,
        unseen_switches: 5,
        unseen_ns: 6_700_000,
        ..loss
    };
    let unlisted_exits = ExitTotals { count: 3, runtime_ns: 7_000_000 };
    let mut tasks = burners();
    tasks[0].ended = true;
    let window = Window { loss, loss_total, unlisted_exits, ..window(tasks) };
    let text = plain(window, Options { top: 0, ..Options::default() });
    insta::assert_snapshot!(text.lines().take(3).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_residual_that_rounds_to_zero_has_no_sign() {
    assert_eq!([signed(0.0), signed(-0.0), signed(-0.0004)], ["0.000", "0.000", "0.000"]);
    assert_eq!([signed(-0.0006), signed(0.002), signed(-10.0)], ["-0.001", "+0.002", "-10.000"]);
}

#[test]
fn a_small_probability_keeps_its_magnitude() {
    assert_eq!(
        [1.0, 0.001, 0.000_999, 3.2e-12, 0.0].map(probability),
        ["1.000", "0.001", "1e-3", "3e-12", "0.000"]
    );
}
