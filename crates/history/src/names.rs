//! Names of pods and containers from the files that kubelet and the runtimes leave, without an API server.
//!
//! Asked in this order, and only for groups whose path tells a pod or a container:
//!
//! 1. `/var/log/pods/<namespace>_<pod>_<uid>`: kubelet makes it for every pod, with any runtime.
//! 2. `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`: kubelet's links.
//! 3. containerd's bundles (k3s has its own folder), CRI-O's and podman's `userdata/config.json`:
//!    annotations.
//! 4. `/var/lib/docker/containers/<id>/config.v2.json`, podman's `containers.json`: names.
//!
//! All of them are readable for root alone, as a rule. What cannot be read is as if it were not there.

use crate::name::{GroupName, Naming};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Paths kept; beyond it all are asked again.
const KEPT: usize = 10_000;

/// A name that was not found is asked for again after this: kubelet writes its files when the container runs
/// already.
const AGAIN: Duration = Duration::from_secs(30);

/// Largest file that is read: configurations of containers have a few ten KiB.
const LARGEST: u64 = 4 << 20;

/// Folders with bundles of containerd; `<id>/config.json` is in them.
const BUNDLES: [&str; 3] = [
    "run/containerd/io.containerd.runtime.v2.task/k8s.io",
    "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io",
    "run/containerd/io.containerd.runtime.v2.task/default",
];

/// Folders of CRI-O and podman; `<id>/userdata/config.json` is in them.
const USERDATA: [&str; 2] =
    ["run/containers/storage/overlay-containers", "var/lib/containers/storage/overlay-containers"];

/// Names of groups on one machine.
pub struct Names {
    root: PathBuf,
    known: HashMap<String, (GroupName, Option<Instant>)>,
}

#[derive(Default)]
struct Found {
    namespace: Option<String>,
    pod: Option<String>,
    container: Option<String>,
}

impl Found {
    fn or(self, other: impl FnOnce() -> Option<Self>) -> Self {
        if self.pod.is_some() && self.container.is_some() {
            return self;
        }
        let other = other().unwrap_or_default();
        Self {
            namespace: self.namespace.or(other.namespace),
            pod: self.pod.or(other.pod),
            container: self.container.or(other.container),
        }
    }
}

impl Names {
    /// Of the machine this runs on.
    pub fn of_this_machine() -> Self {
        Self::of(Path::new("/"))
    }

    /// Of the machine whose root directory is `root`.
    pub fn of(root: &Path) -> Self {
        Self { root: root.to_owned(), known: HashMap::new() }
    }

    fn ask(&self, path: &str) -> (GroupName, bool) {
        let mut name = GroupName::of_path(path);
        let (uid, id) = (name.workload.pod_uid.clone(), name.workload.container_id.clone());
        let mut found = Found::default();
        if let Some(uid) = &uid {
            found = found.or(|| self.pod_folder(uid));
        }
        if let Some(id) = &id {
            found = found.or(|| self.log_link(id));
            for folder in BUNDLES {
                found = found.or(|| annotated(&self.json(&[folder, id, "config.json"])?));
            }
            for folder in USERDATA {
                found = found.or(|| annotated(&self.json(&[folder, id, "userdata/config.json"])?));
            }
            if uid.is_none() {
                found = found.or(|| self.docker(id)).or(|| self.podman(id));
            }
        }
        let is_missing =
            (uid.is_some() && found.pod.is_none()) || (id.is_some() && found.container.is_none());
        let text = |text: Option<String>| text.map(Arc::from);
        name.namespace = text(found.namespace);
        name.pod = text(found.pod).or(name.pod);
        name.container = text(found.container).or(name.container);
        (name, is_missing)
    }

    fn names_in(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(folder)) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// `<namespace>_<pod>_<uid>`; neither a namespace nor a pod's name can hold `_`.
    fn pod_folder(&self, uid: &str) -> Option<Found> {
        self.names_in("var/log/pods").iter().find_map(|folder| {
            let (rest, folders_uid) = folder.rsplit_once('_')?;
            let (namespace, pod) = rest.split_once('_')?;
            (folders_uid.eq_ignore_ascii_case(uid)).then(|| Found {
                namespace: Some(namespace.to_owned()),
                pod: Some(pod.to_owned()),
                container: None,
            })
        })
    }

    /// `<pod>_<namespace>_<container>-<id>.log`.
    fn log_link(&self, id: &str) -> Option<Found> {
        self.names_in("var/log/containers").iter().find_map(|file| {
            let rest = file.strip_suffix(".log")?.strip_suffix(id)?.strip_suffix('-')?;
            let mut parts = rest.splitn(3, '_');
            let (pod, namespace, container) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Found {
                namespace: Some(namespace.to_owned()),
                pod: Some(pod.to_owned()),
                container: Some(container.to_owned()),
            })
        })
    }

    fn json(&self, parts: &[&str]) -> Option<Value> {
        let path = parts.iter().fold(self.root.clone(), |path, part| path.join(part));
        let is_small = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
        is_small.then(|| serde_json::from_slice(&fs::read(path).ok()?).ok()).flatten()
    }

    fn docker(&self, id: &str) -> Option<Found> {
        let config = self.json(&["var/lib/docker/containers", id, "config.v2.json"])?;
        let name = config.get("Name")?.as_str()?.trim_start_matches('/');
        Some(Found { container: Some(name.to_owned()), ..Found::default() })
    }

    fn podman(&self, id: &str) -> Option<Found> {
        let all = self.json(&[USERDATA[1], "containers.json"])?;
        let one = all.as_array()?.iter().find(|one| one.get("id").and_then(Value::as_str) == Some(id))?;
        let name = one.get("names")?.as_array()?.first()?.as_str()?;
        Some(Found { container: Some(name.to_owned()), ..Found::default() })
    }
}

/// Names in the annotations of an OCI configuration, as containerd's and CRI-O's plugins write them; nerdctl
/// writes one of its own.
fn annotated(config: &Value) -> Option<Found> {
    let annotations = config.get("annotations")?;
    let text = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| annotations.get(*key)?.as_str())
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    Some(Found {
        namespace: text(&["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]),
        pod: text(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]),
        container: text(&[
            "io.kubernetes.cri.container-name",
            "io.kubernetes.container.name",
            "nerdctl/name",
        ]),
    })
}

impl Naming for Names {
    fn name(&mut self, path: &str) -> GroupName {
        if let Some((name, asked)) = self.known.get(path)
            && asked.is_none_or(|asked| asked.elapsed() < AGAIN)
        {
            return name.clone();
        }
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        let (name, is_missing) = self.ask(path);
        self.known.insert(path.to_owned(), (name.clone(), is_missing.then(Instant::now)));
        name
    }
}
