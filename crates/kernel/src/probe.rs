//! What this kernel lets this user do, found out by trying and looking, never by comparing version numbers
//! where a feature can be asked for itself.

mod books;
mod bpffs;
mod btf;
mod machine;
mod rights;
mod scheduler;
mod trial;

pub(crate) use rights::Rights;

pub use crate::btf_file::KERNEL_BTF;

use std::fmt;
use std::path::{Path, PathBuf};

/// Where to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// BTF file to use in place of the kernel's own, [`KERNEL_BTF`].
    pub btf: Option<PathBuf>,
    /// Directory the monitor is to be pinned in.
    pub pin_dir: PathBuf,
}

/// What a finding means for loading the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Good to know, neither good nor bad.
    Info,
    /// As it should be.
    Ok,
    /// Something will be missing or surprising; the monitor loads.
    Warn,
    /// The monitor cannot be loaded by this user before this is mended.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        })
    }
}

/// One line of the doctor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// What it means.
    pub verdict: Verdict,
    /// What was found, with the object and the kernel's own reason.
    pub detail: String,
    /// What to do or to type, where something can be done.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(name: &'static str, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { name, verdict, detail: detail.into(), remedy: None }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Looks at everything, in the order in which things have to be right. Never fails: what cannot be found out
/// is a finding too. Changes nothing; what it tries in the kernel is gone when it returns.
pub fn probe(options: &Options) -> Vec<Finding> {
    // libbpf explains itself on standard error; here its results are findings.
    let printer = libbpf_rs::set_print(None);
    let release = machine::Release::running();
    let rights = rights::Rights::of_this_process();
    let trial = trial::run();

    let mut findings = vec![machine::kernel(&release)];
    findings.extend(btf::probe(options.btf.as_deref()));
    findings.extend(bpffs::probe(&options.pin_dir));
    findings.extend(rights::probe(&rights, &release, trial.is_ok()));
    findings.push(trial::finding(&trial, &rights));
    findings.push(rights::reading(&rights, &release, &options.pin_dir));
    findings.extend(scheduler::probe(options.btf.as_deref().unwrap_or(Path::new(KERNEL_BTF))));
    findings.extend(machine::surroundings());
    libbpf_rs::set_print(printer);
    findings
}

/// Whether the monitor can be loaded, going by the findings: nothing failed.
pub fn usable(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.verdict != Verdict::Fail)
}

/// The text of a small kernel file without the white space around it; `None` where it is absent or
/// unreadable.
fn kernel_file(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_makes_it_unusable_and_warnings_do_not() {
        let of = |verdict| Finding::new("x", verdict, "");
        assert!(usable(&[of(Verdict::Ok), of(Verdict::Warn), of(Verdict::Info)]));
        assert!(!usable(&[of(Verdict::Ok), of(Verdict::Fail)]));
    }

    #[test]
    fn every_failure_has_a_remedy_and_no_detail_spans_lines() {
        // A directory that is on no BPF file system and a BTF file that is none: failures on every machine.
        let options = Options { btf: Some("/proc/self/exe".into()), pin_dir: "/proc".into() };
        let findings = probe(&options);
        assert!(!usable(&findings));
        for finding in &findings {
            assert!(finding.verdict != Verdict::Fail || finding.remedy.is_some(), "{finding:?}");
            assert!(!finding.detail.is_empty() && !finding.detail.contains('\n'), "{finding:?}");
        }
    }
}
