//! The live view: a world is measured in one thread and shown in another.
//!
//! ```text
//! measuring thread:  Source ─► Pace ─► Moment ─► Timeline (behind a lock that is held for a push or a copy of pointers)
//! this thread:       keys ─► App;  App, Timeline ─► Screen (owned) ─► draw (pure)
//! ```
//!
//! A slow terminal delays the second line and never the first.

mod app;
mod canvas;
mod columns;
pub(crate) mod config;
mod cpus;
mod culprits;
mod detail;
mod findings;
mod head;
mod help;
mod history;
mod keys;
mod measuring;
mod mouse;
mod overview;
mod rows;
mod run;
mod scheduler;
mod screen;
mod table;
mod terminal;
mod theme;
mod timeline;

pub(crate) use app::{App, Set};
pub(crate) use columns::Column;
pub(crate) use measuring::Measuring;
pub(crate) use run::run;
pub(crate) use terminal::fits;
pub(crate) use theme::{Glyphs, Theme};

#[cfg(test)]
mod tests;
