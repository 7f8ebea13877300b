//! Where the results of a verb go that has one after another.

use super::SCHEMA;
use crate::sink::json::intervals::Pieces;
use crate::target::Target;
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ResultFormat {
    /// For people.
    #[default]
    Table,
    /// One document: an object, with a list of intervals where there can be several.
    Json,
    /// An object a line.
    Ndjson,
}

/// Tables, a document of all results, or a result a line.
pub(crate) struct Outlet {
    format: ResultFormat,
    target: Target,
    document: Pieces,
}

impl Outlet {
    /// Opens what has to be opened.
    ///
    /// # Errors
    /// Those of [`Target::open`].
    pub(crate) fn open(format: ResultFormat, output: Option<&Path>) -> Result<Self> {
        let target = Target::open(output)?;
        Ok(Self { format, target, document: Pieces::new(SCHEMA) })
    }

    /// Writes one result, as people read it or as its record.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(crate) fn write<T: Serialize>(
        &mut self,
        out: &mut dyn Write,
        table: impl FnOnce() -> String,
        record: impl FnOnce() -> T,
    ) -> Result<()> {
        let bytes = match self.format {
            ResultFormat::Table => table().into_bytes(),
            ResultFormat::Json => {
                self.document.next(&serde_json::to_vec(&record()).context("cannot write JSON")?)
            }
            ResultFormat::Ndjson => super::line(record())?,
        };
        self.target.write(out, &bytes)
    }

    /// Ends what has an end, and puts a file in its place.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(crate) fn finish(mut self, out: &mut dyn Write) -> Result<()> {
        if self.format == ResultFormat::Json {
            self.target.write(out, &self.document.end())?;
        }
        self.target.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_one_document_and_ndjson_an_object_a_line() {
        for (format, expected) in [
            (ResultFormat::Table, "tt"),
            (ResultFormat::Json, "{\"schema\":2,\"intervals\":[\n{\"n\":1},\n{\"n\":2}\n]}\n"),
            (ResultFormat::Ndjson, "{\"schema\":2,\"n\":1}\n{\"schema\":2,\"n\":2}\n"),
        ] {
            let mut out = Vec::new();
            let mut outlet = Outlet::open(format, None).unwrap();
            for n in 1..3 {
                outlet.write(&mut out, || "t".to_owned(), || serde_json::json!({ "n": n })).unwrap();
            }
            outlet.finish(&mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
