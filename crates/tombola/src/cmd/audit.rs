//! `tombola audit`: the ledger of the machine, interval by interval, or of the time a command runs.

mod instants;
mod judging;

use crate::audit_view::{AuditView, CommandView, longest};
use crate::cli::{AuditArgs, Format, Sort, refuse_columns};
use crate::command::Command;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::interval::Interval;
use crate::moment::schedulers;
use crate::pace::{First, Pace, Step, notify, wait_for};
use crate::past;
use crate::sink::json::intervals::Pieces;
use crate::sink::line_file::LineFile;
use crate::sink::{audit_csv, audit_table, checks, json};
use crate::source::{self, Aside, Wanted};
use crate::target::Target;
use crate::terminal;
use crate::verdict::unseen;
use anyhow::{Context, Result};
use clap::error::ErrorKind;
use judging::{Judged, Judging};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tombola_core::audit::{About, Audit, Finding, Line, Row};
use tombola_core::cpu_set::CpuSet;
use tombola_core::frame::Frame;
use tombola_core::identity::TaskId;
use tombola_core::source::Origin;

/// Length of an interval where none is given and no command sets it.
const INTERVAL: Duration = Duration::from_secs(5);

/// Rows of a table where no number is given.
const TABLE_ROWS: usize = 20;

/// The worst waiters of whom it is told who stood in their way.
const HINDERED: usize = 5;

/// Audits until told to stop. What fails, fails before the first interval and before the command starts.
pub fn run(args: &AuditArgs, out: &mut dyn Write) -> Result<Exit> {
    if args.json_schema {
        out.write_all(json::schema()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let interrupt = Interrupt::catch()?;
    let mut sink = Sink::open(args)?;
    let interval = if args.command.is_empty() {
        args.past.interval_or(args.interval, INTERVAL)
    } else {
        args.interval.map(Interval::get)
    };
    let wanted = Wanted {
        interference: (!args.no_interference).then_some(args.max_pairs),
        tickets: true,
        owners: args.select.user.is_some(),
        light: args.light,
        ..Wanted::default()
    };
    let report = args.report.as_deref().map(|path| Target::open(Some(path))).transpose()?;
    let culprits = !args.no_interference;
    let aside = Aside { lanes: report.is_some(), ledger: is_whole(args), culprits };
    let (source, beside) = match past::open_with(&args.past, None, aside)? {
        Some((source, beside)) => (source, Some(beside)),
        None => (past::open_or(&args.past, culprits, || source::open(args.map.as_deref(), wanted))?, None),
    };
    let origin = source.origin();
    let mut pace =
        Pace::new(source, interval, args.past.iterations_or_usual(args.iterations), First::FromNow)?;
    let mut judging = Judging::begin(origin, pace.before(), report);
    let mut command = match args.command.split_first() {
        None => None,
        Some((program, arguments)) => Some(Command::start(program, arguments)?),
    };
    if let (Some(length), None) = (interval, &command) {
        terminal::tell_long("watching", length);
    }
    let mut outcome = Outcome::default();
    // The tasks that were shown in any interval; `None` for all.
    let mut seen: Option<BTreeSet<TaskId>> = (!args.select.is_all()).then(BTreeSet::new);
    let mut iteration = 0;
    while let Some(Step { window, frame }) = pace.next(|length| match &mut command {
        None => Ok(wait_for(&interrupt, length)),
        Some(command) => command.wait(&interrupt, length),
    })? {
        iteration += 1;
        let audit = Audit::new(&window).context("the groups of the monitor contradict themselves")?;
        let shown = Shown::of(args, &audit, frame, command.as_ref());
        outcome.judge(args, &audit, &shown);
        outcome.unknown_group = args.select.unknown_group(frame);
        judging.add(args, &window, frame)?;
        let view = shown.view(args, &audit, frame, origin, iteration, command.as_ref());
        sink.write(&view, &args.records, out)?;
        match (&mut seen, &shown.tasks) {
            (Some(seen), Some(tasks)) => seen.extend(tasks),
            _ => seen = None,
        }
    }
    sink.end_document(out)?;
    // The recording tells what else it kept when it is over.
    drop(pace);
    let beside = beside.and_then(|beside| beside.try_recv().ok());
    if let Some(beside) = &beside {
        let is_shown = |id| seen.as_ref().is_none_or(|tasks| tasks.contains(&id));
        out.write_all(instants::table(beside, is_shown).as_bytes())?;
        out.flush()?;
    }
    let lanes = beside.as_ref().and_then(|beside| beside.lanes.as_ref());
    if let Some(judged) = judging.finish(args, command.as_ref(), lanes)? {
        (outcome.exceeded, outcome.unknown) = (judged.exceeded(), judged.unknown());
        sink.conclude(&judged, command.is_some(), out)?;
    }
    if let Some(mut command) = command {
        // The interval is over, the command perhaps not: whoever started it waits for it.
        let was_running = command.exit_status().is_none();
        if let (true, Some(status)) = (was_running, command.finish(&interrupt)?) {
            notify(&format!("command: process {}, ended with status {status}", command.pid()));
        }
    }
    Ok(outcome.exit(args, origin))
}

/// Whether the exact ledger of a recording is printed too: of one that is looked at as a whole.
fn is_whole(args: &AuditArgs) -> bool {
    let is_whole = args.past.from.is_none() && args.past.to.is_none() && args.interval.is_none();
    is_whole && args.format() == Format::Table && args.output.is_none()
}

/// What of an audit is shown.
struct Shown {
    /// The rows, in order, those left out by `--top` too.
    rows: Vec<Row>,
    /// How many of them are shown.
    count: usize,
    /// The tasks in them; `None` for all.
    tasks: Option<BTreeSet<TaskId>>,
    /// What is found about them.
    findings: Vec<Finding>,
}

impl Shown {
    fn of(args: &AuditArgs, audit: &Audit, frame: &Frame, command: Option<&Command>) -> Self {
        let tasks = if let (true, Some(command)) = (args.select.is_all(), command) {
            Some(rivals(audit, command))
        } else if args.select.is_all() {
            None
        } else {
            let holds = |line: &&Line| args.select.holds(&line.task, frame);
            Some(audit.lines.iter().filter(holds).map(|line| line.task.totals.id).collect())
        };
        let keep = |line: &Line| tasks.as_ref().is_none_or(|tasks| tasks.contains(&line.task.totals.id));
        let mut rows = audit.rows(args.by, keep);
        match args.sort {
            Sort::Lag => rows.sort_by_cached_key(|row| Reverse(row.lag_ns())),
            Sort::Wait => rows.sort_by_cached_key(|row| Reverse(row.usage.imposed_wait_ns())),
            Sort::Run => rows.sort_by_cached_key(|row| Reverse(row.usage.runtime_ns)),
            Sort::Preempted => rows.sort_by_cached_key(|row| Reverse(row.usage.preempted())),
        }
        let mut shown = Self { rows, count: 0, tasks, findings: Vec::new() };
        shown.findings = audit.findings.iter().filter_map(|finding| shown.focused(audit, finding)).collect();
        shown.count = shown.limit(args);
        shown
    }

    /// How many rows are shown. Where that is not asked for, who waited longest is among them.
    fn limit(&mut self, args: &AuditArgs) -> usize {
        let usual = if args.format() == Format::Table { TABLE_ROWS } else { 0 };
        let count = match args.top.unwrap_or(usual) {
            0 => self.rows.len(),
            top => top.min(self.rows.len()),
        };
        let waited = |at: &usize| self.rows[*at].usage.imposed_wait_ns();
        let longest = (0..self.rows.len()).rev().max_by_key(waited);
        let Some(longest) = longest.filter(|at| args.top.is_none() && *at >= count) else { return count };
        self.rows[count..=longest].rotate_right(1);
        count + 1
    }

    fn view<'a>(
        &'a self,
        args: &'a AuditArgs,
        audit: &'a Audit,
        frame: &'a Frame,
        origin: Origin,
        iteration: u64,
        command: Option<&Command>,
    ) -> AuditView<'a> {
        AuditView {
            iteration,
            audit,
            origin,
            scheduler: schedulers(&frame.machine, &frame.groups),
            group_mode: frame.machine.group_mode.clone(),
            by: args.by,
            columns: &args.columns,
            width: if args.output.is_none() { terminal::columns() } else { None },
            longest: longest(&self.rows),
            rows: &self.rows[..self.count],
            rows_left_out: self.rows.len() - self.count,
            findings: self.findings.iter().collect(),
            groups: &frame.groups,
            hindered: audit.hindered(HINDERED, |line| self.shows(line.task.totals.id)),
            hindered_groups: audit.hindered_groups(HINDERED, |line| self.shows(line.task.totals.id)),
            command: command
                .map(|command| CommandView { pid: command.pid(), exit_status: command.exit_status() }),
            nice_check: args.nice_check,
        }
    }

    /// Whether a task is in the rows.
    fn shows(&self, id: TaskId) -> bool {
        self.tasks.as_ref().is_none_or(|tasks| tasks.contains(&id))
    }

    /// A finding as far as it is about what is shown: it names the task that was asked for. Real-time tasks
    /// take time from everybody on their CPU.
    fn focused(&self, audit: &Audit, finding: &Finding) -> Option<Finding> {
        let shown = finding.tasks.iter().filter(|id| self.shows(**id));
        let waited = |id: &TaskId| {
            let at = audit.lines.binary_search_by_key(id, |line| line.task.totals.id);
            at.map_or(0, |at| audit.lines[at].task.delta.imposed_wait_ns())
        };
        let is_real_time = matches!(finding.about, About::RealTime { .. });
        match shown.max_by_key(|id| (waited(id), Reverse(**id))) {
            Some(_) if self.shows(finding.foremost) => Some(finding.clone()),
            Some(foremost) => Some(Finding { foremost: *foremost, ..finding.clone() }),
            None => is_real_time.then(|| finding.clone()),
        }
    }
}

/// The tasks of a command, and those that could have run where it ran.
fn rivals(audit: &Audit, command: &Command) -> BTreeSet<TaskId> {
    let is_its = |line: &Line| command.processes().contains(&line.task.totals.tgid);
    let mut cpus = Some(CpuSet::default());
    for line in audit.lines.iter().filter(|line| is_its(line)) {
        match (&mut cpus, &line.task.totals.affinity) {
            (Some(cpus), Some(affinity)) => cpus.union_with(affinity),
            (cpus, None) => *cpus = None, // not known: any
            (None, _) => {}
        }
    }
    let could_meet = |line: &Line| match (&cpus, &line.task.totals.affinity) {
        (Some(cpus), Some(affinity)) => cpus.intersects(affinity),
        _ => true,
    };
    let shown = audit.lines.iter().filter(|line| is_its(line) || could_meet(line));
    shown.map(|line| line.task.totals.id).collect()
}

/// Where the audits go.
enum Sink {
    /// Standard output.
    Print(Format),
    /// A file that is appended to.
    Append(Format, LineFile),
    /// A file that what is said at the end replaces.
    Replace(Format, RefCell<Option<Target>>),
    /// A document in JSON until its end, and what is still to be written of it.
    Document(Option<(Target, Pieces)>),
}

impl Sink {
    fn open(args: &AuditArgs) -> Result<Self> {
        let format = args.format();
        if format != Format::Ndjson && !args.records.is_empty() {
            clap::Error::raw(ErrorKind::ArgumentConflict, "--records is for --format ndjson\n").exit();
        }
        refuse_columns(!args.columns.is_empty(), format == Format::Table);
        let Some(path) =
            args.output.as_deref().filter(|path| format != Format::Table || *path != Path::new("-"))
        else {
            return match format {
                Format::Json => Self::document(None),
                _ => Ok(Self::Print(format)),
            };
        };
        let (file, notice) = match format {
            Format::Table => clap::Error::raw(
                ErrorKind::ArgumentConflict,
                "--output takes csv, json or ndjson; to keep a table, redirect the output\n",
            )
            .exit(),
            Format::Csv => LineFile::open(path, &audit_csv::header())?,
            Format::Json => return Self::document(Some(path)),
            Format::Ndjson => LineFile::open_bare(path, json::BEGIN)?,
            Format::Junit | Format::Github => {
                return Ok(Self::Replace(format, RefCell::new(Some(Target::open(Some(path))?))));
            }
        };
        if let Some(notice) = notice {
            notify(&notice);
        }
        Ok(Self::Append(format, file))
    }

    fn document(path: Option<&Path>) -> Result<Self> {
        Ok(Self::Document(Some((Target::open_like(path, json::ANY)?, Pieces::new(json::SCHEMA)))))
    }

    fn write(&mut self, view: &AuditView<'_>, records: &[String], out: &mut dyn Write) -> Result<()> {
        let (Self::Print(format) | Self::Append(format, _) | Self::Replace(format, _)) = self else {
            return self.write_document(view, out);
        };
        let bytes = match format {
            Format::Table => audit_table::render(view).into_bytes(),
            Format::Csv => audit_csv::lines(view)?,
            Format::Ndjson => json::lines(view, records)?,
            // A document of its own; these speak at the end.
            Format::Json | Format::Junit | Format::Github => return Ok(()),
        };
        match self {
            Self::Append(_, file) => file.append(&bytes),
            Self::Replace(..) | Self::Document(_) => Ok(()),
            Self::Print(format) => {
                if *format == Format::Csv && view.iteration == 1 {
                    writeln!(out, "{}", audit_csv::header())?;
                }
                out.write_all(&bytes)?;
                Ok(out.flush()?)
            }
        }
    }
}

impl Sink {
    fn write_document(&mut self, view: &AuditView<'_>, out: &mut dyn Write) -> Result<()> {
        if let Self::Document(Some((target, pieces))) = self {
            target.write(out, &pieces.next(&json::whole(view)?))?;
        }
        Ok(())
    }

    /// Ends a document, after the last interval.
    fn end_document(&mut self, out: &mut dyn Write) -> Result<()> {
        let Self::Document(document) = self else { return Ok(()) };
        let Some((mut target, pieces)) = document.take() else { return Ok(()) };
        target.write(out, &pieces.end())?;
        target.finish()
    }

    /// Writes what is said at the end.
    fn conclude(&self, judged: &Judged, of_command: bool, out: &mut dyn Write) -> Result<()> {
        let (Self::Print(format) | Self::Append(format, _) | Self::Replace(format, _)) = self else {
            return Ok(());
        };
        let text = match format {
            Format::Junit => checks::junit(&judged.checks()),
            Format::Github => checks::github(&judged.checks()),
            Format::Table if of_command => format!("{}\n", judged.paragraph),
            Format::Table | Format::Csv | Format::Json | Format::Ndjson => return Ok(()),
        };
        if let Self::Replace(_, target) = self {
            return target.take().map_or(Ok(()), |target| target.put(out, text.as_bytes()));
        }
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}

/// What the intervals came to, for the exit status.
#[derive(Default)]
struct Outcome {
    /// Limits of `--fail-if` that are exceeded, in words.
    exceeded: Vec<String>,
    /// Limits of `--fail-if` of which nothing is known, in words.
    unknown: Vec<String>,
    lost: bool,
    found: bool,
    violations: Vec<String>,
    /// Said where the group that is asked for is not known.
    unknown_group: Option<String>,
}

impl Outcome {
    fn judge(&mut self, args: &AuditArgs, audit: &Audit, shown: &Shown) {
        self.lost |= !audit.loss.is_none();
        self.found |= !shown.rows.is_empty();
        let worst_ms = shown.rows.iter().map(Row::lag_ns).max().unwrap_or(0) as f64 / 1e6;
        if let Some(limit) = args.max_lag.filter(|limit| worst_ms > *limit) {
            self.violations.push(format!("largest lag {worst_ms:.3} ms, above --max-lag {limit}"));
        }
        let jain = audit.fairness.jain.unwrap_or(1.0);
        if let Some(limit) = args.min_jain.filter(|limit| jain < *limit) {
            self.violations.push(format!("Jain's index {jain:.4}, below --min-jain {limit}"));
        }
    }

    fn exit(&self, args: &AuditArgs, origin: Origin) -> Exit {
        for violation in self.violations.iter().chain(&self.exceeded).chain(&self.unknown) {
            notify(violation);
        }
        if !self.found && !args.select.is_all() {
            match &self.unknown_group {
                Some(unknown) => notify(unknown),
                None => args.select.tell_nobody("no task ran or waited", origin),
            }
            return Exit::Failure;
        }
        if !self.exceeded.is_empty() {
            return Exit::Verdict;
        }
        // What was to be judged was not seen, so nothing is fair for certain.
        if !self.unknown.is_empty() {
            return Exit::Failure;
        }
        if !self.found && !args.command.is_empty() {
            notify(&format!("no task of the command was seen to run. {}", unseen()));
            return Exit::Failure;
        }
        match (self.violations.is_empty(), self.lost && args.strict) {
            (false, _) => Exit::Check,
            (true, true) => Exit::Loss,
            (true, false) => Exit::Ok,
        }
    }
}

impl AuditArgs {
    /// The format that was asked for, or that goes with the output.
    fn format(&self) -> Format {
        self.format.unwrap_or(if self.output.is_some() { Format::Csv } else { Format::Table })
    }
}

#[cfg(test)]
mod tests;
