//! Findings in words: one sentence each, with its numbers.

use super::print::seconds;
use crate::audit_view::AuditView;
use std::borrow::Cow;
use tombola_core::audit::{About, Finding};
use tombola_core::reservation::Reservation;
use tombola_core::tickets::Nice;

/// What a finding is called in files.
pub(super) fn kind(about: &About) -> &'static str {
    match about {
        About::NiceActsOnNobody { .. } => "nice_acts_on_nobody",
        About::GroupWeight { .. } => "group_weight",
        About::Quota { .. } => "quota",
        About::Affinity { .. } => "affinity",
        About::RealTime { .. } => "real_time",
        About::NotFair { .. } => "not_fair",
        About::Budget { .. } => "budget",
    }
}

/// The sentence, without a full stop. "% of a CPU" is of one CPU for the length of the interval.
pub(crate) fn sentence(view: &AuditView<'_>, finding: &Finding) -> String {
    let foremost = view.task(finding.foremost);
    let count = finding.tasks.len();
    let percent = |ns: u64| percent_of(ns, view.audit.length_ns);
    match &finding.about {
        About::NiceActsOnNobody { group, nice, competing, group_weight, entitled_ns, by_nice_ns } => {
            let what: Cow<'_, str> = if *nice == Nice::default() {
                "the weight of the policy".into()
            } else {
                format!("nice {nice}").into()
            };
            let outside = match competing {
                None => "nobody else competes".to_owned(),
                Some(other) if other == group => format!("outside the group's weight {group_weight} counts"),
                Some(other) => format!("outside the weight {group_weight} of {} counts", view.group(*other)),
            };
            let group = view.group(*group);
            let who = if count == 1 {
                format!("{what} of {foremost} acts on nobody: it is alone in {group}")
            } else {
                format!(
                    "{what} of {count} tasks like {foremost} acts on nobody: all that compete in {group} have it"
                )
            };
            format!(
                "{who}, and {outside}; entitled to {} of a CPU, by nice values alone {}",
                percent(*entitled_ns),
                percent(*by_nice_ns)
            )
        }
        About::GroupWeight { group, group_weight, task_weights, entitled_ns, by_nice_ns } => format!(
            "the weight {group_weight} of {} decides, not the weights of its {} ({task_weights} together): entitled to {} \
             of a CPU, by nice values alone {}",
            view.group(*group),
            tasks(count),
            percent(*entitled_ns),
            percent(*by_nice_ns)
        ),
        About::Quota { group, quota_ns, asked_ns, received_ns, throttles, throttled_ns } => {
            let (group, quota, tasks) = (view.group(*group), percent(*quota_ns), tasks(count));
            let asked = percent(*asked_ns);
            let throttled =
                format!("throttled {throttles} times, {} s over all CPUs", seconds(*throttled_ns));
            match (*throttles, asked_ns > quota_ns) {
                (0, _) if received_ns > quota_ns => format!(
                    "the quota of {group} is not enforced: {quota} of a CPU, and its {tasks} had {}; nothing was throttled",
                    percent(*received_ns)
                ),
                (0, _) => format!(
                    "the quota of {group} allows {quota} of a CPU, and its {tasks} asked for {asked}: it was not used up, for \
                     others kept them to {}",
                    percent(*received_ns)
                ),
                (_, true) => {
                    format!(
                        "the quota of {group} binds: {quota} of a CPU, and its {tasks} asked for {asked}; {throttled}"
                    )
                }
                (_, false) => format!(
                    "the quota of {group} binds in bursts: its {tasks} asked for {asked} of a CPU, less than the {quota} it \
                     gives on average, but more than it gives in a period; {throttled}"
                ),
            }
        }
        About::Affinity { cpus, wait_ns, idle_ns } => format!(
            "{} only CPU {cpus}, and waited {} s while other CPUs idled {} s",
            match count {
                1 => format!("{foremost} may use"),
                _ => format!("{count} tasks, {foremost} the foremost, may use"),
            },
            seconds(*wait_ns),
            seconds(*idle_ns)
        ),
        About::RealTime { cpu, unfair_ns, wall_ns } => format!(
            "real-time tasks took {} of CPU {cpu} before any weight counted, of those last seen there {foremost} the most",
            percent_of(*unfair_ns, *wall_ns)
        ),
        About::NotFair { runtime_ns } => format!(
            "{} like {foremost} are run by a sched_ext scheduler, {} of a CPU: whether it heeds weights is its own affair",
            tasks(count),
            percent(*runtime_ns)
        ),
        About::Budget { runtime_ns, throttled_ns, reservation } => format!(
            "{foremost} used up its budget (SCHED_DEADLINE{}): it had {} of a CPU, and waited {} s for its next periods, behind nobody",
            reservation.map(promise).unwrap_or_default(),
            percent(*runtime_ns),
            seconds(*throttled_ns)
        ),
    }
}

/// What a reservation promises, by the names that `sched_setattr(2)` and `chrt(1)` have for its parameters.
fn promise(of: Reservation) -> String {
    let ms = |ns: u64| format!("{} ms", ns as f64 / 1e6);
    format!(
        ", runtime {} of each period of {}, by a deadline of {}",
        ms(of.runtime_ns),
        ms(of.period_ns),
        ms(of.deadline_ns)
    )
}

fn tasks(count: usize) -> String {
    if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") }
}

fn percent_of(ns: u64, of_ns: u64) -> String {
    if of_ns == 0 { "0 %".to_owned() } else { format!("{:.1} %", ns as f64 / of_ns as f64 * 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_named_by_its_parameters() {
        let of = Reservation { runtime_ns: 1_500_000, deadline_ns: 20_000_000, period_ns: 100_000_000 };
        assert_eq!(promise(of), ", runtime 1.5 ms of each period of 100 ms, by a deadline of 20 ms");
    }
}
