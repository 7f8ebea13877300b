//! The live view in a real terminal, that of tmux: keys, sizes, and a terminal that is as it was, whatever
//! ended the view.
#![allow(clippy::unwrap_used)] // the functions the tests share are no #[test] themselves

mod common;

use common::program::{is_installed, tombola};
use common::wait_for;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A terminal of 100 by 30 with a shell in it, on a server of tmux that nobody else uses.
struct Screen {
    dir: TempDir,
}

impl Screen {
    /// `None` where there is no tmux.
    fn open() -> Option<Self> {
        if !is_installed("tmux") {
            println!("SKIP: tmux is not installed");
            return None;
        }
        let screen = Self { dir: TempDir::new().unwrap() };
        let shell = "env PS1='ready> ' HOME=/nonexistent LC_ALL=C.UTF-8 sh";
        let started = screen.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", shell]);
        assert!(started.0, "{}", started.1);
        screen.until("a prompt", |text| text.contains("ready>"));
        Some(screen)
    }

    fn tmux(&self, args: &[&str]) -> (bool, String) {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(self.dir.path().join("socket"))
            .args(args)
            .env_remove("TMUX")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn keys(&self, keys: &[&str]) {
        assert!(self.tmux(&[&["send-keys"], keys].concat()).0);
    }

    fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"]).1
    }

    /// Waits until the screen shows what is wanted.
    fn until(&self, what: &str, mut holds: impl FnMut(&str) -> bool) -> String {
        wait_for(what, || Some(self.text()).filter(|text| holds(text)))
    }

    /// Starts the view on a simulated scenario, which needs no right.
    fn top(&self, more: &str) {
        self.run(&format!("{} top --simulate web-and-batch --interval 200ms {more}", binary()));
        self.until("the answer", |text| text.contains("[1 Answer]") && text.contains("END"));
    }

    fn run(&self, command: &str) {
        self.keys(&["-l", command]);
        self.keys(&["Enter"]);
    }

    /// Whether the shell is back on its own screen, with a cursor, in a mode in which it echoes what is
    /// typed.
    fn is_restored(&self) {
        self.until("the prompt", |text| text.contains("ready>") && !text.contains("[1 Answer]"));
        let flags =
            self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"]).1;
        assert_eq!(flags.trim(), "0 1 0", "alternate screen, cursor, mouse");
        self.keys(&["-l", "echo $((6*7)) `stty -a | grep -c -e ' echo .*'`"]);
        self.keys(&["Enter"]);
        self.until("an echo of what was typed, and its result", |text| {
            text.contains("echo $((6*7))") && text.contains("42 1")
        });
    }

    /// The process in the foreground of the shell.
    fn pid(&self) -> String {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]).1;
        wait_for("the process", || {
            let shell = shell.trim();
            let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
            children.split_whitespace().next().map(str::to_owned)
        })
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.pid()]).status().unwrap().success());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn binary() -> String {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_tombola"));
    format!("'{}'", path.display())
}

#[test]
fn keys_move_select_and_quit() {
    let Some(screen) = Screen::open() else { return };
    screen.top("");
    screen.keys(&["2"]);
    screen.until("tasks", |text| text.contains("[2 Tasks]") && text.contains("GOT/FAIR"));
    screen.keys(&["-l", "fbatch"]);
    screen.keys(&["Enter"]);
    screen.until("the filter", |text| text.contains("batch.3") && !text.contains("web.0"));
    screen.keys(&["Escape"]);
    screen.until("all", |text| text.contains("web.0"));
    screen.keys(&["Left"]);
    screen.until("an earlier interval", |text| text.contains("PAUSED at 99 of 100"));
    screen.keys(&["?"]);
    screen.until("help", |text| text.contains("any key goes back"));
    screen.keys(&["x", "Enter"]);
    screen.until("the detail", |text| text.contains("entitled to") && text.contains("Ended waits"));
    screen.keys(&["q"]);
    screen.is_restored();
}

/// As a terminal tells it: a button goes down (0) or the wheel turns (64 up, 65 down), at a column and a line
/// from 1.
fn mouse(screen: &Screen, button: u32, (column, line): (usize, usize)) {
    screen.keys(&["-l", &format!("\x1b[<{button};{column};{line}M")]);
}

#[test]
fn the_mouse_selects_sorts_and_can_be_left_to_the_terminal() {
    let Some(screen) = Screen::open() else { return };
    let is_taken = |screen: &Screen| screen.tmux(&["display-message", "-p", "#{mouse_any_flag}"]).1;
    screen.top("");
    assert_eq!(is_taken(&screen).trim(), "1");
    let at = |text: &str, word: &str| {
        let found = text.lines().enumerate().find_map(|(y, line)| Some((line.find(word)?, y)));
        let (byte, y) = found.unwrap_or_else(|| panic!("no {word}: {text}"));
        (text.lines().nth(y).unwrap()[..byte].chars().count() + 1, y + 1)
    };
    mouse(&screen, 0, at(&screen.text(), "2 Tasks"));
    let text = screen.until("tasks", |text| text.contains("[2 Tasks]"));
    mouse(&screen, 0, at(&text, "WAIT%"));
    let text = screen.until("the order", |text| text.contains("sort: WAIT%"));
    mouse(&screen, 0, at(&text, "batch.3"));
    mouse(&screen, 0, at(&text, "batch.3"));
    screen.until("the detail", |text| text.contains("batch.3") && text.contains("entitled to"));
    screen.keys(&["Escape"]);
    let text = screen.until("the list", |text| text.contains("GOT/FAIR"));
    mouse(&screen, 65, at(&text, "batch.3"));
    // A wheel that turns faster than pictures are drawn is heard to its end.
    for _ in 0..50 {
        mouse(&screen, 65, (3, 9));
    }
    screen.keys(&["Enter"]);
    let last = screen.until("the last row", |text| text.contains("entitled to"));
    screen.keys(&["Escape"]);
    screen.until("the list", |text| text.contains("GOT/FAIR"));
    screen.keys(&["End", "Enter"]);
    screen.until("the same row", |text| text.lines().nth(4) == last.lines().nth(4));
    screen.keys(&["Escape"]);
    screen.until("the list", |text| text.contains("GOT/FAIR"));
    screen.keys(&["M"]);
    screen.until("a word", |text| text.contains("the mouse is off"));
    assert_eq!(is_taken(&screen).trim(), "0");
    screen.keys(&["M", "C-z"]);
    screen.is_restored();
    screen.run("fg");
    screen.until("tasks again", |text| text.contains("[2 Tasks]") && text.contains("q quit"));
    assert_eq!(is_taken(&screen).trim(), "1");
    screen.keys(&["q"]);
    screen.is_restored();
    screen.top("--no-mouse");
    assert_eq!(is_taken(&screen).trim(), "0");
    screen.keys(&["q"]);
    screen.is_restored();
}

#[test]
fn sizes_change_under_it() {
    let Some(screen) = Screen::open() else { return };
    screen.top("");
    for (width, height) in [("1", "1"), ("300", "80"), ("20", "5"), ("7", "40"), ("100", "30")] {
        assert!(screen.tmux(&["resize-window", "-x", width, "-y", height]).0);
    }
    screen.until("the answer again", |text| text.contains("[1 Answer]") && text.contains("q quit"));
    screen.keys(&["q"]);
    screen.is_restored();
}

#[test]
fn the_terminal_is_given_back_whatever_ends_the_view() {
    for end in ["-TERM", "-HUP", "-INT"] {
        let Some(screen) = Screen::open() else { return };
        screen.top("");
        screen.signal(end);
        screen.is_restored();
    }
    let Some(screen) = Screen::open() else { return };
    screen.top("");
    screen.keys(&["C-c"]);
    screen.is_restored();
}

#[test]
fn it_stops_for_the_shell_and_comes_back() {
    let Some(screen) = Screen::open() else { return };
    screen.top("");
    screen.keys(&["C-z"]);
    screen.is_restored();
    screen.run("fg");
    screen.until("the answer again", |text| text.contains("[1 Answer]") && text.contains("q quit"));
    // And by a signal from outside.
    screen.signal("-TSTP");
    screen.is_restored();
    screen.run("clear; fg");
    screen.until("the answer again", |text| text.contains("[1 Answer]") && text.contains("q quit"));
    screen.keys(&["q"]);
    screen.is_restored();
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let Some(screen) = Screen::open() else { return };
    screen.top("");
    let process = PathBuf::from(format!("/proc/{}", screen.pid()));
    screen.tmux(&["kill-server"]);
    wait_for("its end", || (!process.exists()).then_some(()));
}

#[test]
fn without_colour_no_colour_is_sent() {
    let Some(screen) = Screen::open() else { return };
    screen.run("export NO_COLOR=1");
    screen.top("");
    let text = screen.tmux(&["capture-pane", "-p", "-e"]).1;
    assert!(text.contains("[1 Answer]"), "{text}");
    let is_coloured = |code: &str| {
        let codes = code.split('m').next().unwrap_or_default();
        codes
            .split(';')
            .any(|n| n.parse::<u32>().is_ok_and(|n| (30..39).contains(&n) || (90..98).contains(&n)))
    };
    assert!(!text.split("\x1b[").skip(1).any(is_coloured), "{text:?}");
    screen.keys(&["q"]);
    screen.is_restored();
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let output = tombola(&["top", "--simulate", "web-and-batch"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("tombola audit"), "{said}");
    assert!(output.stdout.is_empty());
    let Some(screen) = Screen::open() else { return };
    screen.run(&format!("TERM=dumb {} top --simulate web-and-batch; echo status $?", binary()));
    screen.until("what to use", |text| text.contains("tombola audit") && text.contains("status 1"));
}
