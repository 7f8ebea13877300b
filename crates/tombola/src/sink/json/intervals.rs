//! A document of all intervals, written as they come: `{"schema":N,"intervals":[`, an interval a line, `]}`.

use schemars::JsonSchema;
use serde::Serialize;

/// The document, as its schema has it.
#[derive(Serialize, JsonSchema)]
pub(in crate::sink) struct Intervals<T> {
    /// Number of this schema.
    pub(in crate::sink) schema: u32,
    /// One after another.
    pub(in crate::sink) intervals: Vec<T>,
}

/// What is still to be written of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pieces {
    schema: u32,
    begun: bool,
}

impl Pieces {
    /// A document of this schema, of which nothing is written.
    pub(crate) fn new(schema: u32) -> Self {
        Self { schema, begun: false }
    }

    /// What an interval adds.
    pub(crate) fn next(&mut self, interval: &[u8]) -> Vec<u8> {
        let before = if self.begun { ",\n".to_owned() } else { self.begin() + "\n" };
        self.begun = true;
        [before.as_bytes(), interval].concat()
    }

    /// The end, after as many intervals as there were.
    pub(crate) fn end(self) -> Vec<u8> {
        if self.begun { b"\n]}\n".to_vec() } else { (self.begin() + "]}\n").into_bytes() }
    }

    fn begin(self) -> String {
        format!("{{\"schema\":{},\"intervals\":[", self.schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_intervals_there_are_it_is_one_document() {
        for count in 0..4_u32 {
            let mut pieces = Pieces::new(7);
            let mut text: Vec<u8> =
                (0..count).flat_map(|i| pieces.next(format!("{{\"i\":{i}}}").as_bytes())).collect();
            text.extend(pieces.end());
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            let intervals: Vec<_> = (0..count).map(|i| serde_json::json!({ "i": i })).collect();
            assert_eq!(value, serde_json::json!({ "schema": 7, "intervals": intervals }));
            assert_eq!(
                String::from_utf8(text).unwrap().lines().count(),
                1 + if count > 0 { count as usize + 1 } else { 0 }
            );
        }
    }
}
