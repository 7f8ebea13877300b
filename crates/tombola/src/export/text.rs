//! The sums as metrics.

use super::account::{Account, Called, GroupSum, MEASURED};
use anyhow::{Context, Result};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tombola_core::histogram::{BUCKETS, Histogram};
use tombola_core::metric::audit;

/// Both texts of one state.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// `OpenMetrics`.
    pub openmetrics: String,
    /// The text format that Prometheus had before, and `node_exporter` reads.
    pub plain: String,
}

/// Makes texts of an account.
pub struct Encoder {
    account: Arc<Mutex<Account>>,
    registry: Registry,
}

impl Encoder {
    /// Of this account.
    pub fn new(account: Arc<Mutex<Account>>) -> Self {
        let mut registry = Registry::with_prefix("tombola");
        registry.register_collector(Box::new(Metrics(Arc::clone(&account))));
        Self { account, registry }
    }

    /// The account, for adding to it.
    pub fn account(&self) -> &Mutex<Account> {
        &self.account
    }

    /// The texts of what it is now.
    ///
    /// # Errors
    /// None that is known: writing to a string.
    pub fn texts(&self) -> Result<Texts> {
        let mut texts = Texts::default();
        text::encode(&mut texts.openmetrics, &self.registry)
            .and_then(|()| prometheus_text::encode(&mut texts.plain, &self.registry))
            .context("cannot write the metrics")?;
        Ok(texts)
    }
}

struct Metrics(Arc<Mutex<Account>>);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

type Labels = Vec<(&'static str, String)>;

/// One metric with its series.
struct Family<'a> {
    name: &'static str,
    help: &'static str,
    unit: Option<&'a Unit>,
}

impl Family<'_> {
    fn counters(
        &self,
        out: &mut DescriptorEncoder,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut out = out.encode_descriptor(self.name, self.help, self.unit, MetricType::Counter)?;
        for (labels, value) in series {
            ConstCounter::new(value).encode(out.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauges(
        &self,
        out: &mut DescriptorEncoder,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut out = out.encode_descriptor(self.name, self.help, self.unit, MetricType::Gauge)?;
        for (labels, value) in series {
            ConstGauge::new(value).encode(out.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn labels(called: &Called) -> Labels {
    vec![
        ("cgroup", called.name.clone()),
        ("namespace", called.namespace.clone()),
        ("pod", called.pod.clone()),
        ("container", called.container.clone()),
    ]
}

impl Collector for Metrics {
    fn encode(&self, mut out: DescriptorEncoder) -> fmt::Result {
        let account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups(&account, &mut out)?;
        machine(&account, &mut out)
    }
}

fn groups(account: &Account, out: &mut DescriptorEncoder) -> fmt::Result {
    let unit = Some(&Unit::Seconds);
    let other = Called::other();
    let all: Vec<(&Called, &GroupSum)> =
        account.groups.named().chain([(&other, &account.groups.other)]).collect();
    let places: Vec<usize> = (0..MEASURED.len()).collect();
    for places in places.chunk_by(|a, b| MEASURED[*a].name == MEASURED[*b].name) {
        let Some(first) = places.first().map(|at| MEASURED[*at]) else { continue };
        let help = audit::find(first.whole).map_or("", |metric| metric.meaning).trim_end_matches('.');
        let series = all.iter().flat_map(|(called, sum)| {
            places.iter().map(|at| {
                let mut labels = labels(called);
                labels.extend(MEASURED[*at].cause.map(|cause| ("cause", cause.to_owned())));
                (labels, seconds(sum.measured[*at]))
            })
        });
        Family { name: first.name, help, unit }.counters(out, series)?;
    }
    let stood = all.iter().map(|(called, sum)| (labels(called), seconds(sum.throttled_ns)));
    let help = "Time that the group's run queues stood throttled, added up over CPUs";
    Family { name: "cgroup_throttled", help, unit }.counters(out, stood)?;
    let throttles = all.iter().map(|(called, sum)| (labels(called), sum.throttles as f64));
    Family { name: "cgroup_throttles", help: "Times that the group's run queues were throttled", unit: None }
        .counters(out, throttles)?;
    let named = || account.groups.named();
    let weights =
        named().filter(|(_, sum)| sum.weight > 0).map(|(called, sum)| (labels(called), sum.weight as f64));
    Family {
        name: "cgroup_weight",
        help: "Weight of the group among its siblings: 1024 is cpu.weight 100",
        unit: None,
    }
    .gauges(out, weights)?;
    let quotas = named().filter_map(|(called, sum)| {
        let quota = sum.quota.filter(|quota| quota.period_ns > 0)?;
        Some((labels(called), quota.quota_ns as f64 / quota.period_ns as f64))
    });
    Family { name: "cgroup_quota_cpus", help: "CPUs that the group's quota lets it use", unit: None }
        .gauges(out, quotas)?;
    let other_pair = ("other".to_owned(), "other".to_owned());
    let pairs = account.blocked.named().chain([(&other_pair, &account.blocked.other)]);
    let pairs = pairs.map(|((victim, culprit), ns)| {
        (vec![("victim", victim.clone()), ("culprit", culprit.clone())], seconds(*ns))
    });
    Family {
        name: "cgroup_blocked_by",
        help: "Time that tasks of the culprit ran on the CPU for which tasks of the victim waited",
        unit,
    }
    .counters(out, pairs)?;
    let dropped = [("cgroup", account.groups.dropped_total), ("pair", account.blocked.dropped_total)];
    Family {
        name: "series_dropped",
        help: "Groups and pairs, interval by interval, that were added to the others",
        unit: None,
    }
    .counters(out, dropped.map(|(kind, count)| (vec![("kind", kind.to_owned())], count as f64)))
}

fn machine(account: &Account, out: &mut DescriptorEncoder) -> fmt::Result {
    let unit = Some(&Unit::Seconds);
    let machine = &account.machine;
    let with = |label: &'static str, pairs: &[(&str, f64)]| -> Vec<(Labels, f64)> {
        pairs.iter().map(|(kind, value)| (vec![(label, (*kind).to_owned())], *value)).collect()
    };
    let modes = [
        ("tasks", seconds(machine.tasks_ns)),
        ("unlisted", seconds(machine.unlisted_ns)),
        ("idle", seconds(machine.idle_ns)),
    ];
    Family { name: "cpu", help: "Where the CPU time went, over all CPUs", unit }
        .counters(out, with("mode", &modes))?;
    let loss = &machine.loss;
    let losses = [
        ("map_full", loss.map_full as f64),
        ("map_busy", loss.map_busy as f64),
        ("map_other", loss.map_other as f64),
        ("clock_backwards", loss.clock_backwards as f64),
        ("stale_records", loss.stale_records as f64),
        ("groups_full", loss.groups_full as f64),
        ("groups_deep", loss.groups_deep as f64),
        ("unseen_switches", loss.unseen_switches as f64),
    ];
    Family { name: "loss_events", help: "What the monitor could not measure since it began", unit: None }
        .counters(out, with("kind", &losses))?;
    let gone = [("untracked", seconds(loss.untracked_ns)), ("unseen", seconds(loss.unseen_ns))];
    Family {
        name: "lost",
        help: "CPU time that is with no task, or perhaps with another than ran, since the monitor began",
        unit,
    }
    .counters(out, with("kind", &gone))?;
    let none: Labels = Vec::new();
    let one = |value: f64| [(none.clone(), value)];
    Family { name: "measuring_cpu", help: "CPU time of this exporter", unit }
        .counters(out, one(seconds(machine.measuring_ns)))?;
    Family { name: "intervals", help: "Intervals measured", unit: None }
        .counters(out, one(machine.intervals as f64))?;
    Family {
        name: "last_interval_timestamp",
        help: "End of the latest interval, since the Unix epoch",
        unit,
    }
    .gauges(out, one(machine.unix_us as f64 / 1e6))?;
    if machine.loss.light {
        return Ok(()); // waits of known length are none of the kernel's own counters
    }
    let counts = machine.waits.counts();
    let buckets: Vec<(f64, u64)> = (0..BUCKETS)
        .map(|at| (Histogram::edges_ns(at).1.map_or(f64::INFINITY, seconds), counts[at]))
        .collect();
    let mut waits =
        out.encode_descriptor("wait", "Ended waits for a CPU, by length", unit, MetricType::Histogram)?;
    waits.encode_histogram::<NoLabelSet>(seconds(machine.wait_ns), machine.waits.count(), &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture;
    use std::collections::BTreeMap;
    use tombola_core::audit::Audit;
    use tombola_core::policy::Policy;
    use tombola_core::snapshot::Group;
    use tombola_history::name::ByPath;

    /// Each figure in its own series: all of them are different, and taken from the lines of the ledger by
    /// hand.
    #[test]
    fn every_figure_of_a_group_is_in_its_own_series() {
        let mut one = fixture::task(1, b"a", 0, Policy::Other, 600_000_000);
        let mut two = fixture::task(2, b"b", 0, Policy::Other, 1_000_000_000);
        one.delta.yielded_ns = 30_000_000;
        (two.delta.wait_ns, one.delta.wait_ns) = (0, 700_000_000);
        let window = fixture::window(vec![one, two]);
        let audit = Audit::new(&window).unwrap();
        let line = audit.lines.iter().find(|line| line.task.totals.group == Group::Cgroup(1)).unwrap();
        let account = line.entry.as_ref().unwrap().account;
        let names =
            BTreeMap::from([(Group::Cgroup(1), "/a".to_owned()), (Group::Cgroup(2), "/b".to_owned())]);
        let sums = Arc::new(Mutex::new(Account::new(10)));
        sums.lock().unwrap().add(&window, &audit, &fixture::frame(names), &mut ByPath);
        let text = Encoder::new(sums).texts().unwrap().plain;
        let value = |series: &str, more: &str| -> f64 {
            let is_it = |line: &&str| {
                line.starts_with(&format!("tombola_cgroup_{series}_seconds_total{{cgroup=\"/a\""))
                    && line.contains(more)
            };
            let line = text.lines().find(is_it).unwrap_or_else(|| panic!("{series} {more}: {text}"));
            line.rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        let waiting = line.waiting;
        let expected = [
            ("entitled", "", account.entitled_ns),
            ("received", "", account.received_ns),
            ("run", "", 600_000_000),
            ("wait", "cause=\"contention\"", waiting.contention_ns),
            ("wait", "cause=\"throttled\"", waiting.throttled_ns),
            ("wait", "cause=\"yielded\"", 30_000_000),
            ("wait", "cause=\"other\"", waiting.other_ns),
        ];
        for (series, more, ns) in expected {
            assert!((value(series, more) - seconds(ns)).abs() < 1e-9, "{series} {more}: {ns}, {text}");
        }
        let all: BTreeMap<u64, &str> = expected.iter().map(|(series, _, ns)| (*ns, *series)).collect();
        assert!(all.len() >= 5, "figures that are alike tell nothing apart: {expected:?}");
    }
}
