//! A small HTTP server: one page, bounded in everything that a client can ask for.
//!
//! | bound | value |
//! |---|---|
//! | connections at once | 1,000; what comes beyond waits in the kernel's queue |
//! | time for a request's head | 5 s |
//! | time of a connection | 15 s, one request each |
//! | bytes of a request's head | 16 KiB |
//!
//! It has a thread of its own and holds texts that are made already: nobody who scrapes, or pretends to,
//! makes the measuring wait.

use super::text::Texts;
use crate::limits::cannot_start;
use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::Semaphore;

const CONNECTIONS: usize = 1000;
const HEAD: Duration = Duration::from_secs(5);
const CONNECTION: Duration = Duration::from_secs(15);
const HEAD_BYTES: usize = 16 << 10;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is served.
#[derive(Clone, Debug, Default)]
pub struct Page(Arc<Mutex<Option<(Bytes, Bytes)>>>);

impl Page {
    /// Takes the place of what was served before.
    pub fn set(&self, texts: Texts) {
        let texts = (Bytes::from(texts.openmetrics), Bytes::from(texts.plain));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(texts);
    }

    fn get(&self, openmetrics: bool) -> Option<Bytes> {
        let page = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        page.as_ref().map(|(open, plain)| if openmetrics { open.clone() } else { plain.clone() })
    }
}

/// Serves the page from a thread of its own, until the process ends. Returns where: port 0 is one that is
/// free.
///
/// # Errors
/// An address that cannot be listened on.
pub fn start(address: SocketAddr, page: Page) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).with_context(|| {
        format!(
            "cannot listen on {address}; choose another address with --listen, port 0 for one that is free"
        )
    })?;
    listener.set_nonblocking(true).context("cannot listen without blocking")?;
    let bound = listener.local_addr().context("cannot tell where it listens")?;
    // Each connection is a file; what is left serves the measuring.
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = (CONNECTIONS as u64 + 256).min(hard);
        if soft < wanted {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the server")?;
    thread::Builder::new()
        .name("tombola-http".to_owned())
        .spawn(move || runtime.block_on(serve(listener, page)))
        .map_err(|error| cannot_start("the server's thread", error))?;
    Ok(bound)
}

async fn serve(listener: TcpListener, page: Page) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No file is left, for one: it may be later.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let page = page.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &page);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_buf_size(HEAD_BYTES)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // What a client does wrong ends its connection and is nobody else's affair.
            let _ = tokio::time::timeout(CONNECTION, connection).await;
            drop(permit);
        });
    }
}

fn answer(request: &Request<Incoming>, page: &Page) -> Response<Full<Bytes>> {
    let say = |status: StatusCode, kind: &'static str, body: Bytes| {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
        response
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response =
            say(StatusCode::METHOD_NOT_ALLOWED, PLAIN, Bytes::from_static(b"only GET and HEAD\n"));
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => {
            let accepts = |part: &str| part.trim_start().starts_with("application/openmetrics-text");
            let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
            let openmetrics = accept.split(',').any(accepts);
            match page.get(openmetrics) {
                Some(text) => say(StatusCode::OK, if openmetrics { OPENMETRICS } else { PLAIN }, text),
                None => say(
                    StatusCode::SERVICE_UNAVAILABLE,
                    PLAIN,
                    Bytes::from_static(b"the first interval is not over\n"),
                ),
            }
        }
        "/" => say(StatusCode::OK, PLAIN, Bytes::from_static(b"tombola: metrics are at /metrics\n")),
        _ => say(StatusCode::NOT_FOUND, PLAIN, Bytes::from_static(b"metrics are at /metrics\n")),
    }
}

#[cfg(test)]
mod tests;
