//! Recordings of scheduling events: what happened, event by event, told by the kernel, by a file or by the
//! simulator.
//!
//! ```text
//! bytes ─► reader (one a format) ─► events as recorded ─► merge by time ─► normaliser ─► intervals ─┬─► snapshots
//!                                                                                                   ├─► exact ledger
//!                                                                                                   ├─► demand, periods
//!                                                                                                   └─► writers
//! ```
//!
//! What a format cannot tell is unknown ([`capabilities::Capabilities`]), never guessed in silence; what the
//! normaliser had to mend is counted by kind.
//!
//! To read: [`reader::open`], then [`reader::Reader::next_event`], or a [`playback::Playback`] over it, which
//! gives snapshots and keeps the exact ledger. To write: [`writer::PerfettoWriter`], [`writer::TableWriter`].
//! To count: [`summary::Summary`]. A simulation's turns become events by [`simulated::Simulated`].
#![forbid(unsafe_code)]

pub mod activity;
pub mod attributes;
pub mod books;
pub mod capabilities;
pub mod comm;
pub mod culprits;
pub mod demand;
pub mod event;
pub mod fact;
pub mod gaps;
pub mod interval;
pub mod lanes;
pub mod ledger;
pub mod life;
pub mod normaliser;
mod own;
pub mod periods;
pub mod playback;
mod proto;
pub mod reader;
pub mod simulated;
pub mod state;
pub mod summary;
pub mod task;
pub mod worth;
pub mod writer;
