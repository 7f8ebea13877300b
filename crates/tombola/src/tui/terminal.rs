//! The terminal: taken over, and given back whatever happens.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{Signal, raise};
use nix::sys::time::TimeSpec;
use nix::unistd::{getpid, getsid};
use ratatui::DefaultTerminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::style::Print;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{event, execute};
use std::env;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A terminal that is given back when this value goes, and before a panic is told.
pub(super) struct Terminal {
    inner: DefaultTerminal,
    /// Whether a SIGTSTP has come that is not acted on yet.
    stop: Arc<AtomicBool>,
}

/// Whether a live view has something to be drawn on; else what to use instead.
pub(crate) fn fits() -> Result<(), String> {
    let instead = "use `tombola audit` (or `tombola dump`, a table a second) instead";
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(format!("top needs a terminal on standard input and output; {instead}"));
    }
    match env::var("TERM") {
        Ok(term) if !term.is_empty() && term != "dumb" => Ok(()),
        _ => Err(format!("this terminal cannot be drawn on (TERM is dumb or not set); {instead}")),
    }
}

/// What a look at the terminal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// A key, or another size.
    Event,
    /// Nothing in the time given.
    Nothing,
    /// There is no terminal any more.
    HungUp,
}

/// Waits for an event. Whether the terminal is still there is looked at first: crossterm 0.29 does not come
/// back from a look at one that has hung up.
pub(super) fn ready(patience: Duration) -> io::Result<Ready> {
    for patience in [Duration::ZERO, patience] {
        let stdin = io::stdin();
        let mut terminal = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut terminal, Some(TimeSpec::from(patience)), None) {
            // A signal: perhaps of another size.
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        if terminal[0].revents().is_some_and(|found| found.intersects(gone)) {
            return Ok(Ready::HungUp);
        }
        if event::poll(Duration::ZERO)? {
            return Ok(Ready::Event);
        }
    }
    Ok(Ready::Nothing)
}

impl Terminal {
    /// Takes the terminal over: another screen, no cursor, keys as they come, and the mouse if it is wanted.
    pub(super) fn enter(mouse: bool) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGTSTP, Arc::clone(&stop))
            .context("cannot handle SIGTSTP")?;
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // Of any thread. It is told on a terminal that can be read, whoever gives it back later.
            let _ = give_back();
            told(panic);
        }));
        MOUSE.store(mouse, Ordering::SeqCst);
        Ok(Self { inner: take().context("cannot take the terminal over")?, stop })
    }

    /// The terminal to draw on.
    pub(super) fn inner(&mut self) -> &mut DefaultTerminal {
        &mut self.inner
    }

    /// Whether somebody asked this process to stop for a while.
    pub(super) fn shall_stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Gives the terminal back, stops until told to go on, and takes it over again.
    pub(super) fn suspend(&mut self) -> Result<()> {
        if getsid(None) == Ok(getpid()) {
            // No shell started this process that could let it go on.
            self.stop.store(false, Ordering::SeqCst);
            return Ok(());
        }
        give_back().context("cannot give the terminal back")?;
        self.stop.store(false, Ordering::SeqCst);
        // SIGSTOP cannot be handled: this is where the process stands still. The shell sees it as after a
        // Ctrl-Z.
        raise(Signal::SIGSTOP).context("cannot stop")?;
        self.stop.store(false, Ordering::SeqCst);
        self.inner = take().context("cannot take the terminal over again")?;
        self.inner.clear().context("cannot draw")
    }
}

/// Takes the mouse, or gives it back.
pub(super) fn set_mouse(mouse: bool) -> io::Result<()> {
    MOUSE.store(mouse, Ordering::SeqCst);
    execute!(io::stdout(), Print(if mouse { MOUSE_ON } else { MOUSE_OFF }))
}

/// Whether the terminal is taken over. It is given back once: a second time would set its cursor back, over
/// what was told meanwhile.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the mouse is wanted while the terminal is taken over.
static MOUSE: AtomicBool = AtomicBool::new(false);

/// Buttons and the wheel, told as they go down and up, in SGR's form. `EnableMouseCapture` of crossterm has
/// every movement told too.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

fn take() -> io::Result<DefaultTerminal> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen)?;
    if MOUSE.load(Ordering::SeqCst) {
        execute!(io::stdout(), Print(MOUSE_ON))?;
    }
    ratatui::Terminal::new(CrosstermBackend::new(io::stdout()))
}

fn give_back() -> io::Result<()> {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return Ok(());
    }
    // The mode first: it has more side effects than what is on the screen.
    let mode = disable_raw_mode();
    // Without a mouse nothing was taken: the other sequence would be no harm, and is not needed.
    let mouse = if MOUSE.load(Ordering::SeqCst) { MOUSE_OFF } else { "" };
    execute!(io::stdout(), Print(mouse), Show, LeaveAlternateScreen).and(mode)
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = give_back(); // it may have gone: then there is nothing to give back
    }
}

#[cfg(test)]
mod tests;
