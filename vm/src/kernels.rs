//! Which kernels the lane knows, and what runs in them: `vm/kernels.toml`.

use crate::arch::Arch;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The list this binary was built with.
const LIST: &str = include_str!("../kernels.toml");

/// The lane's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernels {
    /// What root runs in every kernel.
    pub root: Vec<Selection>,
    /// What an ordinary user with `CAP_BPF` and `CAP_PERFMON` runs in every kernel.
    pub user: Vec<Selection>,
    /// What runs besides in kernels that are [whole](Kernel::whole).
    #[serde(default)]
    pub whole: Whole,
    /// How long one test may take, seconds.
    pub limit_s: u64,
    /// How long one test of a kernel's `scheduler` may take, seconds: proofs by many draws.
    pub scheduler_limit_s: u64,
    /// The kernels, oldest first.
    pub kernel: Vec<Kernel>,
}

/// What runs in some kernels only, because it tells little more in the others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whole {
    /// What root runs.
    pub root: Vec<Selection>,
    /// What an ordinary user with `CAP_BPF` and `CAP_PERFMON` runs.
    pub user: Vec<Selection>,
}

/// The live tests of a test program, or one of them: `program` or `program:test`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Selection {
    /// Name of the test program.
    pub program: String,
    /// The test; all live ones without.
    pub test: Option<String>,
}

impl From<String> for Selection {
    fn from(text: String) -> Self {
        match text.split_once(':') {
            Some((program, one)) => Self { program: program.into(), test: Some(one.into()) },
            None => Self { program: text, test: None },
        }
    }
}

/// One kernel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Its series, such as `6.12`.
    #[serde(rename = "name")]
    pub series: String,
    /// The suite of Debian that has it.
    pub suite: String,
    /// What it is built for.
    #[serde(default)]
    pub arch: Arch,
    /// Debian's name of its configuration, where that is not the one for cloud machines.
    pub flavour: Option<String>,
    /// Whether [`Kernels::whole`] runs in it too.
    #[serde(default)]
    pub whole: bool,
    /// What root runs in it because it has `sched_ext`, each list in a machine of its own; none where it has
    /// not.
    #[serde(default)]
    pub scheduler: Vec<Vec<Selection>>,
    /// What root runs in it on more CPUs than two: a machine for each list, with as many emulated CPUs as the
    /// key says.
    #[serde(default)]
    pub wide: BTreeMap<String, Vec<Selection>>,
    /// Tests that cannot pass in it, with the reason.
    #[serde(default)]
    pub skip: BTreeMap<String, String>,
}

impl Kernel {
    /// What it is called: its series, and its flavour or architecture where that is not the usual one, such
    /// as `6.12-arm64`.
    pub fn name(&self) -> String {
        match &self.flavour {
            Some(flavour) => format!("{}-{flavour}", self.series),
            None if self.arch == Arch::default() => self.series.clone(),
            None => format!("{}-{}", self.series, self.arch.name()),
        }
    }

    /// The end of its package's name.
    pub fn flavour(&self) -> String {
        self.flavour.clone().unwrap_or_else(|| format!("cloud-{}", self.arch.debian()))
    }
}

impl Kernels {
    /// The built-in list.
    ///
    /// # Errors
    /// If `kernels.toml` is not well formed.
    pub fn built_in() -> Result<Self> {
        let kernels: Self = toml::from_str(LIST).context("vm/kernels.toml")?;
        for kernel in &kernels.kernel {
            if let Some(wrong) =
                kernel.wide.keys().find(|cpus| !cpus.parse().is_ok_and(|n| (3..=64).contains(&n)))
            {
                bail!(
                    "vm/kernels.toml, kernel {}: 'wide' is by a number of CPUs from 3 to 64, not '{wrong}'",
                    kernel.name()
                );
            }
        }
        Ok(kernels)
    }

    /// The test programs that run in this kernel.
    pub fn programs(&self, kernel: &Kernel) -> BTreeSet<String> {
        let lists = [&self.root, &self.user, &self.whole.root, &self.whole.user];
        let lists = lists.into_iter().chain(&kernel.scheduler).chain(kernel.wide.values());
        lists.flatten().map(|selection| selection.program.clone()).collect()
    }

    /// The kernels of these names, or all of the host's architecture. The name of an architecture stands for
    /// all of its kernels.
    ///
    /// # Errors
    /// On a name that is not in the list.
    pub fn select(&self, names: &[String]) -> Result<Vec<Kernel>> {
        let host = [Arch::default().name().to_owned()];
        let names = if names.is_empty() { &host } else { names };
        let known = || self.kernel.iter().map(Kernel::name).collect::<Vec<_>>().join(", ");
        let mut chosen: Vec<Kernel> = Vec::new();
        for name in names {
            let is_meant = |kernel: &&Kernel| kernel.name() == *name || kernel.arch.name() == name;
            let mut found = self.kernel.iter().filter(is_meant).peekable();
            if found.peek().is_none() {
                bail!("no kernel '{name}' in vm/kernels.toml; there are {}", known());
            }
            chosen.extend(found.cloned());
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_well_formed_and_names_are_checked() {
        let kernels = Kernels::built_in().unwrap();
        assert!(kernels.kernel.len() >= 6);
        assert!(kernels.kernel[0].scheduler.is_empty());
        assert!(kernels.kernel.iter().any(|k| !k.scheduler.is_empty()));
        let whole = |k: &&Kernel| k.whole && k.arch == Arch::X86_64;
        let whole: Vec<String> = kernels.kernel.iter().filter(whole).map(Kernel::name).collect();
        assert_eq!(whole, ["5.10", "6.12", "7.3"], "the oldest, one between, the newest");
        let chosen = kernels.select(&["7.3".into(), "5.10".into()]).unwrap();
        assert_eq!(chosen[1].suite, "bullseye");
        // Other architectures only where they are named.
        assert!(kernels.select(&[]).unwrap().iter().all(|kernel| kernel.arch == Arch::X86_64));
        let arm: Vec<String> = kernels.select(&["arm64".into()]).unwrap().iter().map(Kernel::name).collect();
        assert!(!arm.is_empty() && arm.iter().all(|name| name.contains("-arm64")), "{arm:?}");
        let one = &kernels.select(&arm[..1]).unwrap()[0];
        assert_eq!(one.arch, Arch::Arm64);
        let programs = kernels.programs(one);
        assert!(programs.contains("root_exec") && programs.contains("root_audit"), "{programs:?}");
        assert!(!programs.contains("scx_faults"), "{programs:?}");
        let refused = kernels.select(&["9.9".into()]).unwrap_err().to_string();
        assert!(refused.contains("'9.9'") && refused.contains("6.12"), "{refused}");
    }

    #[test]
    fn a_selection_is_a_program_or_one_test_of_it() {
        let of = |text: &str| Selection::from(text.to_owned());
        assert_eq!(of("root_pins"), Selection { program: "root_pins".into(), test: None });
        assert_eq!(of("root_pins:one"), Selection { program: "root_pins".into(), test: Some("one".into()) });
    }
}
