//! The exit status: one number a script can branch on.

use std::io;
use std::process::ExitCode;

/// How a run ended. A second interrupt ends the process at once with 128 + the signal's number (130 for
/// Ctrl-C), which no variant stands for, because no code of ours runs then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, also when the reader of standard output left early or an interrupt asked for an orderly end.
    Ok,
    /// 1: something failed; one line on standard error says what.
    Failure,
    /// 2: the command line is wrong.
    Usage,
    /// 3: done, but the monitor lost data and `--strict` was given.
    Loss,
    /// 3: done, but a limit that was asked for is violated (`--max-lag`, `--min-jain`), an `[expect]` of a
    /// scenario does not hold, or a scenario went otherwise on the kernel than in the simulator.
    Check,
    /// 5: done, but a limit of `--fail-if` is exceeded.
    Verdict,
    /// 3: `status` found no monitor.
    NotLoaded,
    /// 4: `doctor` found that tombola cannot load its monitor here.
    Unusable,
    /// That of the command that was run under `schedule`; 128 + the signal's number if one killed it.
    Command(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Loss | Exit::Check | Exit::NotLoaded => 3,
            Exit::Unusable => 4,
            Exit::Verdict => 5,
            Exit::Command(status) => status,
        })
    }
}

/// Whether an error only says that nobody reads the output any more (`| head`): that is no failure of ours.
pub fn reader_left(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_broken_pipe_is_found_under_its_context() {
        let pipe = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot print the table");
        assert!(reader_left(&pipe.unwrap_err()));
        let disk =
            Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull)).context("cannot print the table");
        assert!(!reader_left(&disk.unwrap_err()));
    }
}
