//! One command of a run of tests: shown as it goes, and read when it has ended.

use anyhow::{Context as _, Result};
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitStatus, Stdio};

/// Runs a command to its end, passes on what it prints, and returns its status and all that it printed.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn watch(command: &mut Command) -> Result<(ExitStatus, String)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (mut reader, writer) = std::io::pipe().context("a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
    // The command holds the writing ends of the pipe, which would never end.
    *command = Command::new(&name);
    let (mut all, mut part) = (Vec::new(), [0; 1 << 14]);
    loop {
        let length = reader.read(&mut part).context("reading what a stage prints")?;
        if length == 0 {
            break;
        }
        let mut out = std::io::stdout().lock();
        out.write_all(&part[..length]).and_then(|()| out.flush()).context("standard output")?;
        all.extend_from_slice(&part[..length]);
    }
    let status = child.wait().with_context(|| format!("waiting for {name}"))?;
    Ok((status, String::from_utf8_lossy(&all).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_and_the_status_are_kept() {
        let (status, said) = watch(Command::new("sh").args(["-c", "echo a; echo b >&2; exit 3"])).unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(3), "a\nb\n"));
        assert!(watch(&mut Command::new("true")).unwrap().0.success());
        assert!(watch(&mut Command::new("/no/such/program")).is_err());
    }
}
