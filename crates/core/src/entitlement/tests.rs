//! Worked examples, laws, and the comparison with a slow exact method.

mod agreement;
mod examples;
mod laws;
mod oracle;
mod strategy;
