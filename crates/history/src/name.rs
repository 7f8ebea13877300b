//! What people call a group.

use crate::row::Row;
use crate::schema::{Int, Text};
use std::sync::Arc;
use tombola_core::workload::{self, Workload};

/// Names of a scheduling group, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GroupName {
    /// What the path told.
    pub workload: Workload,
    /// Kubernetes namespace.
    pub namespace: Option<Arc<str>>,
    /// Name of the pod, else its UID.
    pub pod: Option<Arc<str>>,
    /// Name of the container, else its short id.
    pub container: Option<Arc<str>>,
}

impl GroupName {
    /// What the path alone tells.
    pub fn of_path(path: &str) -> Self {
        let workload = Workload::of(path);
        let text = |text: &Option<String>| text.as_deref().map(Arc::from);
        let short = |id: &String| Arc::from(&id[..id.len().min(12)]);
        Self {
            namespace: None,
            pod: text(&workload.pod_uid),
            container: workload.container_id.as_ref().map(short),
            workload,
        }
    }

    /// `namespace/pod/container`, `runtime:container`, the unit, each with what is below it; the path where
    /// nobody can name it.
    pub fn display(&self, path: &str) -> String {
        let mut name = match (&self.pod, &self.container) {
            (Some(pod), container) => {
                let parts = [self.namespace.as_deref(), Some(pod), container.as_deref()];
                parts.into_iter().flatten().collect::<Vec<_>>().join("/")
            }
            (None, Some(container)) => {
                format!("{}:{container}", self.workload.runtime.unwrap_or("container"))
            }
            (None, None) => match &self.workload.unit {
                Some(unit) => unit.clone(),
                None => return path.to_owned(),
            },
        };
        if !self.workload.below.is_empty() {
            name.push('/');
            name.push_str(&self.workload.below);
        }
        name
    }

    /// Writes the names into a row, with the requests that the weight of a pod's group may stand for.
    pub(crate) fn fill(&self, row: &mut Row, path: &Arc<str>, weight: Option<u64>) {
        row.set_text(Text::Cgroup, Arc::clone(path));
        row.set_text(Text::Name, self.display(path).into());
        let texts = [
            (Text::Namespace, self.namespace.clone()),
            (Text::Pod, self.pod.clone()),
            (Text::Container, self.container.clone()),
            (Text::Runtime, self.workload.runtime.map(Arc::from)),
            (Text::Unit, self.workload.unit.as_deref().map(Arc::from)),
        ];
        for (column, text) in texts {
            if let Some(text) = text {
                row.set_text(column, text);
            }
        }
        if let (Some(_), Some(weight), true) =
            (&self.workload.pod_uid, weight, self.workload.below.is_empty())
        {
            // The kernel's 1024 is 100 of cpu.weight.
            let request = workload::request((weight * 100).div_ceil(1024).clamp(1, 10_000));
            row.set_count(Int::RequestLinear, request.linear_milli);
            if let Some(milli) = request.log_milli {
                row.set_count(Int::RequestLog, milli);
            }
        }
    }
}

/// Whoever can name groups; [`crate::names::Names`] asks the files that runtimes leave.
pub trait Naming {
    /// Names of the group with this path.
    fn name(&mut self, path: &str) -> GroupName;
}

/// Names by paths alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByPath;

impl Naming for ByPath {
    fn name(&mut self, path: &str) -> GroupName {
        GroupName::of_path(path)
    }
}
