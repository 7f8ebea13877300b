//! From events to files.

pub mod perfetto;

pub use perfetto::{Options, PerfettoWriter};
