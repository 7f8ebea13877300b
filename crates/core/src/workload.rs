//! What the path of a cgroup tells of who made it: pod, container, runtime, unit of systemd, user.
//!
//! [`crate::group_path`] makes short names for a table. Here are the whole ids, which files of the runtimes
//! are looked up by.

/// What a path tells. Everything is `None` for a path that nobody is known to make.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Workload {
    /// UID of the Kubernetes pod, lower case, with hyphens; of a static pod 32 digits without.
    pub pod_uid: Option<String>,
    /// Id of the innermost container: 64 hexadecimal digits.
    pub container_id: Option<String>,
    /// Who made the container: `docker`, `containerd`, `crio`, `podman`; `None` where the path does not say
    /// (cgroupfs driver of kubelet).
    pub runtime: Option<&'static str>,
    /// The innermost unit of systemd that is no pod's and no container's: a service, else a scope, else a
    /// slice.
    pub unit: Option<String>,
    /// The user of `user-UID.slice`, where the group is in one.
    pub user: Option<u32>,
    /// What is below the container's, the pod's or the unit's own cgroup; empty where nothing is.
    pub below: String,
}

/// Prefixes of a container's scope under systemd. `conmon` is the runtime's monitor of a container, and no
/// part of it.
const SCOPES: [(&str, &str); 5] = [
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "crio"),
    ("libpod-", "podman"),
];

/// Folders in which a runtime without systemd keeps containers.
const PARENTS: [(&str, &str); 3] =
    [("docker", "docker"), ("libpod_parent", "podman"), ("default", "containerd")];

impl Workload {
    /// Reads a path in the hierarchy of the cpu controller.
    ///
    /// # Examples
    /// ```
    /// # use tombola_core::workload::Workload;
    /// assert_eq!(Workload::of("/system.slice/nginx.service").unit.as_deref(), Some("nginx.service"));
    /// ```
    pub fn of(path: &str) -> Self {
        let mut found = Self::default();
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        if !path.starts_with('/') {
            return found;
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut named = 0; // parts up to the last one that names something
        let mut unit_rank = 0;
        for (at, part) in parts.iter().enumerate() {
            let above = at.checked_sub(1).map(|above| parts[above]);
            if let Some(uid) = pod_uid(part) {
                // A pod inside another container (kind) is the inner one.
                found = Self { pod_uid: Some(uid), user: found.user, ..Self::default() };
                (named, unit_rank) = (at + 1, 0);
            } else if let Some((runtime, id)) = container(part, above, found.pod_uid.is_some()) {
                found = Self {
                    container_id: Some(id),
                    runtime,
                    pod_uid: found.pod_uid,
                    user: found.user,
                    ..Self::default()
                };
                (named, unit_rank) = (at + 1, 0);
            } else if let Some(rank) = rank(part) {
                found.user = user(part).or(found.user);
                let is_kubelets = found.pod_uid.is_none() && part.starts_with("kube") && rank == 1;
                if rank >= unit_rank && found.container_id.is_none() && !is_kubelets {
                    found.unit = Some(unescape(part));
                    (named, unit_rank) = (at + 1, rank);
                }
            }
        }
        found.below = parts[named..].join("/");
        if named == 0 {
            found.below.clear();
        }
        found
    }

    /// Whether the path told nothing.
    pub fn is_unknown(&self) -> bool {
        self.pod_uid.is_none() && self.container_id.is_none() && self.unit.is_none()
    }
}

/// UID of `pod<uid>` (cgroupfs driver) or `kubepods[-qos]-pod<uid with _>.slice` (systemd driver), as the API
/// server writes it.
fn pod_uid(part: &str) -> Option<String> {
    let uid = match part.strip_suffix(".slice") {
        Some(slice) if slice.contains("kubepods") => &slice[slice.rfind("-pod")? + 4..],
        Some(_) => return None,
        None => part.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-").to_ascii_lowercase();
    let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    (digits == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')).then_some(uid)
}

/// The runtime and the id of a container's own cgroup.
fn container(part: &str, above: Option<&str>, in_pod: bool) -> Option<(Option<&'static str>, String)> {
    let is_id = |id: &str| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(scope) = part.strip_suffix(".scope") {
        let of = |(prefix, runtime): &(&str, &'static str)| {
            scope.strip_prefix(prefix).filter(|id| is_id(id)).map(|id| (Some(*runtime), id.to_owned()))
        };
        return SCOPES.iter().find_map(of);
    }
    // CRI-O without systemd writes `crio-<id>`, podman `libpod-<id>`, containerd's plugin under systemd
    // `<slice>:cri-containerd:<id>`.
    let (runtime, id) = match part.rsplit_once(':') {
        Some((prefix, id)) => (prefix.ends_with(":cri-containerd").then_some("containerd"), id),
        None => match (part.strip_prefix("crio-"), part.strip_prefix("libpod-")) {
            (Some(id), _) => (Some("crio"), id),
            (_, Some(id)) => (Some("podman"), id),
            _ => (None, part),
        },
    };
    let parent = PARENTS.iter().find(|(name, _)| Some(*name) == above).map(|(_, runtime)| *runtime);
    let runtime = runtime.or(parent);
    (is_id(id) && (runtime.is_some() || in_pod)).then(|| (runtime, id.to_owned()))
}

/// How much a unit says: a service or scope more than a slice. `None` for what is no unit.
fn rank(part: &str) -> Option<u8> {
    let ends = |kind: &str| part.strip_suffix(kind).is_some_and(|name| !name.is_empty());
    if ends(".service") || ends(".scope") { Some(2) } else { ends(".slice").then_some(1) }
}

fn user(part: &str) -> Option<u32> {
    part.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok()
}

/// Undoes the `\x2d` of systemd's names; what is no printable ASCII stays escaped.
fn unescape(name: &str) -> String {
    let mut parts = name.split("\\x");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = byte.filter(u8::is_ascii_graphic) {
            text.push(char::from(byte));
            text.push_str(&part[2..]);
        } else {
            text.push_str("\\x");
            text.push_str(part);
        }
    }
    text
}

/// What a CPU request (in 1/1000 CPU) may have been, told by the weight it became: `cpu.weight` cannot tell
/// which formula was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// By the linear formula that runtimes used until 2025: weight = 1 + (shares − 2) · 9999 / 262142.
    pub linear_milli: u64,
    /// By the logarithmic one that runc 1.3.2 and crun 1.23 brought: weight = ⌈10^(l²/612 + 125·l/612 −
    /// 7/34)⌉, l = log₂ shares. `None` where no request gives this weight.
    pub log_milli: Option<u64>,
}

/// Weight in `cpu.weight` of a number of shares, by the linear formula.
pub fn weight_linear(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// Weight in `cpu.weight` of a number of shares, by the logarithmic formula.
pub fn weight_log(shares: u64) -> u64 {
    let shares = shares.clamp(2, 262_144);
    if shares == 262_144 {
        return 10_000;
    }
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 10000")]
    let weight = 10f64.powf(exponent).ceil() as u64;
    weight
}

/// The least requests whose weight is this one: kubelet makes shares = request · 1024 / 1000 of a request in
/// 1/1000 CPU, at least 2.
///
/// `weight` is `cpu.weight`, 1 to 10000. A request of less than 3 m cannot be told from none.
pub fn request(weight: u64) -> Request {
    let least = |weight_of: fn(u64) -> u64| {
        let (mut low, mut high) = (2, 262_144);
        while low < high {
            let middle = u64::midpoint(low, high);
            if weight_of(middle) >= weight { high = middle } else { low = middle + 1 }
        }
        (weight_of(low), low)
    };
    let milli = |shares: u64| (shares * 1000).div_ceil(1024);
    let (_, linear) = least(weight_linear);
    let (found, log) = least(weight_log);
    Request { linear_milli: milli(linear), log_milli: (found == weight).then(|| milli(log)) }
}

#[cfg(test)]
mod tests;
