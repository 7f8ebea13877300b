//! What a recording would have been under another scheduler: its demand as a scenario of the lab, and how far
//! that can be believed.

pub(crate) mod recorded;
pub(crate) mod rtapp;
pub(crate) mod score;
pub(crate) mod toml;
pub(crate) mod world;

use score::{Honesty, Replayed};
use tombola_core::worth::Judged;
use tombola_recording::capabilities::Header;
use tombola_recording::demand::Demand;
use world::World;

/// All that a replay came to.
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) header: Header,
    pub(crate) demand: Demand,
    pub(crate) world: World,
    /// How the policy of the recording is known.
    pub(crate) why: String,
    /// Under the recorded policy first.
    pub(crate) replayed: Vec<Replayed>,
    pub(crate) honesty: Honesty,
    /// What the figures of the recording are worth.
    pub(crate) worths: Vec<Judged>,
    /// Most tasks that a table shows.
    pub(crate) top: usize,
}

#[cfg(test)]
mod tests;
