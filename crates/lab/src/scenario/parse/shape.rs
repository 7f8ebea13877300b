//! The shape of a scenario's TOML, as serde reads it.

use super::Text;
use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScenario {
    pub(super) name: String,
    #[serde(default)]
    pub(super) about: String,
    pub(super) cpus: Option<Spanned<i64>>,
    pub(super) duration: Text,
    pub(super) warm_up: Option<Text>,
    pub(super) quantum: Option<Text>,
    pub(super) switch_cost: Option<Text>,
    pub(super) tick: Option<Text>,
    pub(super) seed: Option<Spanned<i64>>,
    #[serde(default)]
    pub(super) policies: Vec<Text>,
    #[serde(default)]
    pub(super) lottery: RawLottery,
    #[serde(default)]
    pub(super) stride: RawStride,
    #[serde(default)]
    pub(super) mlfq: RawMlfq,
    #[serde(default)]
    pub(super) group: Vec<RawGroup>,
    #[serde(default)]
    pub(super) task: Vec<RawTask>,
    /// Read by its own file, from the spanned table.
    #[serde(default, rename = "expect")]
    pub(super) _expect: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroup {
    pub(super) name: Text,
    pub(super) parent: Option<Text>,
    pub(super) weight: Option<Spanned<i64>>,
    pub(super) quota: Option<Text>,
    pub(super) period: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTask {
    pub(super) name: Text,
    pub(super) count: Option<Spanned<i64>>,
    pub(super) group: Option<Text>,
    pub(super) tickets: Option<Spanned<i64>>,
    pub(super) nice: Option<Spanned<i64>>,
    pub(super) weight: Option<Spanned<i64>>,
    pub(super) class: Option<Text>,
    pub(super) priority: Option<Spanned<i64>>,
    pub(super) arrive: Option<Text>,
    pub(super) cpus: Option<Spanned<Vec<i64>>>,
    pub(super) run: Option<Text>,
    pub(super) sleep: Option<Text>,
    pub(super) every: Option<Text>,
    pub(super) request: Option<Text>,
    pub(super) phases: Option<Spanned<Vec<Spanned<RawStep>>>>,
    pub(super) loops: Option<Spanned<i64>>,
    pub(super) total: Option<Text>,
    pub(super) period: Option<Text>,
    pub(super) deadline: Option<Text>,
    pub(super) reserve: Option<RawReserve>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReserve {
    pub(super) budget: Text,
    pub(super) period: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawStep {
    Run(String),
    Sleep(String),
    Until(Text),
    Wake(String),
    Wait(String),
    Lock(String),
    Unlock(String),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLottery {
    pub(super) draws: Option<Spanned<Vec<Spanned<i64>>>>,
    pub(super) winners: Option<Spanned<i64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStride {
    pub(super) first_pass: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMlfq {
    pub(super) levels: Option<Spanned<i64>>,
    pub(super) boost: Option<Text>,
}
