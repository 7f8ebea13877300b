//! Results of single verbs as JSON: one object a line, each beginning with the number of its schema, and the
//! schema that describes it. Verbs that have several results, one after another, write one document of them,
//! or one object a line.
//!
//! Times are nanoseconds in fields that end in `_ns`, instants microseconds since the Unix epoch in fields
//! that end in `_us`. Text that others have chosen is made harmless as everywhere; a field without a value is
//! null.

pub(crate) mod contrast;
pub(crate) mod doctor;
pub(crate) mod hist;
pub(crate) mod info;
pub(crate) mod outlet;
pub(crate) mod periods;
pub(crate) mod rehearsal;
pub(crate) mod replay;
pub(crate) mod schedule;
pub(crate) mod status;
pub(crate) mod tickets;

use crate::sink::json::intervals::Intervals;
use anyhow::{Context, Result};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;

/// Number of all these schemas: it grows when a field changes its meaning or goes; new fields may come
/// without.
const SCHEMA: u32 = 2;

/// A result under the number of its schema.
#[derive(Serialize, JsonSchema)]
struct Numbered<T> {
    /// Number of this schema.
    schema: u32,
    #[serde(flatten)]
    result: T,
}

/// A result as a line.
fn line<T: Serialize>(result: T) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Numbered { schema: SCHEMA, result }).context("cannot write JSON")?;
    line.push(b'\n');
    Ok(line)
}

/// The JSON Schema of a result, as text that ends with a line break.
fn schema<T: JsonSchema>() -> Result<String> {
    let text = serde_json::to_string_pretty(&schema_for!(Numbered<T>)).context("cannot write the schema")?;
    Ok(text + "\n")
}

/// Several results.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "described, and written piece by piece")]
enum Series<T> {
    /// `--format json`.
    Document(Intervals<T>),
    /// `--format ndjson`.
    Line(Numbered<T>),
}

/// The JSON Schema of several results, as text that ends with a line break.
fn series_schema<T: JsonSchema>(title: &str) -> Result<String> {
    let mut schema = schema_for!(Series<T>);
    schema.insert("title".to_owned(), title.into());
    Ok(serde_json::to_string_pretty(&schema).context("cannot write the schema")? + "\n")
}

/// A line of a result, and the names in it that its schema lacks, or the other way round.
#[cfg(test)]
fn checked(line: &[u8], schema: &str) -> serde_json::Value {
    use serde_json::Value;
    use std::collections::BTreeSet;
    fn walk(value: &Value, is_schema: bool, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                let inner = if is_schema {
                    object.get("properties").and_then(Value::as_object)
                } else {
                    Some(object)
                };
                names.extend(inner.into_iter().flat_map(|inner| inner.keys().cloned()));
                object.values().for_each(|value| walk(value, is_schema, names));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, is_schema, names)),
            _ => {}
        }
    }
    assert!(line.starts_with(br#"{"schema":2,"#) && line.ends_with(b"}\n"));
    let value: Value = serde_json::from_slice(line).unwrap();
    let (mut written, mut described) = (BTreeSet::new(), BTreeSet::new());
    walk(&value, false, &mut written);
    walk(&serde_json::from_str(schema).unwrap(), true, &mut described);
    described.remove("intervals"); // of a document of several
    assert_eq!(written, described);
    value
}
