//! What libbpf and the verifier print, kept for the moment it is needed.

use libbpf_rs::PrintLevel;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process;
use std::sync::Mutex;

/// libbpf's print callback is one per process and carries no context, so the text lives in a static.
static TEXT: Mutex<String> = Mutex::new(String::new());

#[allow(clippy::needless_pass_by_value)] // the signature is libbpf-rs's
fn keep(_level: PrintLevel, message: String) {
    if let Ok(mut text) = TEXT.lock() {
        text.push_str(&message);
    }
}

/// Begins to keep what libbpf prints, from nothing.
pub(crate) fn start() {
    if let Ok(mut text) = TEXT.lock() {
        text.clear();
    }
    libbpf_rs::set_print(Some((PrintLevel::Info, keep)));
}

/// What was printed since the start.
pub(crate) fn text() -> String {
    TEXT.lock().map(|text| text.clone()).unwrap_or_default()
}

/// Writes what was printed to a new file in the temporary directory; `None` if nothing was, or it cannot be
/// written.
pub(crate) fn save() -> Option<PathBuf> {
    let text = text();
    if text.is_empty() {
        return None;
    }
    // A new file of an unused name: never somebody's link.
    (0..100).find_map(|n| {
        let path = std::env::temp_dir().join(format!("tombola-load-{}-{n}.log", process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).ok()?;
        file.write_all(text.as_bytes()).ok().map(|()| path)
    })
}
