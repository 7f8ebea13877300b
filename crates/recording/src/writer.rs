//! From events to files.

pub mod perfetto;
pub mod table;

pub use perfetto::{Options, PerfettoWriter};
pub use table::{Form, TableWriter};
