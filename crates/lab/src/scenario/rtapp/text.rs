//! The text of an rt-app file: JSON with comments, commas before a closing bracket, and keys given twice.

use super::Result;
use crate::scenario::place::{Place, ScenarioError};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number that is no integer of 64 bits.
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(Object),
}

/// Keys and values in the order of the file; a key may be there more than once.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Object(pub(super) Vec<(String, Value)>);

impl Object {
    /// The value of a key; of several the last, as rt-app has it.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Keys that are there more than once.
    pub(super) fn repeated(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let mut twice: Vec<&str> =
            names.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0]).collect();
        twice.dedup();
        twice
    }
}

impl Value {
    pub(super) fn as_u64(&self) -> Option<u64> {
        self.as_i64().and_then(|n| u64::try_from(n).ok())
    }

    pub(super) fn as_i64(&self) -> Option<i64> {
        if let Self::Integer(n) = self { Some(*n) } else { None }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        if let Self::Object(object) = self { object.get(key) } else { None }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::List(_) => f.write_str("a list"),
            Self::Object(_) => f.write_str("an object"),
        }
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, b: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> std::result::Result<Value, E> {
        Ok(Value::Integer(n))
    }

    fn visit_u64<E>(self, n: u64) -> std::result::Result<Value, E> {
        Ok(i64::try_from(n).map_or(Value::Number(n as f64), Value::Integer))
    }

    fn visit_f64<E>(self, n: f64) -> std::result::Result<Value, E> {
        Ok(Value::Number(n))
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Object(Object(entries)))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(Reading)
    }
}

/// Reads the text.
pub(super) fn read(text: &str) -> Result<Value> {
    serde_json::from_str(&plain(text)).map_err(|e| ScenarioError {
        place: Some(Place { line: e.line(), column: e.column() }),
        message: format!("no JSON: {e}"),
    })
}

/// The text without comments (`/* … */`, `// …`) and without commas before a closing bracket; blanks stand in
/// their places, so that lines and columns stay what they are.
fn plain(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let (mut at, mut comma) = (0, None);
    while at < bytes.len() {
        let (here, next) = (bytes[at], bytes.get(at + 1).copied());
        match here {
            b'"' => {
                comma = None;
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'/' if matches!(next, Some(b'/' | b'*')) => {
                let block = next == Some(b'*');
                let from = at;
                at += 2;
                while at < bytes.len() {
                    if block && bytes[at - 1] == b'*' && bytes[at] == b'/' && at > from + 2 {
                        at += 1;
                        break;
                    }
                    if !block && bytes[at] == b'\n' {
                        break;
                    }
                    at += 1;
                }
                let to = at.min(bytes.len());
                bytes[from..to].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
                continue;
            }
            b',' => comma = Some(at),
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    bytes[comma] = b' ';
                }
            }
            _ if here.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at += 1;
    }
    String::from_utf8(bytes).unwrap_or_default() // only whole comments became blanks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_commas_and_repeated_keys_are_read() {
        let text = "{ /* a, } */ \"x\": 1, // b\n \"x\": [1, 2,], \"t\": \"/* no */ ,}\", }";
        let Value::Object(object) = read(text).unwrap() else { panic!() };
        assert_eq!(object.0.len(), 3);
        assert_eq!(object.repeated(), ["x"]);
        assert_eq!(object.get("x").unwrap().as_list().unwrap().len(), 2);
        assert_eq!(object.get("t").unwrap().as_str(), Some("/* no */ ,}"));
        assert!(read("{\"a\": 1,\n /* x */ ?}").unwrap_err().to_string().contains("line 2, column 10"));
        assert!(
            read("{\"a\": 1,,}").is_err() && read("{,}").is_ok_and(|v| v == Value::Object(Object::default()))
        );
    }
}
