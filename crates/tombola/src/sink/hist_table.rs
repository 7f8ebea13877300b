//! Wait histograms with bars, in the shape that tracing tools have made familiar.

use super::ms3;
use super::print::line;
use crate::groups::{Groups, group_text};
use crate::text::{count, harmless};
use std::fmt::Write;
use tombola_core::audit::Who;
use tombola_core::group_path::short_name;
use tombola_core::histogram::{BUCKETS, Histogram};
use tombola_core::usage::Usage;

/// Length of the longest bar.
const BAR: u64 = 40;

/// One histogram and whom it is about; `None`: everybody who is shown.
pub(crate) struct Waits {
    /// Whom.
    pub(crate) who: Option<Who>,
    /// A name: of a task its comm, of a process its leader's or that of the longest waiter; raw bytes.
    pub(crate) comm: Vec<u8>,
    /// What they got.
    pub(crate) usage: Usage,
}

/// One histogram as text that ends with a line break.
pub(crate) fn render(waits: &Waits, groups: &Groups) -> String {
    let mut out = String::new();
    let comm = harmless(&waits.comm);
    let who = match &waits.who {
        None => "all tasks".to_owned(),
        Some(Who::Task(id)) => format!("task {} {comm}", id.pid),
        Some(Who::Process(pid)) => format!("process {pid} {comm}"),
        Some(Who::Group(group)) => {
            format!("group {}", harmless(short_name(&group_text(groups, *group)).as_bytes()))
        }
        Some(Who::Comm(comm)) => format!("comm {}", harmless(comm)),
    };
    let usage = &waits.usage;
    let quantile = |q| {
        usage.waits.quantile_ns(q, usage.wait_max_ns).map_or_else(|| "-".to_owned(), |ns| ms3(ns) + " ms")
    };
    line(
        &mut out,
        format_args!(
            "{who}: {}, p50 {}, p99 {}, longest {} ms, together {} ms",
            count(usage.waits.count(), "wait"),
            quantile(0.5),
            quantile(0.99),
            ms3(usage.wait_max_ns),
            ms3(usage.wait_ns)
        ),
    );
    write_bars(&mut out, &usage.waits);
    out
}

/// From the first bucket to the last one that holds something.
fn write_bars(out: &mut String, histogram: &Histogram) {
    let counts = histogram.counts();
    let Some(last) = counts.iter().rposition(|count| *count > 0) else { return };
    let most = counts.iter().copied().max().unwrap_or(1);
    line(out, format_args!("{:>10} {:<13} : {:<10} distribution", "", "usecs", "count"));
    for (bucket, &count) in counts.iter().enumerate().take(last + 1) {
        let (low_ns, high_ns) = Histogram::edges_ns(bucket);
        let low = low_ns / 1000;
        let high = high_ns.map_or_else(String::new, |high| (high / 1000 - 1).to_string());
        let bar = u128::from(count) * u128::from(BAR) / u128::from(most);
        let bar: String = std::iter::repeat_n('*', usize::try_from(bar).unwrap_or(0)).collect();
        debug_assert!(bucket < BUCKETS);
        writeln!(out, "{low:>10} -> {high:<10} : {count:<10} |{bar:<40}|")
            .expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tombola_core::identity::TaskId;

    fn waits(who: Option<Who>, durations_us: &[u64]) -> Waits {
        let mut usage = Usage::default();
        for us in durations_us {
            usage.waits.record(us * 1000);
            usage.wait_ns += us * 1000;
            usage.wait_max_ns = usage.wait_max_ns.max(us * 1000);
        }
        Waits { who, comm: b"a\x1bb".to_vec(), usage }
    }

    #[test]
    fn bars_are_to_scale() {
        let who = Some(Who::Task(TaskId { pid: 7, start_ns: 1 }));
        let durations = [0, 1, 2, 3, 3, 3, 5_000_000];
        insta::assert_snapshot!(render(&waits(who, &durations), &Groups::new()));
    }

    #[test]
    fn nobody_waited() {
        let text = render(&waits(None, &[]), &Groups::new());
        assert_eq!(text, "all tasks: 0 waits, p50 -, p99 -, longest 0.000 ms, together 0.000 ms\n");
    }
}
