use super::report::{Report, render};
use crate::groups::Groups;
use crate::moment::Moment;
use crate::series::Series;
use crate::sink::fixture::{burners, frame, hostile, task, window};
use serde_json::Value;
use tombola_core::policy::Policy;
use tombola_core::snapshot::Group;
use tombola_core::source::Origin;
use tombola_core::window::TaskWindow;
use tombola_recording::capabilities::Header;
use tombola_recording::event::{Event, Kind, Left, Task};
use tombola_recording::lanes::Lanes;
use tombola_recording::normaliser::Normaliser;

fn page(tasks: Vec<TaskWindow>, intervals: usize) -> String {
    named_page(tasks, intervals, ["/a", "/b"])
}

fn named_page(tasks: Vec<TaskWindow>, intervals: usize, groups: [&str; 2]) -> String {
    page_of(tasks, intervals, groups, None)
}

/// Lanes of 16 CPUs with hundreds of slices each, of tasks whose names mean harm.
fn lanes() -> Lanes {
    let mut normaliser = Normaliser::new(&Header { begin_ns: Some(0), ..Header::default() });
    let mut lanes = Lanes::new(0, u64::MAX, 480);
    let task = |pid| Task {
        pid,
        comm: if pid == 0 { "swapper" } else { "</script><b>&\x1b" }.into(),
        ..Task::default()
    };
    let mut seq = 0;
    for step in 0..800u64 {
        for cpu in 0..16u32 {
            let pid = |step: u64| u32::try_from(step % 7).unwrap() * 16 + cpu;
            let state = Left::Runnable { preempted: Some(true) };
            let kind = Kind::Switch { prev: Some(task(pid(step))), state, next: task(pid(step + 1)) };
            normaliser.event(&Event { ts_ns: 1_000_003 * (step + 1), cpu, seq, kind });
            seq += 1;
        }
        let facts: Vec<_> = normaliser.facts().collect();
        for fact in &facts {
            lanes.fact(fact, &normaliser);
        }
    }
    lanes
}

fn page_of(tasks: Vec<TaskWindow>, intervals: usize, groups: [&str; 2], lanes: Option<&Lanes>) -> String {
    let groups = [1, 2].map(Group::Cgroup).into_iter().zip(groups.map(str::to_owned));
    let frame = frame(groups.collect::<Groups>());
    let whole = Moment::new(window(tasks), &frame, 1, Origin::Loaded).unwrap();
    let mut series = Series::default();
    for _ in 0..intervals {
        series.push(&whole);
    }
    let measured = ["by <hand>".to_owned()];
    let report = Report { verdict: "a < b & c", whole: &whole, series: &series, lanes, measured: &measured };
    render(&report).unwrap()
}

fn data(page: &str) -> Value {
    let begin = page.find("id=\"data\">").unwrap() + 10;
    let end = begin + page[begin..].find("</script>").unwrap();
    serde_json::from_str(&page[begin..end]).unwrap()
}

#[test]
fn names_that_mean_harm_stay_text() {
    let mut tasks = hostile();
    tasks.push(task(98, b"<b>&amp;</b>", 0, Policy::Other, 1_000_000));
    tasks.push(task(97, b"</script>", 0, Policy::Other, 1_000_000));
    let groups = ["/evil/<img src=x onerror=alert(1)>", "/</script><script>alert(1)</script>"];
    let page = page_of(tasks, 3, groups, Some(&lanes()));
    assert_eq!(page.matches("<script").count(), 2, "the data and the script, and no other");
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<img") && !page.contains("<b>"));
    assert!(page.contains("&lt;b&gt;&amp;amp;&lt;/b&gt;"));
    assert!(page.chars().all(|c| c == '\n' || !c.is_control()));
    let names: Vec<String> = data(&page)["audit"]["intervals"][0]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["comm"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.contains(&"</script>".to_owned()), "{names:?}");
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = page(burners(), 3);
    assert!(page.contains("default-src 'none'"));
    for word in ["http:", "https:", "//", "url(", "@import", "src=", "fetch(", "innerHTML", "style=\"", " on"]
    {
        let without_script = &page[..page.find("<script").unwrap()];
        let found = without_script.match_indices(word).filter(|(at, _)| {
            // A word that begins with "on", and a comment are no handler and no address.
            word != " on"
                || without_script[at + 1..].starts_with("onerror=")
                || without_script[at + 1..].starts_with("onclick=")
        });
        assert_eq!(found.count(), 0, "{word}");
    }
}

#[test]
fn rows_of_the_page_are_those_of_the_ledger() {
    let page = page(burners(), 3);
    let body = &page[page.find("id=\"ledger\"").unwrap()..];
    let body = &body[body.find("<tbody>").unwrap()..body.find("</tbody>").unwrap()];
    assert_eq!(body.matches("<tr>").count(), 4);
    // 228.123 ms of CPU time, as the fixture says.
    assert!(body.contains("<td data-v=\"228123456\">228.12</td>"), "{body}");
    assert_eq!(data(&page)["audit"]["intervals"][0]["rows"].as_array().unwrap().len(), 4);
    assert_eq!(data(&page)["verdict"], "a < b & c");
    assert!(page.contains("a &lt; b &amp; c") && page.contains("by &lt;hand&gt;"));
}

#[test]
fn ten_thousand_tasks_and_hundreds_of_intervals_make_no_large_page() {
    let crowd = (1..=10_000).map(|pid| task(pid, b"123456789012345", 0, Policy::Other, 100_000)).collect();
    let page = page_of(crowd, 320, ["/a", "/b"], Some(&lanes()));
    assert!(page.len() <= 300_000, "{} bytes", page.len());
    let pieces = page.matches("</title></rect>").count();
    assert!((16..=480).contains(&pieces), "{pieces}");
    assert!(page.contains("9800 tasks that are owed less"));
}

#[test]
fn nobody_and_nothing_is_a_page_too() {
    assert!(page(Vec::new(), 0).contains("not divided into intervals"));
    assert!(page(Vec::new(), 2).contains("<h2>Ledger</h2>"));
}
