//! Short names of cgroups: `docker:3f2a9c0d1e4b`, `pod:6f2d…/…`, `nginx.service`.
//!
//! A container runtime names the cgroup of a container by its id of 64 hexadecimal digits, in one of a few
//! forms that are the same on cgroup v1 and v2; systemd names its own by units. What lies below such a cgroup
//! is kept, since another cgroup is another name. What is not recognised keeps its path.

use std::borrow::Cow;

/// Digits of a container's id that are shown, as container tools show them.
const ID_DIGITS: usize = 12;

/// Digits of a pod's UID that are shown: its first block.
const POD_DIGITS: usize = 8;

/// What a cgroup no longer there ends in.
const DELETED: &str = " (deleted)";

/// Prefixes of the scope in which a runtime under systemd keeps a container, and the runtime's name.
const SCOPES: [(&str, &str); 7] = [
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-conmon-", "crio-conmon"),
    ("crio-", "crio"),
    ("libpod-conmon-", "podman-conmon"),
    ("libpod-", "podman"),
];

/// Parents under which a runtime without systemd keeps its containers, and the runtime's name.
const PARENTS: [(&str, &str); 5] = [
    ("docker", "docker"),
    ("libpod_parent", "podman"),
    ("ecs", "ecs"),
    ("actions_job", "docker"),
    ("default", "containerd"),
];

/// The short name of a cgroup's path, raw like the path: whoever shows it makes it harmless.
///
/// | path | short name |
/// |---|---|
/// | `/docker/<id>`, `/system.slice/docker-<id>.scope` | `docker:<12 digits>` |
/// | `…/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope`, `/kubepods/besteffort/pod<uid>/<id>` | `pod:<8 digits>/<12 digits>` |
/// | `/machine.slice/libpod-<id>.scope/container` | `podman:<12 digits>/container` |
/// | `/lxc.payload.web/system.slice/nginx.service` | `lxc:web/nginx.service` |
/// | `/machine.slice/machine-web.scope` | `machine:web` |
/// | `/system.slice/nginx.service` | `nginx.service` |
/// | `/user.slice/user-1000.slice/session-3.scope` | `session-3.scope` |
/// | anything else | the path |
///
/// A trailing ` (deleted)` stays.
pub fn short_name(path: &str) -> Cow<'_, str> {
    let (path, deleted) = match path.strip_suffix(DELETED) {
        Some(path) => (path, DELETED),
        None => (path, ""),
    };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let name = if path.starts_with('/') { container(&parts).or_else(|| unit(&parts)) } else { None };
    match (name, deleted) {
        (None, "") => Cow::Borrowed(path),
        (None, deleted) => Cow::Owned(format!("{path}{deleted}")),
        (Some(name), deleted) => Cow::Owned(name + deleted),
    }
}

/// The innermost container of a path, its pod, and what is below it.
fn container(parts: &[&str]) -> Option<String> {
    let found = (0..parts.len()).rev().find_map(|at| Some((at, named(parts, at)?)));
    let Some((at, container)) = found else {
        // A pod's own cgroup, around its containers.
        let at = parts.iter().rposition(|part| pod(part).is_some())?;
        return Some(below(format!("pod:{}", pod(parts[at])?), &parts[at + 1..]));
    };
    let pod = parts[..at].iter().rev().find_map(|part| pod(part));
    let name = match (pod, container) {
        (Some(pod), Name::Id(_, id)) => format!("pod:{pod}/{id}"),
        (_, Name::Id(runtime, id)) => format!("{runtime}:{id}"),
        (_, Name::Words(words)) => words,
    };
    Some(below(name, &parts[at + 1..]))
}

enum Name {
    /// A runtime's name and a container's short id.
    Id(&'static str, String),
    /// A container that people have named.
    Words(String),
}

/// The container that the `at`-th part of a path is.
fn named(parts: &[&str], at: usize) -> Option<Name> {
    let part = parts[at];
    if let Some(scope) = part.strip_suffix(".scope") {
        let of = |(prefix, runtime): &(&str, &'static str)| {
            Some(Name::Id(runtime, short_id(scope.strip_prefix(prefix)?)?))
        };
        let machine = || Some(Name::Words(format!("machine:{}", unescape(scope.strip_prefix("machine-")?))));
        return SCOPES.iter().find_map(of).or_else(machine);
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some(Name::Words(format!("lxc:{name}")));
    }
    let parent = at.checked_sub(1).map(|above| parts[above])?;
    if parent == "lxc" {
        return Some(Name::Words(format!("lxc:{part}")));
    }
    let id = short_id(part.strip_prefix("libpod-").unwrap_or(part))?;
    let runtime = PARENTS.iter().find(|(name, _)| *name == parent || parts[0] == *name);
    match runtime {
        Some((_, runtime)) => Some(Name::Id(runtime, id)),
        None => pod(parent).map(|_| Name::Id("pod", id)),
    }
}

/// Short form of a pod's UID in `pod<uid>` or `kubepods-burstable-pod<uid>.slice`.
fn pod(part: &str) -> Option<&str> {
    let uid = match part.strip_suffix(".slice") {
        Some(slice) => {
            &slice[slice.strip_prefix("kubepods")?.rfind("-pod").map(|at| "kubepods".len() + at + 4)?..]
        }
        None => part.strip_prefix("pod")?,
    };
    let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    let is_uid = digits == 32 && uid.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'-' | b'_'));
    is_uid.then(|| uid.get(..POD_DIGITS)).flatten()
}

/// The first digits of a container's id: 64 hexadecimal digits, of ECS 32, a hyphen and a number.
fn short_id(id: &str) -> Option<String> {
    let digits = id.bytes().take_while(u8::is_ascii_hexdigit).count();
    let is_ecs =
        digits == 32 && id[32..].strip_prefix('-').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    (is_ecs || (digits == 64 && id.len() == 64)).then(|| id[..ID_DIGITS].to_owned())
}

/// The innermost unit of systemd, and what is below it: services and scopes before slices, and of a user's
/// manager the unit inside.
fn unit(parts: &[&str]) -> Option<String> {
    let is_a = |part: &str, kind: &str| part.strip_suffix(kind).is_some();
    let is_leaf = |part: &&str| is_a(part, ".service") || is_a(part, ".scope");
    let at =
        parts.iter().rposition(is_leaf).or_else(|| parts.iter().rposition(|part| is_a(part, ".slice")))?;
    Some(below(unescape(parts[at]), &parts[at + 1..]))
}

fn below(name: String, rest: &[&str]) -> String {
    // Below a container's own cgroup systemd may run again: its units are named as outside.
    match unit(rest) {
        Some(inner) => format!("{name}/{inner}"),
        None => rest.iter().fold(name, |name, part| name + "/" + part),
    }
}

/// Undoes the `\x2d` of systemd's names.
fn unescape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("\\x") {
        text.push_str(&rest[..at]);
        let byte = rest.get(at + 2..at + 4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = byte.filter(u8::is_ascii_graphic) {
            text.push(char::from(byte));
            rest = &rest[at + 4..];
        } else {
            text.push_str("\\x");
            rest = &rest[at + 2..];
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "3f2a9c0d1e4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeef";

    #[test]
    fn containers_of_all_runtimes() {
        for (path, short) in [
            // Docker: cgroupfs driver, systemd driver, and a container that runs systemd.
            ("/docker/ID", "docker:3f2a9c0d1e4b"),
            ("/system.slice/docker-ID.scope", "docker:3f2a9c0d1e4b"),
            ("/docker/ID/system.slice/nginx.service", "docker:3f2a9c0d1e4b/nginx.service"),
            ("/system.slice/docker-ID.scope/init.scope", "docker:3f2a9c0d1e4b/init.scope"),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
                "docker:3f2a9c0d1e4b",
            ),
            // Kubernetes: containerd and CRI-O under systemd, the cgroupfs driver, static pods, a guaranteed
            // pod.
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6f2d1c3a_77e0_4f0b_9a55_0c1d2e3f4a5b.slice/cri-containerd-ID.scope",
                "pod:6f2d1c3a/3f2a9c0d1e4b",
            ),
            (
                "/kubepods.slice/kubepods-pod6f2d1c3a_77e0_4f0b_9a55_0c1d2e3f4a5b.slice/crio-ID.scope/container",
                "pod:6f2d1c3a/3f2a9c0d1e4b/container",
            ),
            ("/kubepods/besteffort/pod6f2d1c3a-77e0-4f0b-9a55-0c1d2e3f4a5b/ID", "pod:6f2d1c3a/3f2a9c0d1e4b"),
            ("/kubepods/pod6f2d1c3a77e04f0b9a550c1d2e3f4a5b/ID", "pod:6f2d1c3a/3f2a9c0d1e4b"),
            (
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod6f2d1c3a_77e0_4f0b_9a55_0c1d2e3f4a5b.slice",
                "pod:6f2d1c3a",
            ),
            (
                "/kubelet.slice/kubelet-kubepods.slice/kubepods-burstable-pod6f2d1c3a_77e0_4f0b_9a55_0c1d2e3f4a5b.slice/cri-containerd-ID.scope",
                "pod:6f2d1c3a/3f2a9c0d1e4b",
            ),
            // kind: Kubernetes inside Docker.
            (
                "/docker/ID/kubelet/kubepods/burstable/pod6f2d1c3a-77e0-4f0b-9a55-0c1d2e3f4a5b/ID",
                "pod:6f2d1c3a/3f2a9c0d1e4b",
            ),
            // Podman: rootful, rootless, its monitor, cgroupfs.
            ("/machine.slice/libpod-ID.scope/container", "podman:3f2a9c0d1e4b/container"),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
                "podman:3f2a9c0d1e4b",
            ),
            ("/machine.slice/libpod-conmon-ID.scope", "podman-conmon:3f2a9c0d1e4b"),
            ("/libpod_parent/libpod-ID", "podman:3f2a9c0d1e4b"),
            // CRI-O and containerd without Kubernetes, ECS, LXC, nspawn and libvirt.
            ("/system.slice/crio-ID.scope", "crio:3f2a9c0d1e4b"),
            ("/system.slice/crio-conmon-ID.scope", "crio-conmon:3f2a9c0d1e4b"),
            ("/system.slice/nerdctl-ID.scope", "containerd:3f2a9c0d1e4b"),
            ("/default/ID", "containerd:3f2a9c0d1e4b"),
            (
                "/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1234567890",
                "ecs:0123456789ab",
            ),
            ("/lxc.payload.web/system.slice/nginx.service", "lxc:web/nginx.service"),
            ("/lxc/web", "lxc:web"),
            ("/machine.slice/machine-web\\x2d1.scope", "machine:web-1"),
            (
                "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/vcpu0",
                "machine:qemu-1-vm/libvirt/vcpu0",
            ),
        ] {
            assert_eq!(short_name(&path.replace("ID", ID)), short, "{path}");
            let gone = format!("{} (deleted)", path.replace("ID", ID));
            assert_eq!(short_name(&gone), format!("{short} (deleted)"), "{path}");
        }
    }

    #[test]
    fn units_of_systemd() {
        for (path, short) in [
            ("/system.slice/nginx.service", "nginx.service"),
            ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
            ("/system.slice/system-postgresql.slice", "system-postgresql.slice"),
            ("/user.slice", "user.slice"),
            ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox.service",
                "app-firefox.service",
            ),
            ("/user.slice/user-1000.slice/user@1000.service/init.scope", "init.scope"),
            ("/init.scope", "init.scope"),
            ("/system.slice/nginx.service/workers", "nginx.service/workers"),
            ("/system.slice/dev\\x2dhugepages.service", "dev-hugepages.service"),
        ] {
            assert_eq!(short_name(path), short, "{path}");
        }
    }

    #[test]
    fn what_is_not_recognised_keeps_its_path() {
        for path in [
            "/",
            "/a/b",
            "/docker",
            "/docker/not-an-id",
            "/docker/3f2a9c0d1e4b",
            "/batch/pod-of-whales",
            "autogroup-7",
            "cgroup:123 (deleted)",
            "-",
            "/gone (deleted)",
            "",
        ] {
            assert_eq!(short_name(path), path);
        }
    }

    proptest! {
        #[test]
        fn no_path_is_too_strange(path in "(/(pod|docker|kubepods|-pod|\\\\x2|lxc|é|[0-9a-f]{31,65}|[.]scope|[.]slice| [(]deleted[)]){0,3}){0,5}") {
            let _ = short_name(&path);
        }

        #[test]
        fn no_text_is_too_strange(path in "\\PC{0,60}") {
            let _ = short_name(&path);
        }
    }
}
