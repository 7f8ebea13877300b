//! Figures for Prometheus: sums that grow, their text, and the server.

pub mod account;
pub mod server;
pub mod slots;
pub mod text;
