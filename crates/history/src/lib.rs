//! What every interval of a machine came to, kept in files that other programs read.
//!
//! ```text
//! Frame, Frame ─► Window ─► Audit ─► rows ─► journal ─► Parquet, sealed ─► retention
//!                                              └────────────┴─► Past: a source of frames
//! ```
//!
//! An interval is in the log whole or not at all. A crash loses at most the interval that was open.
#![forbid(unsafe_code)]

mod error;
pub mod file;
pub mod journal;
pub mod log;
pub mod name;
pub mod names;
pub mod past;
pub mod place;
pub mod row;
pub mod rows;
pub mod schema;

pub use error::{Error, Result};
pub use log::{Keep, Log};
