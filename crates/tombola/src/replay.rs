//! What a recording would have been under another scheduler: its demand as a scenario of the lab, and how far that can be believed.

pub(crate) mod recorded;
pub(crate) mod rtapp;
pub(crate) mod score;
pub(crate) mod toml;
pub(crate) mod world;

#[cfg(test)]
mod tests;
