//! A row as an object: its keys, types and descriptions are those of the catalogue.

use crate::groups::Groups;
use crate::sink::cell::{Cell, File, file_cell};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::marker::PhantomData;
use tombola_core::metric::{Metric, Shape, audit, dump};
use tombola_core::{audit as ledger, report};

/// A kind of row, and its part of the catalogue.
pub(in crate::sink) trait Catalogue {
    /// A row.
    type Row: 'static;
    /// What is known of it.
    const METRICS: &'static [Metric<Self::Row>];
}

/// Rows of the ledger.
pub(in crate::sink) struct AuditRows;

impl Catalogue for AuditRows {
    type Row = ledger::Row;
    const METRICS: &'static [Metric<ledger::Row>] = audit::METRICS;
}

/// Rows of a report.
pub(in crate::sink) struct DumpRows;

impl Catalogue for DumpRows {
    type Row = report::Row;
    const METRICS: &'static [Metric<report::Row>] = dump::METRICS;
}

/// One row: a value for each metric, in the order of the catalogue.
pub(in crate::sink) struct RowRecord<C>(Vec<Cell>, PhantomData<C>);

impl<C: Catalogue> RowRecord<C> {
    /// What is known of a row.
    pub(in crate::sink) fn of(row: &C::Row, groups: &Groups) -> Self {
        Self(
            C::METRICS.iter().map(|metric| file_cell(metric, row, groups, File::Json)).collect(),
            PhantomData,
        )
    }
}

impl<C: Catalogue> Serialize for RowRecord<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (metric, cell) in C::METRICS.iter().zip(&self.0) {
            map.serialize_entry(metric.json_key(), cell)?;
        }
        map.end()
    }
}

impl<C: Catalogue> JsonSchema for RowRecord<C> {
    fn schema_name() -> Cow<'static, str> {
        "RowRecord".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let required: Vec<&str> = C::METRICS.iter().filter(|m| !m.optional).map(Metric::json_key).collect();
        json_schema!({
            "description": "One row.",
            "type": "object",
            "properties": C::METRICS.iter().map(|m| (m.json_key().to_owned(), property(m))).collect::<Map<_, _>>(),
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
