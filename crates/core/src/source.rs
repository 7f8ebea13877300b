//! Where frames come from.

use crate::frame::Frame;
use std::error::Error;
use std::time::Duration;

/// A world that can be looked at: the live machine, a recording, a log of windows, a simulation.
pub trait Source {
    /// How it came to measure.
    fn origin(&self) -> Origin;

    /// The next frame; `None` when the world is over. Instants and totals never run backwards from one call
    /// to the next.
    ///
    /// A live world ([`Origin::is_live`]) is seen as it is now, and whoever asks has let the time pass. A
    /// world that is past is seen `interval` after the frame before, the first time after its begin, or at
    /// its end where that comes earlier or no interval is given.
    ///
    /// # Errors
    /// Whatever keeps the source from being read; what was read before stays valid.
    fn next(&mut self, interval: Option<Duration>) -> Result<Option<Frame>, Box<dyn Error + Send + Sync>>;
}

/// How the source came to measure, which is what the deltas of its first sample reach back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Origin {
    /// A monitor that was loaded and pinned earlier.
    #[default]
    Loaded,
    /// A private monitor, attached for the time of the run.
    Private,
    /// A recording or a log.
    Recorded,
    /// The simulator.
    Simulated,
}

impl Origin {
    /// Whether its time is the present.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Loaded | Self::Private)
    }
}
