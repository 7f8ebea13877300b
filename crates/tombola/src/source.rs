//! The one place where a world is chosen.

mod frames;
mod live;
mod overview;
mod recorded;
mod simulated;

pub use frames::{Frames, Kept, holds_frames};
pub use live::Live;
pub use overview::Overview;
pub use recorded::{Recorded, open_recording, watched};
pub use simulated::Simulated;

use crate::pace::notify;
use anyhow::{Context, Result};
use std::path::Path;
use tombola_core::source::{Origin, Source};
use tombola_kernel::MaxPairs;

/// What of a world is wanted beyond what everybody got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Who stands in whose way, with room for so many pairs.
    pub interference: Option<MaxPairs>,
    /// Tickets that were set by hand.
    pub tickets: bool,
    /// Whose the processes are.
    pub owners: bool,
}

/// Opens the live machine as [`Live::open`] does. What this user may not have of what is wanted is told, and left out.
///
/// # Errors
/// Whatever keeps this user from a monitor.
pub fn open(map: Option<&Path>, wanted: Wanted) -> Result<Box<dyn Source>> {
    let mut live = Live::open(map).context("cannot read a monitor")?;
    if live.origin() == Origin::Private {
        notify("no monitor is loaded: a private one is attached for this run");
    }
    for refused in live.want(wanted) {
        notify(&refused);
    }
    Ok(Box::new(live))
}
