//! The scenarios that come with tombola: published cases and everyday workloads, each with what must come
//! out.

/// A built-in scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its file name in `scenarios/`, without the extension.
    pub name: &'static str,
    /// Its TOML text.
    pub text: &'static str,
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$(BuiltIn { name: $name, text: include_str!(concat!("../scenarios/", $name, ".toml")) }),*]
    };
}

/// All of them, by name.
pub const SCENARIOS: [BuiltIn; 31] = built_in![
    "cbs",
    "dhall",
    "edf-against-rm",
    "ledger-1-nice",
    "ledger-2-sessions",
    "ledger-3-groups",
    "ledger-4-ten-one-one",
    "ledger-5-quota",
    "ledger-6-real-time",
    "ledger-7-pinned",
    "ledger-8-waits",
    "linux-groups",
    "liu-layland",
    "lottery-compensation",
    "lottery-insulation",
    "lottery-locks",
    "lottery-ratios",
    "lottery-transfer",
    "lottery-two-cpus",
    "pipeline",
    "quota",
    "sleeper",
    "stride-101",
    "stride-19-1",
    "stride-3-2-1",
    "stride-7-3",
    "stride-integer",
    "three-burners",
    "two-users",
    "web-and-batch",
    "yielder",
];

/// The built-in scenario of a name.
pub fn find(name: &str) -> Option<BuiltIn> {
    SCENARIOS.iter().copied().find(|s| s.name == name)
}

impl BuiltIn {
    /// The comment at its top, without the marks: what it shows, and where it was published.
    pub fn about(&self) -> String {
        let lines = self.text.lines().take_while(|line| line.starts_with('#'));
        let words: Vec<&str> = lines.map(|line| line.trim_start_matches('#').trim()).collect();
        words.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Plan, compare};
    use crate::outcome::Observe;
    use crate::policy::PolicyKind;
    use crate::scenario::Scenario;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn every_built_in_scenario_comes_out_as_published() {
        let mut wrong = Vec::new();
        for built_in in SCENARIOS {
            let scenario =
                Scenario::from_toml(built_in.text).unwrap_or_else(|e| panic!("{}: {e}", built_in.name));
            let policies: Vec<PolicyKind> = scenario.policies.iter().map(|p| p.parse().unwrap()).collect();
            let plan = Plan {
                scenario: &scenario,
                policies,
                runs: 1,
                seed: scenario.seed,
                jobs: 2,
                observe: Observe::default(),
            };
            let comparison = compare(&plan, &|_| (), &AtomicBool::new(false));
            let mut verdicts = 0;
            for (policy, result) in &comparison.policies {
                let result = result.as_ref().unwrap_or_else(|e| panic!("{} {policy}: {e}", built_in.name));
                for verdict in &result.verdicts {
                    verdicts += 1;
                    if !verdict.holds {
                        wrong.push(format!("{} {policy}: {verdict:?}", built_in.name));
                    }
                }
            }
            assert!(verdicts > 0, "{} expects nothing", built_in.name);
            assert!(!built_in.about().is_empty(), "{} says nothing", built_in.name);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn the_list_is_in_order() {
        assert!(SCENARIOS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
