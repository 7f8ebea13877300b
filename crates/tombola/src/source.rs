//! The one place where a world is chosen.

mod extent;
mod frames;
mod live;
mod recorded;
mod simulated;

pub use extent::length;
pub use frames::{Frames, Kept, holds_frames};
pub use live::Live;
pub use recorded::{
    Aside, Beside, Recorded, check_span, nothing_in, nothing_there, open_recording, part_told, tell_damage,
};
pub use simulated::Simulated;

use crate::pace::notify;
use crate::visibility::whose_pids;
use anyhow::{Context, Result, bail};
use std::path::Path;
use tombola_core::source::{Origin, Source};
use tombola_kernel::MaxPairs;

/// What of a world is wanted beyond what everybody got.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a question of its own
pub struct Wanted {
    /// Who stands in whose way, with room for so many pairs.
    pub interference: Option<MaxPairs>,
    /// Tickets that were set by hand.
    pub tickets: bool,
    /// Whose the processes are.
    pub owners: bool,
    /// Nothing but the kernel's own counters: a private light monitor, whatever is loaded.
    pub light: bool,
    /// How long waits were: no light monitor knows it.
    pub histograms: bool,
}

/// Why there are none.
const NO_HISTOGRAMS: &str =
    "the kernel's own counters, which are all that a light monitor reads, have no histogram of waits";

/// Opens the live machine as [`Live::open`] does. What this user may not have of what is wanted is told, and
/// left out.
///
/// # Errors
/// Whatever keeps this user from a monitor; histograms of waits are wanted, and the monitor is a light one.
pub fn open(map: Option<&Path>, mut wanted: Wanted) -> Result<Box<dyn Source>> {
    if wanted.light && wanted.histograms {
        bail!("{NO_HISTOGRAMS}: leave --light out");
    }
    let mut live = Live::open(map, wanted.light).context("cannot read a monitor")?;
    match (live.origin(), live.is_light()) {
        (Origin::Private, true) => notify("a private light monitor is attached for this run"),
        (Origin::Private, false) => notify("no monitor is loaded: a private one is attached for this run"),
        (_, true) if wanted.histograms => {
            bail!("{NO_HISTOGRAMS}: 'tombola load --force' loads one that has, in place of the light one")
        }
        _ => {}
    }
    if live.is_light() && wanted.interference.take().is_some() {
        let remedy = match live.origin() {
            Origin::Private => "leave --light out for it",
            _ => "'tombola load --force' loads one that is not",
        };
        notify(&format!(
            "who stands in the way is not watched: that takes a program at each switch, and the monitor is light; {remedy}"
        ));
    }
    if let Some(whose) = whose_pids() {
        notify(whose);
    }
    for refused in live.want(wanted) {
        notify(&refused);
    }
    Ok(Box::new(live))
}
