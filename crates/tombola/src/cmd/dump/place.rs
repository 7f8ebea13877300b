//! Where samples go, and as what: a table for people, and lines for programs in one place or another.

use crate::cli::{DumpArgs, Format, refuse_columns};
use crate::pace::notify;
use crate::sink::csv::{self, Csv};
use crate::sink::json::intervals::Pieces;
use crate::sink::line_file::LineFile;
use crate::sink::table::View;
use crate::sink::{dump_json, json, table};
use crate::target::Target;
use anyhow::Result;
use clap::error::ErrorKind;
use std::io::Write;
use std::path::Path;
use tombola_core::report::Row;

/// What is written, and where.
pub(super) struct Place {
    /// What standard output has; `None` for nothing.
    printed: Option<Format>,
    /// What a file has, beside it or alone.
    file: Option<File>,
    /// Whether CSV has the columns after `ticket_share`.
    wide: bool,
    /// What is still to be written of a document in JSON.
    document: Pieces,
    /// Kinds of lines of ndjson that are written; none for all.
    records: Vec<String>,
}

enum File {
    Csv(Csv),
    /// Replaced when the document is whole.
    Json(Target),
    Ndjson(LineFile),
}

impl Place {
    /// Opens what has to be opened, before anything is measured.
    ///
    /// # Errors
    /// Those of [`LineFile::open`].
    pub(super) fn open(args: &DumpArgs) -> Result<Self> {
        let (wide, format) = (args.wide, args.show.format);
        let records = || args.show.records.clone();
        if format != Some(Format::Ndjson) && !records().is_empty() {
            clap::Error::raw(ErrorKind::ArgumentConflict, "--records is for --format ndjson\n").exit();
        }
        let is_dash = args.output.as_deref() == Some(Path::new("-"));
        // Without a format a file comes beside the table.
        let is_table = format.map_or(!is_dash, |format| format == Format::Table);
        refuse_columns(!args.show.columns.is_empty(), is_table);
        let document = Pieces::new(json::SCHEMA);
        let printed =
            |format| Ok(Self { printed: Some(format), file: None, wide, document, records: records() });
        let Some(path) = &args.output else { return printed(format.unwrap_or(Format::Table)) };
        if path == Path::new("-") {
            return printed(format.unwrap_or(Format::Csv));
        }
        let (file, notice) = match format.unwrap_or(Format::Csv) {
            // The last two are no formats of dump: its flag does not take them.
            Format::Table | Format::Junit | Format::Github => clap::Error::raw(
                ErrorKind::ArgumentConflict,
                "--output takes csv, json or ndjson; to keep a table, redirect the output\n",
            )
            .exit(),
            Format::Csv => {
                let (file, notice) = Csv::open(path, wide)?;
                (File::Csv(file), notice)
            }
            Format::Json => (File::Json(Target::open_like(Some(path), json::ANY)?), None),
            Format::Ndjson => {
                let (file, notice) = LineFile::open_bare(path, json::BEGIN)?;
                (File::Ndjson(file), notice)
            }
        };
        if let Some(notice) = notice {
            notify(&notice);
        }
        Ok(Self {
            printed: format.is_none().then_some(Format::Table),
            file: Some(file),
            wide,
            document,
            records: records(),
        })
    }

    /// Whether people read along.
    pub(super) fn prints_table(&self) -> bool {
        self.printed == Some(Format::Table)
    }

    /// Writes a sample. CSV has all rows of single tasks that `is_kept` holds for.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(super) fn write(
        &mut self,
        view: &View<'_>,
        is_kept: &dyn Fn(&Row) -> bool,
        out: &mut dyn Write,
    ) -> Result<()> {
        let tasks = || view.report.rows.iter().filter(|row| is_kept(row)).cloned().collect::<Vec<Row>>();
        let unix_us = view.report.head.unix_us;
        if let Some(format) = self.printed {
            let bytes = match format {
                Format::Table | Format::Junit | Format::Github => table::render(view).into_bytes(),
                Format::Json => self.document.next(&dump_json::whole(view)?),
                Format::Ndjson => dump_json::lines(view, &self.records)?,
                Format::Csv => {
                    if view.iteration == 1 {
                        writeln!(out, "{}", csv::header(self.wide))?;
                    }
                    csv::rows(view.iteration, unix_us, &tasks(), view.groups, self.wide)
                }
            };
            out.write_all(&bytes)?;
            out.flush()?;
        }
        match &mut self.file {
            None => Ok(()),
            Some(File::Csv(file)) => file.append(view.iteration, unix_us, &tasks(), view.groups),
            Some(File::Json(file)) => file.write(out, &self.document.next(&dump_json::whole(view)?)),
            Some(File::Ndjson(file)) => file.append(&dump_json::lines(view, &self.records)?),
        }
    }

    /// Ends what has an end.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(super) fn finish(self, out: &mut dyn Write) -> Result<()> {
        if let Some(File::Json(mut file)) = self.file {
            file.write(out, &self.document.end())?;
            return file.finish();
        }
        if self.printed == Some(Format::Json) {
            out.write_all(&self.document.end())?;
            out.flush()?;
        }
        Ok(())
    }
}
