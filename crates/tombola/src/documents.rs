//! Pages of docs/ of which a part is made from this program: each is compared with what the program would write.
//!
//! After a change that is meant, `UPDATE_DOCS=1 cargo test -p tombola documents` writes them anew.

use std::path::Path;
use std::{env, fs};

/// Compares what stands between `<!-- NAME: begin … -->` and `<!-- NAME: end -->` in a page with `expected`.
fn compare(page: &str, name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let Ok(text) = fs::read_to_string(&path) else {
        println!("SKIP: docs/{page} is not there: this is a package without its repository");
        return;
    };
    let begin = text.find(&format!("<!-- {name}: begin")).expect("the page marks the part");
    let from = begin + text[begin..].find("-->\n").expect("a mark ends") + "-->\n".len();
    let to = from + text[from..].find(&format!("<!-- {name}: end -->")).expect("the page marks the end");
    let expected = format!("\n{expected}\n");
    if env::var_os("UPDATE_DOCS").is_some_and(|value| !value.is_empty()) {
        fs::write(&path, format!("{}{expected}{}", &text[..from], &text[to..]))
            .expect("the page can be written");
        return;
    }
    let different = text[from..to].lines().zip(expected.lines()).find(|(is, expected)| is != expected);
    assert!(
        text[from..to] == expected,
        "docs/{page} is not what the program says; UPDATE_DOCS=1 cargo test -p tombola documents writes it anew.\nfirst: {different:?}"
    );
}

#[test]
fn metrics_are_those_of_the_catalogue() {
    compare("metrics.md", "catalogue", &tombola_core::metric::markdown());
}
