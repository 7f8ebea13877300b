use super::app::{App, Key, Mode, Set, View};
use super::columns::Column;
use super::keys::Action;
use super::run::draw;
use super::screen::Screen;
use super::timeline::Timeline;
use crate::groups::Groups;
use crate::moment::Moment;
use crate::sink::fixture::{burners, hostile, judged, window};
use crate::source::Recorded;
use crate::why::{Blame, ITS_OWN};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tombola_core::audit::{Audit, Row, Who};
use tombola_core::frame::Machine;
use tombola_core::identity::TaskId;
use tombola_core::interference::{GroupPair, Imposed, Interference, Pair, Standing};
use tombola_core::snapshot::{Group, GroupTotals, Quota, Running};
use tombola_core::source::{Origin, Source};
use tombola_core::window::{GroupWindow, TaskWindow};

fn id(pid: u32) -> TaskId {
    TaskId { pid, start_ns: 1_000_000 + u64::from(pid) }
}

/// A moment of two CPUs: `tasks`, two groups of which one has a quota, and who stood in whose way.
fn moment(number: u64, tasks: Vec<TaskWindow>) -> Moment {
    let mut window = window(tasks);
    let group = |id, parent, quota| GroupWindow {
        totals: GroupTotals { id, parent, weight: 1024, quota, throttled_ns: 40_000_000, throttles: 4 },
        throttled_ns: if quota.is_some() { 40_000_000 } else { 0 },
        throttles: 4,
    };
    let quota = Quota { quota_ns: 20_000_000, period_ns: 100_000_000 };
    window.groups = vec![
        group(Group::Cgroup(1), None, None),
        group(Group::Cgroup(2), Some(Group::Cgroup(1)), Some(quota)),
    ];
    let held = |victim, culprit, held_ns| {
        (Pair { victim: id(victim), culprit: id(culprit) }, Standing { preemptions: 3, held_ns })
    };
    window.interference = Some(Interference {
        pairs: [held(103, 101, 21_000_000), held(103, 102, 3_000_000), held(101, 7, 90_000_000)].into(),
        unseen_ns: 1_500_000,
        ..Interference::default()
    });
    let audit = Audit::new(&window).unwrap();
    Moment {
        number,
        taken_ns: window.to_ns,
        origin: Origin::Loaded,
        audit,
        cpus: window.cpus,
        running: BTreeMap::from([(0, Running { id: id(101), since_ns: window.to_ns - 2_500_000 })]),
        groups: Groups::from([
            (Group::Cgroup(1), "/".to_owned()),
            (Group::Cgroup(2), "/system.slice/batch\x1b[2J.service".to_owned()),
        ]),
        owners: Some(BTreeMap::from([(101, 0), (102, 1000)])),
        users: BTreeMap::from([(0, "root".to_owned()), (1000, "ada".to_owned())]),
        machine: Machine { host: "host".into(), release: "6.12".into(), ..Machine::default() },
        lottery: Some(crate::sink::fixture::scheduled()),
    }
}

fn timeline() -> Timeline {
    let mut timeline = Timeline::default();
    for number in 1..=3 {
        let mut tasks = burners();
        tasks[0].delta.runtime_ns -= number * 100_000_000;
        tasks[0].delta.wait_ns += number * 100_000_000;
        timeline.push(moment(number, tasks));
    }
    timeline
}

fn picture(app: &App, timeline: &Timeline, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let screen = Screen::of(app, timeline, false);
    terminal.draw(|frame| _ = draw(frame.buffer_mut(), &screen)).unwrap();
    terminal
}

fn app(view: View) -> App {
    App { view, ..App::new(Set::default()) }
}

fn press(app: &mut App, timeline: &Timeline, codes: &[KeyCode]) -> Action {
    let mut action = Action::None;
    for code in codes {
        let screen = Screen::of(app, timeline, false);
        action = app.press(KeyEvent::new(*code, KeyModifiers::NONE), &screen);
    }
    action
}

fn rows(screen: &Screen) -> Vec<Row> {
    let audit = &screen.moment.as_ref().unwrap().audit;
    (0..screen.entries.len()).map(|at| screen.entries.row(audit, at).into_owned()).collect()
}

fn selected(app: &App, timeline: &Timeline) -> Option<Key> {
    let screen = Screen::of(app, timeline, false);
    screen.key(screen.position)
}

#[test]
fn every_view_at_every_size() {
    let timeline = timeline();
    for view in View::ALL {
        for (width, height) in [(80, 24), (120, 40), (1, 1)] {
            let name = format!("{view:?}_{width}x{height}");
            insta::assert_snapshot!(name, picture(&app(view), &timeline, width, height).backend());
        }
    }
    let detail = App { detail: true, ..app(View::Tasks) };
    insta::assert_snapshot!("Detail_80x24", picture(&detail, &timeline, 80, 24).backend());
    insta::assert_snapshot!("Detail_120x40", picture(&detail, &timeline, 120, 40).backend());
    for (name, mode) in [("Help", Mode::Help), ("Sort", Mode::Sort(2)), ("Columns", Mode::Columns(6))] {
        let app = App { mode, ..app(View::Tasks) };
        insta::assert_snapshot!(format!("{name}_80x24"), picture(&app, &timeline, 80, 24).backend());
    }
}

/// The demonstration, from 0.5 s on, for a second.
#[test]
fn culprits_of_a_recording() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recording/demo/mixture.pftrace");
    let second = |ms| Some(Duration::from_millis(ms));
    let mut recorded = Recorded::open(&demo, (second(500), second(1500)), true).unwrap();
    let first = recorded.next(Some(Duration::ZERO)).unwrap().unwrap();
    let last = recorded.next(None).unwrap().unwrap();
    let mut timeline = Timeline::default();
    timeline.push(Moment::new(last.since(Some(&first)), &last, 1, Origin::Recorded).unwrap());
    let picture = picture(&app(View::Culprits), &timeline, 120, 40);
    insta::assert_snapshot!("Culprits_of_a_recording_120x40", picture.backend());
}

#[test]
fn a_log_tells_culprits_by_groups() {
    let mut moment = moment(1, burners());
    let (root, batch) = (Group::Cgroup(1), Group::Cgroup(2));
    let pair = |victim, culprit, imposed_wait_ns| {
        (GroupPair { victim, culprit }, Imposed { preemptions: 3, imposed_wait_ns })
    };
    moment.audit.interference = Some(Interference {
        groups: [pair(root, batch, 21_000_000), pair(root, root, 3_000_000), pair(batch, root, 90_000_000)]
            .into(),
        ..Interference::default()
    });
    let named = Blame::of(&moment, &Who::Group(root)).named;
    assert_eq!(named, [("batch\\x1b[2J.service".to_owned(), 21_000_000), (ITS_OWN.to_owned(), 3_000_000)]);
    // Of a task nothing is known.
    assert_eq!(Blame::of(&moment, &Who::Task(id(101))), Blame::default());
    let mut timeline = Timeline::default();
    timeline.push(moment);
    insta::assert_snapshot!(picture(&app(View::Culprits), &timeline, 80, 24).backend());
}

#[test]
fn no_size_is_too_small_or_too_large() {
    let timeline = timeline();
    let nothing = Timeline::default();
    let mut empty = Timeline::default();
    empty.push(moment(1, Vec::new()));
    let sizes =
        (1..40).flat_map(|width| [(width, 41 - width), (width, 3)]).chain([(300, 80), (300, 1), (1, 80)]);
    for (width, height) in sizes {
        for view in View::ALL {
            for mode in [Mode::Normal, Mode::Help, Mode::Sort(1), Mode::Columns(30), Mode::Filter] {
                let app = App { mode, detail: width % 2 == 0, ..app(view) };
                for timeline in [&timeline, &nothing, &empty] {
                    picture(&app, timeline, width, height);
                }
            }
        }
    }
}

#[test]
fn names_that_mean_harm_are_spelled_out() {
    let mut timeline = Timeline::default();
    timeline.push(moment(1, hostile()));
    for view in View::ALL {
        for detail in [false, true] {
            let terminal = picture(&App { detail, ..app(view) }, &timeline, 120, 40);
            for cell in terminal.backend().buffer().content() {
                assert!(!cell.symbol().chars().any(char::is_control), "{view:?}: {:?}", cell.symbol());
            }
        }
    }
    let text = picture(&app(View::Tasks), &timeline, 120, 40).backend().to_string();
    assert!(text.contains("new\\x0aline") && text.contains("\\x1b[31mred"), "{text}");
}

#[test]
fn the_selection_stays_with_its_row_when_the_order_changes() {
    let mut timeline = timeline();
    let mut app = app(View::Tasks);
    press(&mut app, &timeline, &[KeyCode::Down]);
    let chosen = selected(&app, &timeline);
    assert!(matches!(chosen, Some(Key::Who(Who::Task(_)))));
    // The other way round it stands elsewhere and is still selected.
    press(&mut app, &timeline, &[KeyCode::Char('I')]);
    assert_eq!(selected(&app, &timeline), chosen);
    assert_ne!(Screen::of(&app, &timeline, false).position, 1);
    // In a moment with more tasks before it too.
    let mut tasks = burners();
    tasks.extend(hostile());
    timeline.push(moment(4, tasks));
    assert_eq!(selected(&app, &timeline), chosen);
    // And when it is gone, what stands there then.
    timeline.push(moment(5, vec![burners().remove(0)]));
    assert!(selected(&app, &timeline).is_some());
}

#[test]
fn a_pause_shows_the_same_while_measuring_goes_on() {
    let mut timeline = timeline();
    let mut app = app(View::Tasks);
    press(&mut app, &timeline, &[KeyCode::Char(' ')]);
    timeline.push(moment(4, burners()));
    let screen = Screen::of(&app, &timeline, false);
    assert_eq!(screen.moment.unwrap().number, 3);
    press(&mut app, &timeline, &[KeyCode::Left, KeyCode::Left, KeyCode::Left, KeyCode::Left]);
    assert_eq!(app.at, Some(1));
    press(&mut app, &timeline, &[KeyCode::Right]);
    assert_eq!(app.at, Some(2));
    press(&mut app, &timeline, &[KeyCode::Char(' ')]);
    assert_eq!(Screen::of(&app, &timeline, false).moment.unwrap().number, 4);
}

#[test]
fn a_filter_keeps_what_it_holds_for_and_escape_takes_it_away() {
    let timeline = timeline();
    let mut app = app(View::Tasks);
    let codes: Vec<KeyCode> = "fRT-AU".chars().map(KeyCode::Char).chain([KeyCode::Enter]).collect();
    press(&mut app, &timeline, &codes);
    let screen = Screen::of(&app, &timeline, false);
    assert_eq!(screen.entries.len(), 1);
    assert_eq!(rows(&screen)[0].comm, b"rt-audio");
    // q is a letter while a filter is written, and ends the program otherwise.
    assert_eq!(press(&mut app, &timeline, &[KeyCode::Char('f'), KeyCode::Char('q')]), Action::None);
    assert_eq!(app.filter, "RT-AUq");
    press(&mut app, &timeline, &[KeyCode::Esc]);
    assert!(app.filter.is_empty());
    assert_eq!(press(&mut app, &timeline, &[KeyCode::Char('q')]), Action::Quit);
}

#[test]
fn what_is_searched_for_is_selected() {
    let timeline = timeline();
    let mut app = app(View::Tasks);
    let codes: Vec<KeyCode> = "/burner-1".chars().map(KeyCode::Char).chain([KeyCode::Enter]).collect();
    press(&mut app, &timeline, &codes);
    assert_eq!(selected(&app, &timeline), Some(Key::Who(Who::Task(id(103)))));
}

#[test]
fn sorting_columns_and_views_follow_the_keys() {
    let timeline = timeline();
    let mut app = app(View::Tasks);
    press(&mut app, &timeline, &[KeyCode::Char('<')]);
    assert!(matches!(app.mode, Mode::Sort(_)));
    press(&mut app, &timeline, &[KeyCode::Up, KeyCode::Up, KeyCode::Up, KeyCode::Enter]);
    assert_eq!(app.sort, Column::CPU);
    let screen = Screen::of(&app, &timeline, false);
    let ran: Vec<u64> = rows(&screen).iter().map(|row| row.usage.runtime_ns).collect();
    assert!(ran.is_sorted_by(|a, b| a >= b), "{ran:?}");
    press(&mut app, &timeline, &[KeyCode::Char('C'), KeyCode::Char(' '), KeyCode::Esc]);
    assert!(!app.set.columns.contains(&Column::of("pid")));
    // What is chosen after it stands before the names, and the rest stays as it was.
    let down =
        [KeyCode::Char('C')].into_iter().chain([KeyCode::Down; 5]).chain([KeyCode::Char(' '), KeyCode::Esc]);
    press(&mut app, &timeline, &down.collect::<Vec<_>>());
    let shown: Vec<&str> = app.set.columns.iter().map(|column| column.title()).collect();
    assert_eq!(shown[shown.len() - 4..], ["GOT/FAIR", "TGID", "GROUP", "COMM"]);
    press(&mut app, &timeline, &[KeyCode::Char('H')]);
    assert_eq!(app.view, View::Processes);
    press(&mut app, &timeline, &[KeyCode::Char('t')]);
    assert!(app.view == View::Groups && app.tree);
    press(&mut app, &timeline, &[KeyCode::Tab]);
    assert_eq!(app.view, View::Cpus);
    assert_eq!(press(&mut app, &timeline, &[KeyCode::Char('+')]), Action::Interval);
    assert_eq!(app.set.interval.as_millis(), 2000);
}

/// Points at a place of the picture of 120 by 40.
fn point(app: &mut App, timeline: &Timeline, kind: MouseEventKind, (column, row): (usize, usize)) {
    let screen = Screen::of(app, timeline, false);
    let targets = draw(&mut Buffer::empty(Rect::new(0, 0, 120, 40)), &screen);
    let [column, row] = [column, row].map(|cells| u16::try_from(cells).unwrap());
    app.point(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }, &targets, &screen);
}

/// Clicks at where a text is first seen below the head, `beside` columns to the right of its begin.
fn click(app: &mut App, timeline: &Timeline, text: &str, beside: usize) {
    let terminal = picture(app, timeline, 120, 40);
    let cells = terminal.backend().buffer();
    let lines = (0..40).map(|y| (0..120).map(|x| cells[(x, y)].symbol()).collect::<String>());
    let found =
        lines.enumerate().skip(3).find_map(|(y, line)| Some((line[..line.find(text)?].chars().count(), y)));
    let (x, y) = found.unwrap_or_else(|| panic!("no {text}: {}", terminal.backend()));
    point(app, timeline, MouseEventKind::Down(MouseButton::Left), (x + beside, y));
}

#[test]
fn a_click_is_on_what_is_seen_there() {
    let timeline = timeline();
    for view in [View::Tasks, View::Overview] {
        let mut app = app(view);
        for (name, pid) in [("burner-10", 103), ("burner-5", 102), ("rt-audio", 7)] {
            let name = if view == View::Tasks { name.to_owned() } else { format!("{pid} {name}") };
            click(&mut app, &timeline, &name, 3);
            let is_it = |key| matches!(key, Some(Key::Who(Who::Task(id))) if id.pid == pid);
            assert!(is_it(selected(&app, &timeline)) && !app.detail, "{view:?}: {name}");
        }
        let last = if view == View::Tasks { "rt-audio" } else { "7 rt-audio" };
        click(&mut app, &timeline, last, 3);
        assert!(app.detail, "the second click on a row opens it");
        // Where nothing is, nothing happens.
        let before = format!("{app:?}");
        point(&mut app, &timeline, MouseEventKind::Down(MouseButton::Left), (119, 0));
        assert_eq!(format!("{app:?}"), before);
        click(&mut app, &timeline, "4 Groups", 0);
        assert!(app.view == View::Groups && !app.detail);
    }
    let mut app = app(View::Tasks);
    for (title, column) in [("CPU%", Column::CPU), ("WAIT%", Column::WAIT), ("COMM", Column::of("comm"))] {
        click(&mut app, &timeline, title, 1);
        assert_eq!((app.sort, app.inverted), (column, false));
    }
    click(&mut app, &timeline, "COMM", 0);
    assert!(app.inverted, "a title that is sorted by turns the order round");
}

#[test]
fn a_list_that_is_open_is_pointed_at_and_not_what_it_hides() {
    let timeline = timeline();
    let mut app = App { mode: Mode::Sort(0), ..app(View::Tasks) };
    click(&mut app, &timeline, "LAG_MS", 2);
    assert_eq!((app.sort, app.mode.clone()), (Column::of("lag_ns"), Mode::Normal));
    app.mode = Mode::Columns(0);
    click(&mut app, &timeline, "[x] NICE", 0);
    assert!(
        !app.set.columns.contains(&Column::of("nice")) && matches!(app.mode, Mode::Columns(at) if at > 0)
    );
    // Below a short list lie rows of the view, which are not seen.
    let mut crowd = Timeline::default();
    crowd.push(moment(1, (1..=60).map(crowd_task).collect()));
    app.mode = Mode::Sort(0);
    let before = format!("{app:?}");
    point(&mut app, &crowd, MouseEventKind::Down(MouseButton::Left), (5, 30));
    assert_eq!(format!("{app:?}"), before);
    app.mode = Mode::Help;
    point(&mut app, &timeline, MouseEventKind::Down(MouseButton::Left), (5, 6));
    assert_eq!((&app.mode, app.key()), (&Mode::Normal, None));
}

#[test]
fn the_wheel_goes_through_rows_and_lists_and_not_beyond() {
    let timeline = timeline();
    let mut app = app(View::Tasks);
    let count = Screen::of(&app, &timeline, false).count();
    for _ in 0..count {
        point(&mut app, &timeline, MouseEventKind::ScrollDown, (5, 9));
    }
    assert_eq!(Screen::of(&app, &timeline, false).position, count - 1);
    point(&mut app, &timeline, MouseEventKind::ScrollUp, (5, 9));
    assert_eq!(Screen::of(&app, &timeline, false).position, (count - 1).saturating_sub(3));
    app.mode = Mode::Sort(0);
    point(&mut app, &timeline, MouseEventKind::ScrollDown, (5, 9));
    assert_eq!(app.mode, Mode::Sort(1));
    assert_eq!(press(&mut app, &timeline, &[KeyCode::Esc, KeyCode::Char('M')]), Action::Mouse);
    assert!(!app.set.mouse);
}

#[test]
fn the_head_says_what_the_figures_of_a_recording_are_worth() {
    let mut past = moment(1, burners());
    past.audit.worths = judged(window(Vec::new())).worths;
    let mut timeline = Timeline::default();
    timeline.push(past);
    let text = picture(&app(View::Tasks), &timeline, 160, 24).backend().to_string();
    let head = text.lines().find(|line| line.contains("loss: ")).unwrap();
    assert!(head.contains("loss: none; run time, wait bounded; entitlement unknown"), "{text}");
}

#[test]
fn with_every_column_chosen_the_name_is_still_seen_and_nothing_is_wider_than_the_screen() {
    let timeline = timeline();
    let set = Set { columns: Column::all(), ..Set::default() };
    for width in [40, 80, 120, 200, 300] {
        for view in [View::Tasks, View::Groups] {
            let app = App { view, ..App::new(set.clone()) };
            let text = picture(&app, &timeline, width, 24).backend().to_string();
            let name = if view == View::Groups { "batch\\x1b" } else { "burner-5" };
            assert!(text.contains(name), "{width}: {text}");
        }
    }
}

#[test]
fn a_tree_of_groups_adds_up_what_is_below() {
    let timeline = timeline();
    let screen = Screen::of(&app(View::Groups), &timeline, false);
    let row = |group| rows(&screen).into_iter().find(|row| row.who == Who::Group(group)).unwrap();
    let moment = screen.moment.as_ref().unwrap();
    let below: u64 = moment
        .audit
        .lines
        .iter()
        .filter(|line| matches!(line.task.totals.group, Group::Cgroup(1 | 2)))
        .map(|line| line.task.delta.runtime_ns)
        .sum();
    assert_eq!(row(Group::Cgroup(1)).usage.runtime_ns, below);
    assert!(row(Group::Cgroup(2)).usage.runtime_ns < below);
}

#[test]
fn memory_is_bounded_by_moments_and_by_lines() {
    let mut timeline = Timeline::default();
    for number in 1..=4000 {
        timeline.push(moment(number, burners()));
    }
    assert_eq!((timeline.len(), timeline.first_number()), (3600, Some(401)));
    let crowd = |number| moment(number, (1..=50_000).map(crowd_task).collect());
    let mut timeline = Timeline::default();
    for number in 1..=4 {
        timeline.push(crowd(number));
    }
    assert_eq!(timeline.len(), 2);
}

fn crowd_task(pid: u32) -> TaskWindow {
    let mut task = crate::sink::fixture::task(pid, b"crowd", 0, tombola_core::policy::Policy::Other, 1000);
    task.totals.group = Group::Cgroup(1);
    task
}

/// Prints what a refresh costs with 10,000 tasks that all ran: from two snapshots to a picture of 120 by 40.
/// Meant for an optimised build: `cargo test --release -p tombola --bin tombola tui::tests::cost -- --ignored
/// --nocapture`.
#[test]
#[ignore = "measures: prints figures, of which a debug build has no use"]
fn cost_of_a_refresh_with_ten_thousand_tasks() {
    const ROUNDS: u32 = 20;
    let now = || nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    let crowd: Vec<TaskWindow> = (1..=10_000)
        .map(|pid| {
            let mut task = crowd_task(pid);
            task.delta.wait_ns = u64::from(pid) * 1000;
            task
        })
        .collect();
    let mut timeline = Timeline::default();
    for view in [View::Overview, View::Tasks, View::Processes, View::Groups] {
        let app = app(view);
        let begin = now();
        let mut audited = std::time::Duration::ZERO;
        for number in 0..ROUNDS {
            let at = now();
            timeline.push(moment(number.into(), crowd.clone()));
            audited += std::time::Duration::from(now() - at);
            picture(&app, &timeline, 120, 40);
        }
        let all = std::time::Duration::from(now() - begin);
        println!("{view:?}: {:?} a refresh, {:?} of it the ledger", all / ROUNDS, audited / ROUNDS);
    }
}
