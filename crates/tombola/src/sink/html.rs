//! Pages for a browser: one file that holds all it needs, asks nobody for anything, and can be read without
//! its script.

mod chart;
pub(crate) mod contrast;
pub(crate) mod lab;
mod lanes;
mod ledger;
mod markup;
mod page;
pub(crate) mod report;

#[cfg(test)]
mod tests;
