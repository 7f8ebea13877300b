//! Names of scheduling groups.

use std::borrow::Cow;
use std::collections::BTreeMap;
use tombola_core::snapshot::Group;

/// Names of scheduling groups, as they are to be shown.
pub(crate) type Groups = BTreeMap<Group, String>;

/// The group's name if the caller knows it, else its id.
pub(crate) fn group_text(groups: &Groups, group: Group) -> Cow<'_, str> {
    match (groups.get(&group), group) {
        (Some(name), _) => Cow::Borrowed(name),
        (None, Group::Unknown) => Cow::Borrowed("unknown"),
        (None, Group::Cgroup(id)) => Cow::Owned(format!("cgroup:{id}")),
        (None, Group::Autogroup(n)) => Cow::Owned(format!("autogroup-{n}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_without_a_name_shows_its_id() {
        let groups = Groups::from([(Group::Cgroup(7), "/a".to_owned())]);
        let text = |group| group_text(&groups, group).into_owned();
        let of = [Group::Cgroup(7), Group::Cgroup(8), Group::Autogroup(9), Group::Unknown];
        assert_eq!(of.map(text), ["/a", "cgroup:8", "autogroup-9", "unknown"]);
    }
}
