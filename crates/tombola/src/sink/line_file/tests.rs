use super::*;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HEADER: &str = "a,b";

fn open(path: &Path) -> Result<(LineFile, Option<String>)> {
    LineFile::open(path, HEADER)
}

fn error(path: &Path) -> String {
    format!("{:#}", open(path).unwrap_err())
}

fn in_dir(name: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(name);
    (dir, path)
}

#[test]
fn a_file_cut_at_any_byte_is_repaired_and_keeps_its_whole_lines() {
    let (_dir, path) = in_dir("torn");
    let full = b"a,b\n1,2\n3,44\n";
    for cut in 0..=full.len() {
        fs::write(&path, &full[..cut]).unwrap();
        let whole = past_last_break(&full[..cut]);
        let (file, notice) = open(&path).unwrap();
        file.append(b"5,6\n").unwrap();
        drop(file);
        let kept = if whole == 0 { &b"a,b\n"[..] } else { &full[..whole] };
        assert_eq!(fs::read(&path).unwrap(), [kept, b"5,6\n"].concat(), "cut at {cut}");
        match notice {
            None => assert_eq!(whole, cut),
            Some(notice) => {
                assert!(notice.starts_with("repaired: ") && notice.contains("torn"), "{notice}");
                assert!(notice.contains(&format!("({} bytes)", cut - whole)), "{notice}");
                assert_eq!(notice.contains("header"), whole == 0);
            }
        }
    }
}

#[test]
fn a_cut_line_longer_than_a_block_is_found() {
    let (_dir, path) = in_dir("long");
    for tail in [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
        let tail = vec![b'x'; usize::try_from(tail).unwrap()];
        fs::write(&path, [b"a,b\n1,2\n", &tail[..]].concat()).unwrap();
        assert!(open(&path).unwrap().1.is_some());
        assert_eq!(fs::read(&path).unwrap(), b"a,b\n1,2\n");
    }
}

#[test]
fn another_header_is_refused_and_the_file_is_untouched() {
    let (_dir, path) = in_dir("foreign");
    let foreign: [&[u8]; 8] =
        [b"b,a\n1,2\n", b"b,a\n1,2", b"a,b,c\n", b"a,b,c", b"a,b\r\n", b"\n", b"a\n", b"\x1b]0;x\x07\n"];
    for bytes in foreign {
        fs::write(&path, bytes).unwrap();
        let error = error(&path);
        assert!(error.contains("another header") && error.contains("expected: a,b\n"), "{error}");
        assert!(!error.chars().any(|c| c.is_control() && c != '\n'), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    fs::write(&path, "pid;ran\n1;2\n").unwrap();
    assert!(error(&path).contains("found:    pid;ran"));
    fs::write(&path, vec![b'z'; 1 << 20]).unwrap();
    assert!(error(&path).len() < 1000, "an endless line is not shown whole");
}

#[test]
fn a_second_writer_is_refused_while_the_first_one_is_there() {
    let (_dir, path) = in_dir("locked");
    let first = open(&path).unwrap();
    let message = error(&path);
    assert!(message.contains("another process is writing") && message.contains("locked'"), "{message}");
    drop(first);
    open(&path).unwrap();
}

#[test]
fn what_is_no_file_says_what_to_do() {
    let (dir, path) = in_dir("none/stats.csv");
    let message = error(&path);
    assert!(message.contains("no directory") && message.contains("mkdir -p '"), "{message}");
    assert!(error(dir.path()).contains("is a directory; name a file in it"));
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(error(&socket).contains("neither a file nor a FIFO"));
    std::os::unix::fs::symlink("/nonexistent/target", dir.path().join("dangling")).unwrap();
    assert!(error(&dir.path().join("dangling")).contains("No such file or directory"));
    fs::write(path.parent().unwrap().with_file_name("plain"), "").unwrap();
    assert!(error(&dir.path().join("plain/x")).contains("Not a directory"));
}

#[test]
fn a_full_device_fails_when_it_is_opened() {
    let message = error(Path::new("/dev/full"));
    assert!(message.contains("'/dev/full'") && message.contains("No space left on device"), "{message}");
    open(Path::new("/dev/null")).unwrap().0.append(b"1,2\n").unwrap();
}

#[test]
fn a_fifo_needs_a_reader_and_ends_with_it() {
    let (_dir, path) = in_dir("fifo");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    assert!(error(&path).contains("nobody reads from it"));

    let reader = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path).unwrap();
    let (file, notice) = open(&path).unwrap();
    file.append(b"1,2\n").unwrap();
    assert_eq!(notice, None);
    let mut lines = BufReader::new(reader).lines();
    assert_eq!([lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()], ["a,b", "1,2"]);

    drop(lines);
    let gone = file.append(b"3,4\n").unwrap_err();
    assert_eq!(gone.root_cause().downcast_ref::<io::Error>().unwrap().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_slow_reader_is_waited_for() {
    let (_dir, path) = in_dir("slow");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    let mut reader = BufReader::new(
        OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path).unwrap(),
    );
    let (file, _) = open(&path).unwrap();
    fcntl(reader.get_ref(), FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let lines = "1,2\n".repeat(100_000); // several times what a pipe holds
    std::thread::scope(|scope| {
        scope.spawn(|| {
            file.append(lines.as_bytes()).unwrap();
            drop(file);
        });
        let mut got = String::new();
        io::Read::read_to_string(&mut reader, &mut got).unwrap();
        assert!(got == format!("a,b\n{lines}"));
    });
}

#[test]
fn another_programs_lines_are_not_cut_away() {
    let (_dir, path) = in_dir("shared");
    let (file, _) = open(&path).unwrap();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"theirs\n").unwrap();
    let words = file.cut_back(4, 3, 0); // as if a write that began after the header had failed after 3 bytes
    assert!(words.contains("another program"), "{words}");
    assert_eq!(fs::read(&path).unwrap(), b"a,b\ntheirs\n");
}

/// Where a test that runs itself again as a child finds the file to fill.
const FILL: &str = "TOMBOLA_TEST_FILL";

/// The test of this name, to be run again through a shell script that ends in `exec "$@"`, with `$FILL` set.
fn again(test: &str, script: &str, path: &Path) -> Command {
    let test = format!("sink::line_file::tests::{test}");
    let mut command = Command::new("sh");
    command.args(["-ec", script, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", &test, "--include-ignored", "--nocapture"]).env(FILL, path);
    command
}

/// Appends until there is no more room: the error must say so, and only whole lines may be left.
fn fill(path: &Path, reason: &str) {
    let (file, _) = open(path).unwrap();
    let lines = "123456789,987654321\n".repeat(7);
    let mut appended = 0;
    let error = loop {
        match file.append(lines.as_bytes()) {
            Ok(()) => appended += 7,
            Err(error) => break format!("{error:#}"),
        }
        assert!(appended < 1_000_000, "never full");
    };
    assert!(error.contains(reason) && error.contains("all whole"), "{error}");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.strip_prefix("a,b\n").unwrap();
    assert!(rows.ends_with('\n') && rows.lines().all(|l| l == "123456789,987654321"));
    let written = rows.lines().count();
    assert!((appended..appended + 7).contains(&written) && written > 7, "{appended} {written}");
    assert!(error.contains(&format!("{} of 7 lines written", written - appended)), "{error}");
    drop(file);
    assert_eq!(open(path).unwrap().1, None, "nothing to repair");
    #[allow(clippy::print_stdout)] // the word the parent waits for
    {
        println!("FILLED");
    }
}

fn assert_filled(mut command: Command) {
    let output = command.output().unwrap();
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("FILLED"), "{text}");
}

#[test]
fn lines_stay_whole_at_a_size_limit() {
    if let Some(path) = std::env::var_os(FILL) {
        return fill(Path::new(&path), "File too large");
    }
    let (_dir, path) = in_dir("limited");
    let script = r#"trap "" XFSZ; ulimit -f 9; exec "$@""#;
    assert_filled(again("lines_stay_whole_at_a_size_limit", script, &path));
}

#[test]
#[ignore = "needs root: mounts a small tmpfs in a namespace of its own"]
fn root_lines_stay_whole_on_a_full_disk() {
    if let Some(path) = std::env::var_os(FILL) {
        return fill(Path::new(&path), "No space left on device");
    }
    let (dir, path) = in_dir("full");
    let dir = dir.path().display();
    let script =
        format!(r#"exec unshare -m sh -ec 'mount -t tmpfs -o size=16k tmpfs "{dir}"; exec "$@"' sh "$@""#);
    assert_filled(again("root_lines_stay_whole_on_a_full_disk", &script, &path));
}

#[test]
fn standard_output_is_a_stream() {
    if std::env::var_os(FILL).is_some() {
        let (file, notice) = open(Path::new("-")).unwrap();
        assert_eq!(notice, None);
        return file.append(b"1,2\n").unwrap();
    }
    let output = again("standard_output_is_a_stream", r#"exec "$@""#, Path::new("-")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("a,b\n1,2\n"), "{text}");
}

#[test]
fn a_writer_that_is_killed_leaves_whole_lines_and_no_lock() {
    let line = "1,".to_owned() + &"2".repeat(97) + "\n";
    if let Some(path) = std::env::var_os(FILL) {
        let (file, _) = open(Path::new(&path)).unwrap();
        let lines = line.repeat(20_000);
        for _ in 0..100 {
            file.append(lines.as_bytes()).unwrap(); // 200 MB if nobody kills it
        }
        return;
    }
    let (_dir, path) = in_dir("killed");
    for round in 1..=4 {
        let mut writer =
            again("a_writer_that_is_killed_leaves_whole_lines_and_no_lock", r#"exec "$@""#, &path);
        let mut writer = writer.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let enough = round * 5_000_000;
        let limit = Instant::now() + Duration::from_secs(30);
        while fs::metadata(&path).map_or(0, |m| m.len()) < enough && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(1));
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        drop(open(&path).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.len() as u64 + 100 > enough, "the writer was at work");
        let rows = text.strip_prefix("a,b\n").unwrap();
        assert!(rows.ends_with('\n') && rows.split_inclusive('\n').all(|l| l == line));
    }
}
