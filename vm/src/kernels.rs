//! Which kernels the lane knows: `vm/kernels.toml`.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The list this binary was built with.
const LIST: &str = include_str!("../kernels.toml");

/// The lane's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernels {
    /// Test programs whose live tests root runs.
    pub root: Vec<String>,
    /// Test programs whose live tests an ordinary user with two capabilities runs.
    pub user: Vec<String>,
    /// The kernels, oldest first.
    pub kernel: Vec<Kernel>,
}

/// One kernel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Its series, such as `6.12`.
    pub name: String,
    /// The suite of Debian that has it.
    pub suite: String,
    /// Tests that cannot pass in it, with the reason.
    #[serde(default)]
    pub skip: BTreeMap<String, String>,
}

impl Kernels {
    /// The built-in list.
    ///
    /// # Errors
    /// If `kernels.toml` is not well formed.
    pub fn built_in() -> Result<Self> {
        toml::from_str(LIST).context("vm/kernels.toml")
    }

    /// The kernels of these names, or all of them.
    ///
    /// # Errors
    /// On a name that is not in the list.
    pub fn select(&self, names: &[String]) -> Result<Vec<Kernel>> {
        if names.is_empty() {
            return Ok(self.kernel.clone());
        }
        let known = || self.kernel.iter().map(|kernel| kernel.name.as_str()).collect::<Vec<_>>().join(", ");
        names
            .iter()
            .map(|name| match self.kernel.iter().find(|kernel| kernel.name == *name) {
                Some(kernel) => Ok(kernel.clone()),
                None => bail!("no kernel '{name}' in vm/kernels.toml; there are {}", known()),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_well_formed_and_names_are_checked() {
        let kernels = Kernels::built_in().unwrap();
        assert!(kernels.kernel.len() >= 6);
        let chosen = kernels.select(&["7.3".into(), "5.10".into()]).unwrap();
        assert_eq!(chosen[1].suite, "bullseye");
        let refused = kernels.select(&["9.9".into()]).unwrap_err().to_string();
        assert!(refused.contains("'9.9'") && refused.contains("6.12"), "{refused}");
    }
}
