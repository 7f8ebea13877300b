//! The flags of `demo`.

use clap::Args;
use std::time::Duration;

/// Watch three burners of nice 0, 5 and 10 share one CPU, and compare three books: the weights, tombola's,
/// the kernel's.
///
/// Reads the loaded monitor, or attaches a private one, which takes the rights to load. Leaves nothing
/// behind.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo tombola demo
  sudo tombola demo --duration 2s")]
pub struct DemoArgs {
    /// How long to watch, 1ms to 1d: a number of seconds, or with a unit (us, ms, s, min, h, d)
    #[arg(long, value_name = "TIME", default_value = "8s", allow_negative_numbers = true, value_parser = super::duration)]
    pub duration: Duration,
}
