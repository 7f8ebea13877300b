//! `tombola doctor`: the findings, aligned, with what to do about them and a verdict.

use crate::cli::{DoctorArgs, OutputArgs};
use crate::exit::Exit;
use crate::sink::result;
use crate::sink::result::outlet::ResultFormat;
use crate::target::Target;
use crate::text::harmless;
use anyhow::Result;
use std::io::{self, Write};
use std::path::Path;
use tombola_kernel::probe::{self, Finding, Options, Verdict};

/// Looks, prints, and says with the exit status whether the monitor can be loaded.
pub fn run(args: &DoctorArgs, out: &mut dyn Write) -> Result<Exit> {
    let OutputArgs { format, output, json_schema } = &args.output;
    if *json_schema {
        out.write_all(result::doctor::schema()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let mut target = Target::open(output.as_deref())?;
    let pin_dir = args.map_pin.parent().unwrap_or(Path::new("/"));
    let findings = probe::probe(&Options { btf: args.btf.clone(), pin_dir: pin_dir.to_owned() });
    match format {
        ResultFormat::Table => print(&findings, target.writer(out))?,
        ResultFormat::Json | ResultFormat::Ndjson => target.write(out, &result::doctor::line(&findings)?)?,
    }
    target.finish()?;
    Ok(if probe::usable(&findings) { Exit::Ok } else { Exit::Unusable })
}

/// Paths in a detail come from arguments and from the file system: nothing in them may steer the terminal.
fn print(findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
    let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
    for Finding { name, verdict, detail, remedy } in findings {
        writeln!(out, "{verdict:<4}  {name:<width$}  {}", harmless(detail.as_bytes()))?;
        if let Some(remedy) = remedy {
            writeln!(out, "{:4}  {:width$}  -> {}", "", "", harmless(remedy.as_bytes()))?;
        }
    }
    let failed: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Fail)
        .map(|finding| finding.name)
        .collect();
    if failed.is_empty() {
        writeln!(out, "usable: this user can load the monitor on this kernel")
    } else {
        writeln!(out, "not usable: the monitor cannot be loaded before this is mended: {}", failed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(findings: &[Finding]) -> String {
        let mut out = Vec::new();
        print(findings, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn finding(name: &'static str, verdict: Verdict, remedy: Option<&str>) -> Finding {
        Finding { name, verdict, detail: "as \u{1b}[31mseen".to_owned(), remedy: remedy.map(str::to_owned) }
    }

    #[test]
    fn lines_are_aligned_remedies_stand_below_and_the_verdict_ends_it() {
        let text = printed(&[
            finding("BTF", Verdict::Ok, None),
            finding("capabilities", Verdict::Fail, Some("type it with sudo")),
        ]);
        assert_eq!(
            text,
            "ok    BTF           as \\x1b[31mseen\n\
             FAIL  capabilities  as \\x1b[31mseen\n                    -> type it with sudo\n\
             not usable: the monitor cannot be loaded before this is mended: capabilities\n"
        );
        assert!(
            printed(&[finding("BTF", Verdict::Warn, None)]).ends_with("load the monitor on this kernel\n")
        );
    }
}
