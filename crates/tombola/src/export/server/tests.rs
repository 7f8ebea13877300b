use super::*;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

fn serving() -> SocketAddr {
    let page = Page::default();
    page.set(Texts { openmetrics: "open\n# EOF\n".to_owned(), plain: "plain\n".to_owned() });
    start("127.0.0.1:0".parse().unwrap(), page).unwrap()
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The server may have answered and closed before all of it is written.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn the_page_in_the_format_that_is_asked_for() {
    let address = serving();
    let plain = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(plain.starts_with("HTTP/1.1 200 ") && plain.ends_with("\r\n\r\nplain\n"), "{plain}");
    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2";
    let open = ask(address, &format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{accept}\r\n\r\n"));
    assert!(open.contains(OPENMETRICS) && open.ends_with("open\n# EOF\n"), "{open}");
    assert!(ask(address, "GET /else HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(
        ask(address, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            .starts_with("HTTP/1.1 405 ")
    );
}

#[test]
fn nonsense_and_huge_heads_are_refused() {
    let address = serving();
    assert!(ask(address, "\0\u{1}nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let huge = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(1 << 20));
    let answer = ask(address, &huge);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(3000));
    let answer = ask(address, &many);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(ask(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

#[test]
fn those_who_say_nothing_are_let_go_and_others_are_served() {
    let address = serving();
    let silent: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut slow = TcpStream::connect(address).unwrap();
    slow.write_all(b"GET /met").unwrap();
    let begin = Instant::now();
    assert!(ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("plain\n"));
    assert!(begin.elapsed() < HEAD, "served while 401 connections are open");
    slow.set_read_timeout(Some(CONNECTION + HEAD)).unwrap();
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(begin.elapsed() < CONNECTION + HEAD, "a slow client is let go");
    drop(silent);
}

#[test]
fn a_full_house_serves_who_waits_when_the_silent_are_let_go() {
    // Both ends of each connection are files of this process.
    let files = 2 * CONNECTIONS as u64 + 256;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if hard < files {
        println!("SKIP: {files} files may not be open here, {hard} at most");
        return;
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(files), hard).unwrap();
    let address = serving();
    let begin = Instant::now();
    let silent: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.ends_with("plain\n"), "{answer}");
    // Who says nothing for so long is let go, and the one who waited has its place. Without the limit it
    // would have been served at once.
    assert!(begin.elapsed() >= HEAD, "served while {} connections are open", silent.len());
    assert!(begin.elapsed() < CONNECTION + HEAD, "{:?}", begin.elapsed());
}

#[test]
fn a_port_in_use_is_told() {
    let address = serving();
    let error = format!("{:#}", start(address, Page::default()).unwrap_err());
    assert!(error.contains(&format!("cannot listen on {address}")) && error.contains("--listen"), "{error}");
}
