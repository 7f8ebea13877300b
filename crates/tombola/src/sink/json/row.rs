//! A row as an object: its keys, types and descriptions are those of the catalogue.

use crate::sink::AuditView;
use crate::sink::cell::{Cell, file_cell};
use crate::text::harmless;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use tombola_core::metric::audit::METRICS;
use tombola_core::metric::{Metric, Shape};

/// One row: a value for each metric, in the order of the catalogue.
pub(super) struct RowRecord(Vec<Cell>);

/// The rows of a view.
pub(super) fn records(view: &AuditView<'_>) -> Vec<RowRecord> {
    let cells = |row| METRICS.iter().map(|metric| file_cell(metric, row, view.groups, harmless)).collect();
    view.rows.iter().map(|row| RowRecord(cells(row))).collect()
}

impl Serialize for RowRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (metric, cell) in METRICS.iter().zip(&self.0) {
            map.serialize_entry(metric.key, cell)?;
        }
        map.end()
    }
}

impl JsonSchema for RowRecord {
    fn schema_name() -> Cow<'static, str> {
        "RowRecord".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let required: Vec<&str> = METRICS.iter().filter(|m| !m.optional).map(|m| m.key).collect();
        json_schema!({
            "description": "One row.",
            "type": "object",
            "properties": METRICS.iter().map(|m| (m.key.to_owned(), property(m))).collect::<Map<_, _>>(),
            "required": required,
        })
    }
}

fn property<R>(metric: &Metric<R>) -> Value {
    let (kind, format) = match metric.shape {
        Shape::Unsigned32 => ("integer", Some("uint32")),
        Shape::Unsigned64 => ("integer", Some("uint64")),
        Shape::Signed8 => ("integer", Some("int8")),
        Shape::Signed64 => ("integer", Some("int64")),
        Shape::Real => ("number", Some("double")),
        Shape::Text => ("string", None),
        Shape::Flag => ("boolean", None),
    };
    let mut property = Map::new();
    property.insert("description".to_owned(), metric.meaning.into());
    property.insert("type".to_owned(), if metric.optional { json!([kind, "null"]) } else { kind.into() });
    if let Some(format) = format {
        property.insert("format".to_owned(), format.into());
    }
    match metric.shape {
        Shape::Unsigned32 | Shape::Unsigned64 => {
            property.insert("minimum".to_owned(), 0.into());
        }
        Shape::Signed8 => {
            property.insert("minimum".to_owned(), i8::MIN.into());
            property.insert("maximum".to_owned(), i8::MAX.into());
        }
        _ => {}
    }
    property.into()
}
