//! Where the machine gets its packages from, and the same mirror with another suite of Debian.

use std::fs;
use std::path::PathBuf;

/// A source for a suite of Debian, in the newer format, from what the machine's own sources say; none if they
/// name no Debian archive.
pub fn source_of(suite: &str) -> Option<String> {
    derive(&machine_sources(), suite)
}

/// All source files of the machine, those in the newer format first.
fn machine_sources() -> Vec<(String, bool)> {
    let mut files: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
        .map(|dir| dir.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    files.sort();
    files.push("/etc/apt/sources.list".into());
    files
        .iter()
        .filter_map(|file| {
            let stanzas = match file.extension()?.to_str()? {
                "sources" => true,
                "list" => false,
                _ => return None,
            };
            Some((fs::read_to_string(file).ok()?, stanzas))
        })
        .collect()
}

/// A suite of Debian itself, which its mirrors carry beside the others.
fn is_debian(suite: &str) -> bool {
    let base = suite.split('-').next().unwrap_or(suite);
    ["bullseye", "bookworm", "trixie", "forky", "duke", "sid", "unstable", "testing", "stable"]
        .contains(&base)
        && !suite.contains("security")
}

/// A source of the machine with another suite, in the newer format. Each text comes with whether it is in
/// that format.
fn derive(texts: &[(String, bool)], suite: &str) -> Option<String> {
    texts.iter().find_map(|(text, stanzas)| {
        if *stanzas {
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            lines.join("\n").split("\n\n").find_map(|stanza| derive_stanza(stanza, suite))
        } else {
            text.lines().find_map(|line| derive_line(line, suite))
        }
    })
}

fn derive_stanza(stanza: &str, suite: &str) -> Option<String> {
    // A field goes on in lines that begin with a blank: so a key may be written out.
    let field = |wanted: &str| {
        let mut lines = stanza.lines().skip_while(|line| {
            line.starts_with(char::is_whitespace)
                || !line.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
        });
        let first = lines.next()?.split_once(':')?.1.trim().to_owned();
        let more = lines.take_while(|line| line.starts_with(char::is_whitespace));
        Some(more.fold(first, |text, line| text + "\n" + line))
    };
    let is_binary = field("Types")?.split_whitespace().any(|kind| kind == "deb");
    let enabled = field("Enabled").is_none_or(|value| value != "no");
    if !is_binary || !enabled || !field("Suites")?.split_whitespace().any(is_debian) {
        return None;
    }
    let signed = field("Signed-By").map(|key| format!("Signed-By: {key}\n")).unwrap_or_default();
    Some(format!("Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n{signed}", field("URIs")?))
}

fn derive_line(line: &str, suite: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("deb")?.strip_prefix(char::is_whitespace)?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, of) = (words.next()?, words.next()?);
    if !is_debian(of) {
        return None;
    }
    let signed = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="))
        .map(|key| format!("Signed-By: {key}\n"))
        .unwrap_or_default();
    Some(format!("Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{signed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_derived_from_either_format() {
        let stanzas = "Types: deb\nURIs: http://mirror/debian-security\nSuites: bookworm-security\nComponents: main\n\n\
                       # a note\nTypes: deb deb-src\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\n\
                       Components: main contrib\nSigned-By: /usr/share/keyrings/k.gpg\n";
        let expected = "Types: deb\nURIs: http://mirror/debian\nSuites: trixie-backports\nComponents: main\n\
                        Signed-By: /usr/share/keyrings/k.gpg\n";
        assert_eq!(derive(&[(stanzas.into(), true)], "trixie-backports").as_deref(), Some(expected));

        let lines = "# deb http://no/debian bookworm main\ndeb-src http://no/debian bookworm main\n\
                     deb http://other/apt nodistro main\n\
                     deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://mirror/debian trixie main\n";
        assert_eq!(derive(&[(lines.into(), false)], "trixie-backports").as_deref(), Some(expected));

        let inline = stanzas.replace("/usr/share/keyrings/k.gpg", "\n -----BEGIN\n .\n xsBN: A\n -----END");
        let derived = derive(&[(inline, true)], "trixie-backports").unwrap();
        assert!(derived.ends_with("Signed-By: \n -----BEGIN\n .\n xsBN: A\n -----END\n"), "{derived}");

        let ubuntu = "Types: deb\nURIs: http://mirror/ubuntu\nSuites: noble\nComponents: main\n";
        assert_eq!(derive(&[(ubuntu.into(), true)], "bullseye"), None);
        let off = stanzas.replace("# a note\n", "Enabled: no\n");
        assert_eq!(derive(&[(off, true)], "bullseye"), None);
    }
}
