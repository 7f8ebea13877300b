//! tombola's pure heart: what a CPU gave, to whom, and what tickets say about it.
//!
//! Values flow one way and every stage is a pure function:
//!
//! ```text
//! Snapshot, Snapshot ─► Window ─► Report ─► (sinks and views, in other crates)
//! ```
//!
//! A [`snapshot::Snapshot`] is everything a source (the live monitor, a recording, the simulator) knows at
//! one instant. A [`window::Window`] is what happened between two of them. A [`report::Report`] is what a
//! reader is shown.
//!
//! Conventions that hold everywhere: durations and instants are integer nanoseconds in fields that end in
//! `_ns`; collections are ordered, so the same input gives the same bytes; randomness enters only as a seeded
//! generator that is passed in. Nothing here does I/O, and nothing is `unsafe`.
#![forbid(unsafe_code)]

pub mod audit;
pub mod contrast;
pub mod cpu_set;
pub mod draw;
pub mod duration;
pub mod entitlement;
pub mod frame;
pub mod group_path;
pub mod histogram;
pub mod identity;
pub mod interference;
pub mod ledger;
pub mod metric;
pub mod policy;
pub mod race;
pub mod report;
pub mod reservation;
pub mod rolling;
mod serial;
pub mod shared;
pub mod snapshot;
pub mod source;
pub mod statistics;
pub mod tally;
pub mod tickets;
pub mod usage;
pub mod window;
pub mod workload;
pub mod worth;
