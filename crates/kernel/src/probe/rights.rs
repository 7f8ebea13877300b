//! What this process may do: capabilities, user namespace, lockdown, sysctls, seccomp, memory limit.

use super::machine::Release;
use super::{Finding, Verdict, bpffs, kernel_file};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{AccessFlags, eaccess};
use std::path::Path;

/// Bit numbers of `include/uapi/linux/capability.h`.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// `PROC_USER_INIT_INO` of `include/linux/proc_ns.h`.
const INITIAL_USER_NAMESPACE: &str = "user:[4026531837]";

/// Rights of this process, from /proc/self/status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    effective: u64,
    bounding: u64,
    root: bool,
    seccomp: bool,
    /// `bpf()` asks for capabilities in the initial user namespace; those of any other do not count.
    initial_namespace: bool,
}

impl Rights {
    pub(crate) fn of_this_process() -> Self {
        let namespace = std::fs::read_link("/proc/self/ns/user");
        Self {
            initial_namespace: namespace.is_ok_and(|link| link == Path::new(INITIAL_USER_NAMESPACE)),
            ..Self::parse(&kernel_file("/proc/self/status").unwrap_or_default())
        }
    }

    fn parse(status: &str) -> Self {
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let mask = |name| field(name).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
        Self {
            effective: mask("CapEff"),
            bounding: mask("CapBnd"),
            // Uid: real, effective, saved, file system.
            root: field("Uid").and_then(|ids| ids.split_ascii_whitespace().nth(1)) == Some("0"),
            seccomp: field("Seccomp") == Some("2"),
            initial_namespace: true,
        }
    }

    fn has(self, capability: u32) -> bool {
        self.effective >> capability & 1 == 1
    }

    /// Capabilities that loading needs and this process lacks, by name.
    fn missing(self, release: &Release) -> Vec<&'static str> {
        if self.has(CAP_SYS_ADMIN) {
            return Vec::new();
        }
        if release.before(5, 8) {
            return vec!["CAP_SYS_ADMIN"];
        }
        [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
            .into_iter()
            .filter_map(|(capability, name)| (!self.has(capability)).then_some(name))
            .collect()
    }

    /// How this process could come by what it lacks.
    pub(crate) fn remedy(self) -> String {
        if !self.initial_namespace {
            "run on the host, as root of the initial user namespace".to_owned()
        } else if self.root && self.bounding >> CAP_BPF & 1 == 0 && self.bounding >> CAP_SYS_ADMIN & 1 == 0 {
            "run on the host, or start the container with --cap-add BPF --cap-add PERFMON".to_owned()
        } else if self.root {
            "give this process CAP_BPF and CAP_PERFMON (a container: --cap-add BPF --cap-add PERFMON)"
                .to_owned()
        } else {
            "type it with sudo, or once: sudo setcap cap_bpf,cap_perfmon+ep \"$(command -v tombola)\""
                .to_owned()
        }
    }

    /// Whether a capability is missing, or what there is does not count.
    pub(crate) fn lack(self) -> bool {
        !self.initial_namespace || !self.missing(&Release::running()).is_empty()
    }

    /// Why the kernel may have said EPERM, most likely first.
    pub(crate) fn reasons(self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.initial_namespace {
            reasons.push("this is a user namespace, whose capabilities do not count".to_owned());
        }
        let missing = self.missing(&Release::running());
        if !missing.is_empty() {
            reasons.push(format!("{} missing", missing.join(" and ")));
        }
        if self.seccomp {
            reasons.push("a seccomp filter is active (the default of Docker)".to_owned());
        }
        if reasons.is_empty() {
            reasons.push("a security module (lockdown, SELinux, AppArmor) refuses it".to_owned());
        }
        reasons
    }
}

pub(super) fn probe(rights: &Rights, release: &Release, trial_passed: bool) -> Vec<Finding> {
    let mut findings = vec![capabilities(*rights, release)];
    findings.extend(lockdown(kernel_file("/sys/kernel/security/lockdown").as_deref()));
    findings.push(seccomp(*rights, trial_passed));
    findings.extend(memlock(release));
    findings
}

fn capabilities(rights: Rights, release: &Release) -> Finding {
    let name = "capabilities";
    if !rights.initial_namespace {
        return Finding::new(
            name,
            Verdict::Fail,
            "this is a user namespace: its capabilities do not count for BPF",
        )
        .remedy("run on the host, as root of the initial user namespace");
    }
    let missing = rights.missing(release);
    if missing.is_empty() {
        let held = if rights.has(CAP_SYS_ADMIN) { "CAP_SYS_ADMIN" } else { "CAP_BPF and CAP_PERFMON" };
        return Finding::new(name, Verdict::Ok, held);
    }
    Finding::new(name, Verdict::Fail, format!("{} missing", missing.join(" and "))).remedy(rights.remedy())
}

fn lockdown(state: Option<&str>) -> Option<Finding> {
    let chosen =
        state?.split_ascii_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))?;
    Some(match chosen {
        "confidentiality" => Finding::new(
            "lockdown",
            Verdict::Warn,
            "confidentiality: BPF programs may not read kernel memory through helpers; the monitor does without",
        )
        .remedy("if loading is refused, boot with lockdown=integrity"),
        other => Finding::new("lockdown", Verdict::Ok, other),
    })
}

fn seccomp(rights: Rights, trial_passed: bool) -> Finding {
    match (rights.seccomp, trial_passed) {
        (false, _) => Finding::new("seccomp", Verdict::Ok, "no filter"),
        (true, true) => Finding::new("seccomp", Verdict::Ok, "a filter is active and lets bpf() through"),
        (true, false) => Finding::new(
            "seccomp",
            Verdict::Warn,
            "a filter is active; Docker's default refuses bpf()",
        )
        .remedy("start the container with --cap-add BPF --cap-add PERFMON, which opens the default filter"),
    }
}

/// Before 5.11 BPF memory counts against the limit of locked memory; since then it has no part in it.
fn memlock(release: &Release) -> Option<Finding> {
    if !release.before(5, 11) {
        return None;
    }
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
    let enough = 64 << 20;
    let limit = if soft == libc::RLIM_INFINITY { "none".to_owned() } else { format!("{} KiB", soft / 1024) };
    Some(if soft >= enough || hard >= enough {
        Finding::new("memlock limit", Verdict::Ok, limit)
    } else {
        Finding::new(
            "memlock limit",
            Verdict::Warn,
            format!("{limit}: this kernel counts BPF maps against it"),
        )
        .remedy("type it with sudo, or: ulimit -l unlimited")
    })
}

/// What a user without capabilities can do with pins that are there already.
pub(super) fn reading(rights: &Rights, release: &Release, pin_dir: &Path) -> Finding {
    let name = "reading";
    let disabled = kernel_file("/proc/sys/kernel/unprivileged_bpf_disabled");
    let sysctl = format!("unprivileged_bpf_disabled={}", disabled.as_deref().unwrap_or("absent"));
    if eaccess(bpffs::existing(pin_dir), AccessFlags::X_OK).is_err() {
        return Finding::new(
            name,
            Verdict::Warn,
            format!("{} cannot be entered by this user", bpffs::existing(pin_dir).display()),
        )
        .remedy(format!("sudo chmod 0755 {}", bpffs::existing(pin_dir).display()));
    }
    if rights.has(CAP_BPF) || rights.has(CAP_SYS_ADMIN) {
        return Finding::new(
            name,
            Verdict::Ok,
            format!("this user may read any pin its mode allows ({sysctl})"),
        );
    }
    if release.before(5, 19) && disabled.as_deref().is_some_and(|value| value != "0") {
        return Finding::new(
            name,
            Verdict::Warn,
            format!("{sysctl}: before 5.19 that refuses every bpf() call of this user, reading too"),
        )
        .remedy("type it with sudo, or give CAP_BPF");
    }
    Finding::new(name, Verdict::Ok, format!("a loaded monitor can be read without rights ({sysctl})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(effective: &str, uid: u32, seccomp: u32) -> Rights {
        Rights::parse(&format!(
            "Name:\ta\nUid:\t1000\t{uid}\t0\t0\nCapEff:\t{effective}\nCapBnd:\t000001ffffffffff\nSeccomp:\t{seccomp}\n\
             Seccomp_filters:\t1\n"
        ))
    }

    fn missing(effective: &str, release: &str) -> Vec<&'static str> {
        status(effective, 0, 0).missing(&Release::of(release.to_owned()))
    }

    #[test]
    fn the_missing_capability_is_named() {
        assert_eq!(missing("0000000000000000", "6.1.0"), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(missing("0000008000000000", "6.1.0"), ["CAP_PERFMON"]);
        assert_eq!(missing("0000004000000000", "6.1.0"), ["CAP_BPF"]);
        assert!(missing("000000c000000000", "6.1.0").is_empty());
        assert!(missing("0000000000200000", "6.1.0").is_empty(), "CAP_SYS_ADMIN stands for both");
        assert_eq!(missing("000000c000000000", "5.7.0"), ["CAP_SYS_ADMIN"]);
    }

    #[test]
    fn a_status_file_of_any_shape_is_read() {
        assert_eq!(Rights::parse(""), Rights { initial_namespace: true, ..Rights::default() });
        assert_eq!(Rights::parse("CapEff:\tzz\nUid:\nSeccomp:").effective, 0);
        let rights = status("0", 0, 2);
        assert!(rights.root && rights.seccomp);
        assert!(!status("0", 1000, 0).root);
    }

    #[test]
    fn root_in_a_container_is_not_told_to_use_sudo() {
        assert!(status("0", 1000, 0).remedy().contains("sudo"));
        let container = Rights { bounding: 0xa804_25fb, ..status("0", 0, 2) };
        assert!(container.remedy().contains("--cap-add BPF"));
        assert_eq!(container.reasons().len(), 2);
    }

    #[test]
    fn only_confidentiality_warns() {
        let verdict = |text| lockdown(Some(text)).map(|finding| finding.verdict);
        assert_eq!(verdict("none integrity [confidentiality]"), Some(Verdict::Warn));
        assert_eq!(verdict("none [integrity] confidentiality"), Some(Verdict::Ok));
        assert_eq!((verdict(""), lockdown(None)), (None, None));
    }
}
