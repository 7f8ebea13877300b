//! Groups: their tree, weights and quotas.

use super::shape::RawGroup;
use super::{Reader, Result};
use crate::scenario::{Group, MAX_DEPTH, MAX_GROUP_QUEUES, MAX_TICKETS, Quota};
use std::collections::BTreeMap;

/// Weight of a group unless it says otherwise: that of a task of nice 0, as in the kernel, where cpu.weight =
/// 100 is that.
const NICE_0: u64 = 1024;

impl Reader<'_> {
    pub(super) fn groups(&self, raw: &[RawGroup]) -> Result<Vec<Group>> {
        let mut by_name = BTreeMap::new();
        for (index, entry) in raw.iter().enumerate() {
            by_name.entry(entry.name.get_ref().as_str()).or_insert(index);
        }
        let index_of = |name: &str| by_name.get(name).copied();
        let mut groups = Vec::with_capacity(raw.len());
        for (index, entry) in raw.iter().enumerate() {
            let name = entry.name.get_ref().clone();
            if name.is_empty() {
                return self.fail(&entry.name.span(), "a group needs a name");
            }
            if index_of(&name) != Some(index) {
                return self.fail(&entry.name.span(), format!("there are two groups '{name}'"));
            }
            let parent = match &entry.parent {
                None => None,
                Some(parent) => match index_of(parent.get_ref()) {
                    Some(parent) => Some(parent),
                    None => return self.fail(&parent.span(), format!("no group '{}'", parent.get_ref())),
                },
            };
            let weight =
                entry.weight.as_ref().map_or(Ok(NICE_0), |w| self.number(w, "weight", 1..=MAX_TICKETS))?;
            let quota = match (&entry.quota, &entry.period) {
                (None, None) => None,
                (Some(quota), period) => Some(Quota {
                    quota_ns: self.positive(quota, "quota")?,
                    period_ns: period.as_ref().map_or(Ok(100_000_000), |p| self.positive(p, "period"))?,
                }),
                (None, Some(period)) => return self.fail(&period.span(), "a group's period needs a quota"),
            };
            groups.push(Group { name, parent, weight, quota });
        }
        for (index, entry) in raw.iter().enumerate() {
            let above = |group: &usize| groups[*group].parent;
            let ancestors = || std::iter::successors(groups[index].parent, above);
            if ancestors().nth(MAX_DEPTH - 1).is_none() {
                continue;
            }
            // Who is still not at the top after as many steps as there are groups is in a circle, or below
            // one.
            let Some(other) = ancestors().nth(groups.len()) else {
                return self.fail(&entry.name.span(), format!("groups nest deeper than {MAX_DEPTH}"));
            };
            let inside =
                if ancestors().take(groups.len()).any(|group| group == index) { index } else { other };
            let message = format!("group '{}' is inside itself", groups[inside].name);
            return self.fail(&raw[inside].parent.as_ref().unwrap_or(&entry.name).span(), message);
        }
        Ok(groups)
    }

    /// That all groups together are no more than can be kept and summed.
    pub(super) fn check_groups(&self, raw: &[RawGroup], groups: &[Group], cpus: u32) -> Result<()> {
        let queues = groups.len() as u64 * u64::from(cpus);
        if let (true, Some(last)) = (queues > MAX_GROUP_QUEUES, raw.last()) {
            let count = groups.len();
            let message =
                format!("{count} groups on {cpus} CPUs; groups times CPUs may be {MAX_GROUP_QUEUES}");
            return self.fail(&last.name.span(), message);
        }
        let mut weights = 0;
        for (entry, group) in raw.iter().zip(groups) {
            weights += group.weight; // the sum so far and this are 2^53 at most
            if weights > MAX_TICKETS {
                let message =
                    format!("the weights of all groups up to '{}' sum to more than 2^53", group.name);
                return self.fail(&entry.name.span(), message);
            }
        }
        Ok(())
    }
}
