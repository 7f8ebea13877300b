//! `tombola`: who was entitled to the CPU, who got it, and what another scheduler would have done.
#![forbid(unsafe_code)]
// Help texts are doc comments, and have brackets that are no links.
#![allow(rustdoc::broken_intra_doc_links)]
// A binary exports nothing: pub says that other rooms may use it.
#![allow(unreachable_pub)]
// Both macros panic when the reader has gone away; a test has one.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

mod audit_view;
mod cli;
mod cmd;
mod command;
mod comparison;
#[cfg(test)]
mod documents;
mod exit;
mod export;
mod groups;
mod interrupt;
mod interval;
mod limits;
mod matrix;
mod moment;
mod nearest;
mod pace;
mod past;
mod periodic;
mod pressure;
mod replay;
mod select;
mod series;
mod sink;
mod source;
mod target;
mod terminal;
mod text;
mod threshold;
mod tui;
mod turns;
mod verdict;
mod visibility;
mod wall_time;
mod whole;
mod why;

use exit::Exit;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Standard output, whose errors say that it was that.
struct Output<W>(W);

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|error| named(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(|error| named(&error))
    }
}

fn named(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("standard output: {error}"))
}

/// A help text or the version, or what is wrong with the command line; with the status for it.
fn tell(told: &clap::Error) -> anyhow::Result<Exit> {
    let printed = told.print().and_then(|()| io::stdout().flush());
    if told.use_stderr() {
        return Ok(Exit::Usage); // told or not: the status is what is left to say
    }
    Ok(printed.map(|()| Exit::Ok).map_err(|error| named(&error))?)
}

fn main() -> ExitCode {
    let mut out = BufWriter::new(Output(io::stdout().lock()));
    let result = match cli::Cli::read() {
        Ok(cli) => cmd::run(cli.verb, &mut out),
        Err(told) => tell(&told),
    };
    let result = result.and_then(|exit| Ok(out.flush().map(|()| exit)?));
    match result {
        Ok(exit) => exit.into(),
        Err(error) if exit::reader_left(&error) => Exit::Ok.into(),
        Err(error) => {
            // What was printed before the error belongs before it; if standard error is closed too, the exit
            // status is all that is left to say.
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "tombola: {error:#}");
            Exit::Failure.into()
        }
    }
}
