use super::super::audit_table::tests::{example, view};
use super::super::fixture::{hostile, judged, window};
use super::*;
use crate::audit_view::CommandView;
use crate::groups::Groups;
use serde_json::Value;
use std::collections::BTreeSet;
use tombola_core::audit::{Audit, By};

/// The document of this one interval.
fn document(view: &AuditView<'_>) -> Vec<u8> {
    let mut pieces = intervals::Pieces::new(SCHEMA);
    [pieces.next(&whole(view).unwrap()), pieces.end()].concat()
}

fn parsed(bytes: &[u8]) -> Vec<Value> {
    bytes.split_inclusive(|b| *b == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[test]
fn one_object_an_interval() {
    let (audit, groups) = example();
    let rows = audit.rows(By::Task, |_| true);
    let command = Some(CommandView { pid: 104, exit_status: None });
    let bytes = whole(&AuditView { command, ..view(&audit, &rows, &groups) }).unwrap();
    let values = parsed(&bytes);
    assert_eq!(values.len(), 1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&values[0]).unwrap());
}

#[test]
fn one_object_a_line() {
    let (audit, groups) = example();
    for by in [By::Task, By::Process, By::Group, By::Comm] {
        let rows = audit.rows(by, |_| true);
        let view = AuditView { by, ..view(&audit, &rows, &groups) };
        let values = parsed(&lines(&view, &[]).unwrap());
        let hindered = view.hindered.len() + view.hindered_groups.len();
        assert_eq!(values.len(), 1 + audit.findings.len() + hindered + rows.len());
        // The same facts in both formats.
        let whole = &parsed(&super::whole(&view).unwrap())[0];
        let bare = |value: &Value| {
            let mut value = value.clone();
            for key in ["schema", "record", "iteration"] {
                value.as_object_mut().unwrap().remove(key);
            }
            value
        };
        let of = |record: &str| -> Vec<Value> {
            values.iter().filter(|value| value["record"] == record).map(bare).collect()
        };
        assert_eq!(Value::from(of("row")), whole["rows"]);
        assert_eq!(Value::from(of("hindered")), whole["hindered"]);
        assert_eq!(Value::from(of("hindered_group")), whole["hindered_groups"]);
        assert_eq!(Value::from(of("finding")), whole["findings"]);
        assert_eq!(of("interval")[0]["jain_index"], whole["jain_index"]);
        // Of one kind are the lines of that kind, as they are among all.
        for kind in RECORDS {
            let of_one = parsed(&lines(&view, &[kind.to_owned()]).unwrap());
            let picked: Vec<&Value> = values.iter().filter(|value| value["record"] == kind).collect();
            assert_eq!(of_one.iter().collect::<Vec<_>>(), picked);
        }
        let two = ["row", "finding"].map(str::to_owned);
        assert_eq!(parsed(&lines(&view, &two).unwrap()).len(), rows.len() + audit.findings.len());
    }
}

#[test]
fn every_line_begins_with_the_schema_and_no_name_acts() {
    let audit = Audit::new(&window(hostile())).unwrap();
    let rows = audit.rows(By::Task, |_| true);
    let groups = Groups::new();
    let view = view(&audit, &rows, &groups);
    let (document, lines) = (document(&view), lines(&view, &[]).unwrap());
    for bytes in [&document, &lines] {
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(text.starts_with(BEGIN), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
    let document: Value = serde_json::from_slice(&document).unwrap();
    for value in parsed(&lines).iter().chain([&document]) {
        assert_eq!(value["schema"], SCHEMA);
    }
    assert!(lines.split_inclusive(|b| *b == b'\n').all(|line| line.starts_with(BEGIN.as_bytes())));
}

/// Names of all properties in a schema, wherever they are.
fn properties(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                names.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| properties(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| properties(value, names)),
        _ => {}
    }
}

fn keys(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            names.extend(object.keys().cloned());
            object.values().for_each(|value| keys(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, names)),
        _ => {}
    }
}

#[test]
fn the_schema_names_every_field() {
    let schema: Value = serde_json::from_str(&schema().unwrap()).unwrap();
    assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"));
    let (mut described, mut written) = (BTreeSet::new(), BTreeSet::new());
    properties(&schema, &mut described);
    let (audit, groups) = example();
    let rows = audit.rows(By::Task, |_| true);
    let command = Some(CommandView { pid: 104, exit_status: Some(0) });
    let audit = Audit { worths: judged(window(Vec::new())).worths, ..audit };
    let view = AuditView { command, ..view(&audit, &rows, &groups) };
    keys(&serde_json::from_slice(&document(&view)).unwrap(), &mut written);
    for value in parsed(&lines(&view, &[]).unwrap()) {
        keys(&value, &mut written);
    }
    assert_eq!(described, written);
    for name in
        ["runtime_ns", "wait_ns", "entitled_ns", "lag_ns", "got_share", "fair_share", "weight", "group"]
    {
        assert!(written.contains(name), "{name}");
    }
}
