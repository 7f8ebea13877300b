//! The verdict on all the time that was audited: in words, against limits, on a page.

use super::Shown;
use crate::cli::AuditArgs;
use crate::cmd::report::{Gathering, measured};
use crate::command::Command;
use crate::pressure::Pressure;
use crate::sink::checks::Checks;
use crate::sink::finding_sentence;
use crate::sink::html::report::{Report, render};
use crate::target::Target;
use crate::text::harmless;
use crate::threshold::Judgement;
use crate::verdict::Verdict;
use anyhow::Result;
use std::path::Path;
use tombola_core::audit::Line;
use tombola_core::frame::Frame;
use tombola_core::source::Origin;
use tombola_core::window::Window;
use tombola_recording::lanes::Lanes;

/// Findings that are told to a build.
const FINDINGS: usize = 8;

/// Audited time, gathered.
pub(super) struct Judging {
    gathering: Gathering,
    page: Option<Target>,
    pressure: Option<Pressure>,
}

/// What it came to.
pub(super) struct Judged {
    /// The verdict in words.
    pub(super) paragraph: String,
    /// Each limit as it was written, and what became of it.
    limits: Vec<(String, Judgement)>,
    findings: Vec<String>,
}

impl Judging {
    /// From this frame on.
    pub(super) fn begin(origin: Origin, before: Option<&Frame>, page: Option<Target>) -> Self {
        let mut gathering = Gathering::new(origin);
        gathering.begin(before);
        Self { gathering, page, pressure: Pressure::begin() }
    }

    /// An interval; where nobody will ask for a verdict, nothing.
    pub(super) fn add(&mut self, args: &AuditArgs, window: &Window, frame: &Frame) -> Result<()> {
        if is_wanted(args) { self.gathering.add(window, frame) } else { Ok(()) }
    }

    /// The verdict, and the page where one is wanted, with who ran where if that is known; `None` where
    /// neither is.
    pub(super) fn finish(
        self,
        args: &AuditArgs,
        command: Option<&Command>,
        lanes: Option<&Lanes>,
    ) -> Result<Option<Judged>> {
        if !is_wanted(args) {
            return Ok(None);
        }
        let (whole, series, frame) = self.gathering.finish()?;
        let shown = Shown::of(args, &whole.audit, &frame, command);
        let is_its = |line: &Line| match command {
            Some(command) => command.processes().contains(&line.task.totals.tgid),
            None => shown.shows(line.task.totals.id),
        };
        let verdict = Verdict::of(&whole, is_its);
        let pressure = self.pressure.as_ref().and_then(|pressure| {
            let part = pressure.since()?;
            let cgroup = if pressure.cgroup == "/" {
                "the whole machine".to_owned()
            } else {
                format!("its cgroup {}", harmless(pressure.cgroup.as_bytes()))
            };
            Some((cgroup, part))
        });
        let pressure = pressure.as_ref().map(|(cgroup, part)| (cgroup.as_str(), *part));
        let paragraph = verdict.paragraph(&name(args, command), pressure.filter(|_| command.is_some()));
        if let Some(page) = self.page {
            let measured = measured(&whole, series.intervals.len());
            let verdict = paragraph.as_str();
            let html =
                render(&Report { verdict, whole: &whole, series: &series, lanes, measured: &measured })?;
            page.put(&mut std::io::stdout(), html.as_bytes())?;
        }
        let limits = args.fail_if.iter().map(|limit| (limit.to_string(), verdict.judge(limit))).collect();
        let view = whole.view();
        let about_it = shown.findings.iter().take(FINDINGS);
        let findings = about_it.map(|finding| finding_sentence(&view, finding)).collect();
        Ok(Some(Judged { paragraph, limits, findings }))
    }
}

impl Judged {
    /// Limits that are exceeded, in words.
    pub(super) fn exceeded(&self) -> Vec<String> {
        let said = |judgement: &Judgement| match judgement {
            Judgement::Exceeded(said) => Some(said.clone()),
            Judgement::Kept | Judgement::Unknown(_) => None,
        };
        self.limits.iter().filter_map(|(_, judgement)| said(judgement)).collect()
    }

    /// Limits of which nothing is known, in words.
    pub(super) fn unknown(&self) -> Vec<String> {
        let said = |judgement: &Judgement| match judgement {
            Judgement::Unknown(said) => Some(said.clone()),
            Judgement::Kept | Judgement::Exceeded(_) => None,
        };
        self.limits.iter().filter_map(|(_, judgement)| said(judgement)).collect()
    }

    /// It for a build.
    pub(super) fn checks(&self) -> Checks<'_> {
        Checks { paragraph: &self.paragraph, limits: &self.limits, findings: &self.findings }
    }
}

fn is_wanted(args: &AuditArgs) -> bool {
    use crate::cli::Format;
    !args.command.is_empty()
        || !args.fail_if.is_empty()
        || args.report.is_some()
        || matches!(args.format(), Format::Junit | Format::Github)
}

/// What the verdict is about: the command with how it ended, or what is shown.
fn name(args: &AuditArgs, command: Option<&Command>) -> String {
    let Some(command) = command else {
        return if args.select.is_all() { "All tasks" } else { "The tasks that the filters hold for" }
            .to_owned();
    };
    let program = args.command.first().map(|program| Path::new(program).file_name().unwrap_or(program));
    let program = program.map_or_else(String::new, |program| harmless(program.as_encoded_bytes()));
    match command.exit_status() {
        Some(status) => format!("{program} (process {}, ended with status {status})", command.pid()),
        None => format!("{program} (process {}, still running)", command.pid()),
    }
}
