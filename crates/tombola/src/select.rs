//! Which tasks are shown.

use crate::cli::SelectArgs;
use crate::pace::notify;
use crate::text::harmless;
use crate::visibility;
use tombola_core::frame::Frame;
use tombola_core::group_path::short_name;
use tombola_core::source::Origin;
use tombola_core::window::TaskWindow;

impl SelectArgs {
    /// Whether nothing is hidden.
    pub fn is_all(&self) -> bool {
        self.pids.is_empty()
            && self.tids.is_empty()
            && self.comm.is_none()
            && self.cgroup.is_none()
            && self.user.is_none()
    }

    /// What is to be said where the group that is asked for is none of those in which tasks are known.
    pub fn unknown_group(&self, frame: &Frame) -> Option<String> {
        let wanted = self.cgroup.as_ref()?;
        (!frame.groups.values().any(|name| is_in(name, wanted))).then(|| {
            let wanted = harmless(wanted.as_bytes());
            format!(
                "no task is in a group '{wanted}': give a path as in /proc/PID/cgroup (of the cpu controller), or the short \
                 name that 'tombola audit --by group' shows"
            )
        })
    }

    /// Whether the filters hold for a task of this frame.
    pub fn holds(&self, task: &TaskWindow, frame: &Frame) -> bool {
        let totals = &task.totals;
        let is_one_of = |pids: &[u32], pid| {
            pids.is_empty() || frame.pid_here(pid).is_some_and(|here| pids.contains(&here))
        };
        is_one_of(&self.pids, totals.tgid)
            && is_one_of(&self.tids, totals.id.pid)
            && self.comm.as_ref().is_none_or(|comm| comm.is_match(&totals.comm))
            && self
                .cgroup
                .as_ref()
                .is_none_or(|wanted| frame.groups.get(&totals.group).is_some_and(|name| is_in(name, wanted)))
            && self.user.is_none_or(|uid| !task.ended && frame.owner(totals.tgid) == Some(uid))
    }

    /// Says that the filters held for nobody, as far as `what` goes, and why that may be.
    pub fn tell_nobody(&self, what: &str, origin: Origin) {
        let by_pid = !self.pids.is_empty() || !self.tids.is_empty() || self.user.is_some();
        let foreign = visibility::foreign_pids().filter(|_| by_pid).map(str::to_owned);
        let hidden = || self.user.and_then(|_| visibility::hidden_owners());
        let reason = if origin.is_live() { foreign.or_else(hidden) } else { None };
        let reason = reason.map_or_else(String::new, |reason| format!(". {reason}"));
        notify(&format!("{what} that the filters hold for{reason}"));
    }
}

/// Whether the group of this name is the wanted one, or below it.
fn is_in(name: &str, wanted: &str) -> bool {
    if name == wanted || short_name(name) == wanted {
        return true;
    }
    let wanted = wanted.strip_suffix('/').unwrap_or(wanted);
    name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/') || rest == " (deleted)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::Groups;
    use crate::sink::fixture::{burners, frame};
    use tombola_core::snapshot::Group;

    #[test]
    fn a_group_holds_what_is_below_it_and_not_what_is_beside_it() {
        for (name, wanted, expected) in [
            ("/a/b", "/a/b", true),
            ("/a/b/c", "/a/b", true),
            ("/a/b/c", "/a/b/", true),
            ("/a/bc", "/a/b", false),
            ("/a/b (deleted)", "/a/b", true),
            ("/a", "/", true),
            ("autogroup-7", "autogroup-7", true),
            ("autogroup-71", "autogroup-7", false),
            ("/system.slice/nginx.service", "nginx.service", true),
        ] {
            assert_eq!(is_in(name, wanted), expected, "{name} {wanted}");
        }
    }

    #[test]
    fn filters_are_all_to_hold() {
        let tasks = burners();
        let frame = frame(Groups::from([(Group::Cgroup(2), "/batch".to_owned())]));
        let pids = |select: &SelectArgs| -> Vec<u32> {
            tasks.iter().filter(|task| select.holds(task, &frame)).map(|task| task.totals.id.pid).collect()
        };
        let mut select = SelectArgs::default();
        assert!(select.is_all());
        assert_eq!(pids(&select), [101, 102, 103, 7]);
        select.pids = vec![101, 103, 7];
        select.comm = Some(regex::bytes::Regex::new("^burner").unwrap());
        assert_eq!(pids(&select), [101, 103]);
        select.tids = vec![103];
        assert_eq!(pids(&select), [103]);
        let select = SelectArgs { cgroup: Some("/batch".to_owned()), ..SelectArgs::default() };
        assert_eq!(pids(&select), [101]);
        assert!(!select.is_all());
        assert_eq!(select.unknown_group(&frame), None);
        let select = SelectArgs { cgroup: Some("/bat".to_owned()), ..SelectArgs::default() };
        assert!(select.unknown_group(&frame).unwrap().contains("'/bat'"));
    }
}
