//! What a small machine has too little of, and where it can be raised.

use anyhow::{Error, anyhow};
use std::io::{self, ErrorKind};

/// `what` could not be begun; with the limits to look at where it is their number that kept a thread or a
/// process from being made.
pub fn cannot_start(what: &str, error: io::Error) -> Error {
    let advice = if error.kind() == ErrorKind::WouldBlock {
        "; look at `ulimit -u` and the cgroup's pids.max"
    } else {
        ""
    };
    anyhow!(error).context(format!("cannot start {what}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_limit_of_their_number_is_told_to_be_raised() {
        // EAGAIN and ENOENT of errno(3).
        let many = cannot_start("thread 3", io::Error::from_raw_os_error(11));
        assert!(format!("{many:#}").starts_with("cannot start thread 3; look at `ulimit -u`"));
        let none = cannot_start("'nonesuch'", io::Error::from_raw_os_error(2));
        assert!(format!("{none:#}").starts_with("cannot start 'nonesuch': "));
    }
}
