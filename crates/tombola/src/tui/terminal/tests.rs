//! A panic in a real terminal, that of tmux: this test binary runs itself in it.

use super::Terminal;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

/// Says where the panic is to be; without it the test that panics does nothing.
const WHERE: &str = "TOMBOLA_TEST_PANIC";

/// What is run in the terminal: takes it over, draws, and panics.
#[test]
fn panics_where_it_is_told_to() {
    let Some(place) = env::var_os(WHERE) else { return };
    let mut terminal = Terminal::enter(true).unwrap();
    terminal.inner().draw(|frame| frame.render_widget("taken over", frame.area())).unwrap();
    // A key says that the picture was seen.
    std::io::stdin().read_exact(&mut [0]).unwrap();
    if place == "thread" {
        // As the thread that measures: the loop finds that it has gone, and ends with an error.
        assert!(thread::spawn(|| panic!("told in a thread")).join().is_err());
        return;
    }
    panic!("told in the loop");
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_told() {
    let has_tmux =
        env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join("tmux").is_file()));
    if !has_tmux {
        println!("SKIP: tmux is not installed");
        return;
    }
    for place in ["loop", "thread"] {
        let dir = tempfile::TempDir::new().unwrap();
        let tmux = |args: &[&str]| {
            let mut command = Command::new("tmux");
            command.arg("-S").arg(dir.path().join("socket")).args(args).env_remove("TMUX");
            let output = command.stdin(Stdio::null()).output().unwrap();
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        };
        let until = |what: &str, holds: &dyn Fn(&str) -> bool| {
            let begin = Instant::now();
            loop {
                let text = tmux(&["capture-pane", "-p"]);
                if holds(&text) {
                    return;
                }
                assert!(begin.elapsed() < Duration::from_secs(120), "{place}: {what}: {text}");
                thread::sleep(Duration::from_millis(5));
            }
        };
        let shell = "env PS1='ready> ' HOME=/nonexistent LC_ALL=C.UTF-8 sh";
        tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "40", shell]);
        until("a prompt", &|text| text.contains("ready>"));
        let binary = env::current_exe().unwrap();
        let command = format!(
            "RUST_BACKTRACE=0 {WHERE}={place} '{}' --exact --nocapture tui::terminal::tests::panics_where_it_is_told_to",
            binary.display()
        );
        tmux(&["send-keys", "-l", &command]);
        tmux(&["send-keys", "Enter"]);
        until("the picture", &|text| text.starts_with("taken over") && !text.contains("ready>"));
        tmux(&["send-keys", "x"]);
        until("the panic in words, and the prompt", &|text| {
            text.contains("told in") && text.trim_end().ends_with("ready>") && !text.contains("taken over")
        });
        let flags = tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        assert_eq!(flags.trim(), "0 1", "{place}: alternate screen, cursor");
        tmux(&["send-keys", "-l", "echo $((6*7)) `stty -a | grep -c -e ' echo .*'`"]);
        tmux(&["send-keys", "Enter"]);
        until("an echo of what was typed, and its result", &|text| {
            text.contains("echo $((6*7))") && text.contains("42 1")
        });
        tmux(&["kill-server"]);
    }
}
