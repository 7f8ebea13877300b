//! The command line of `export`.

use super::whole;
use crate::interval::{self, NoLength};
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tombola_kernel::MaxPairs;

/// Give figures to other programs, as a service.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola export prometheus
  tombola export prometheus --textfile /var/lib/prometheus/node-exporter/tombola.prom")]
pub struct ExportArgs {
    #[command(subcommand)]
    pub verb: ExportVerb,
}

#[derive(Debug, Subcommand)]
pub enum ExportVerb {
    Prometheus(PrometheusArgs),
}

/// Serve what every group was entitled to, got and waited, for Prometheus to scrape; or write it for
/// `node_exporter`.
///
/// Reads the loaded monitor, which needs no rights where its pin can be read, or attaches a private one. The
/// interval is measured whether somebody scrapes or not; a scrape gets what the last one came to, so
/// scrapers, however many or slow, cost the measuring nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola export prometheus                                  http://127.0.0.1:9477/metrics
  sudo tombola export prometheus --interference --top 100
  tombola export prometheus --textfile /var/lib/prometheus/node-exporter/tombola.prom")]
pub struct PrometheusArgs {
    /// Address and port to listen on, as in `127.0.0.1:9477` or `[::1]:9477`; whoever can reach it can read
    /// the names of groups
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9477", value_parser = address)]
    pub listen: SocketAddr,
    /// File to write after every interval in place of listening, under another name until it is whole;
    /// `node_exporter` reads *.prom
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    pub textfile: Option<PathBuf>,
    /// Pinned map of tasks to read [default: that of the loaded monitor, else a private monitor]
    #[arg(long, env = "MAP_PIN", value_name = "PATH")]
    pub map: Option<PathBuf>,
    /// Length of an interval, 100ms to 1h
    #[arg(long, value_name = "TIME", default_value = "5s", allow_negative_numbers = true, value_parser = length)]
    pub interval: Duration,
    /// Groups, and pairs of groups, with series of their own, 1 to 10000: those that run and wait most; the
    /// others are added up as "other"
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true,
          value_parser = whole::between::<usize>(1, 10_000))]
    pub top: usize,
    /// Watch who stands in whose way, which needs rights and costs at every switch
    #[arg(long)]
    pub interference: bool,
    /// With --interference: pairs of tasks watched at once, 1 to 4194304, at 90 bytes each; quiet ones make
    /// room for others
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true)]
    pub max_pairs: MaxPairs,
    /// Intervals to measure; 0 = until SIGTERM
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true,
          value_parser = whole::between::<u64>(0, u64::MAX))]
    pub iterations: u64,
}

fn length(text: &str) -> Result<Duration, NoLength> {
    interval::length_between(text, Duration::from_millis(100), Duration::from_secs(3600))
}

/// An address, no name: what a name stands for may change, and with it who can read.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "it must be an IP address and a port, as in 127.0.0.1:9477 or [::1]:9477".to_owned())
}
