//! `guide::json` describes the JSON forms as the readers read them.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use automation_assistant::opik::TraceId;
use automation_assistant::{HelperConfig, TaskRequest};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

const PAGE: &str = include_str!("../../src/guide/json.rs");

/// A row of a table: name, type, default, bounds.
struct Row {
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    bounds: &'static str,
}

/// A section of the page: its table, and the setters that it lists as without a JSON form.
struct Form {
    rows: Vec<Row>,
    left_out: BTreeSet<&'static str>,
}

fn form(heading: &str) -> Form {
    let section = PAGE.split("//! # ").find(|section| section.starts_with(heading)).unwrap();
    let (table, rest) = section.split_once("//! Without a JSON form").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("//! | `")).map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells[0].trim_end_matches('`');
        Row { name, kind: cells[1], default: cells[2], bounds: cells[3] }
    });
    Form { rows: rows.collect(), left_out: quoted(rest).collect() }
}

fn quoted(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split('`').skip(1).step_by(2)
}

/// The names that the reader lists where it is given one that it does not know.
fn listed<T: DeserializeOwned + Debug>(before: &str) -> BTreeSet<String> {
    let fault = serde_json::from_value::<T>(json!({"none": 1})).unwrap_err().to_string();
    let names = fault.split_once(before).unwrap().1;
    names.split(", ").map(str::to_owned).collect()
}

/// A value of each type that the tables name.
fn samples(row: &Row) -> [(&'static str, Value); 9] {
    let first = row.bounds.strip_prefix('`').and_then(|rest| rest.split('`').next());
    let text = match row.name {
        "trace_id" => TraceId::new().to_string(),
        _ => first.unwrap_or("x").to_owned(),
    };
    [
        ("text", text.into()),
        ("integer", 7.into()),
        ("number", 1.5.into()),
        ("boolean", true.into()),
        ("object", json!({"a": 1})),
        ("object of texts", json!({"a": "b"})),
        ("list of texts", json!(["x"])),
        ("list of `{\"role\", \"text\"}`", json!([{"role": "user", "text": "x"}])),
        ("`{\"name\", \"schema\"}`", json!({"name": "n", "schema": {}})),
    ]
}

/// Whether a value of one type is one of the other too.
fn is_also(kind: &str, wanted: &str) -> bool {
    let objects = ["object of texts", "`{\"name\", \"schema\"}`"];
    kind == wanted
        || wanted == "number" && kind == "integer"
        || wanted == "object" && objects.contains(&kind)
}

/// Each field takes a value of its type and no other; a default that is written as JSON is what
/// a reader finds where the field is left out.
fn check<T: DeserializeOwned + Debug>(form: &Form, required: (&str, &str)) {
    let with = |name: &str, value: Value| {
        let mut object: Map<String, Value> = Map::new();
        object.insert(required.0.to_owned(), required.1.into());
        object.insert(name.to_owned(), value);
        serde_json::from_str::<T>(&Value::from(object).to_string()).map_err(|f| f.to_string())
    };
    for row in &form.rows {
        let name = row.name;
        assert!(samples(row).iter().any(|(kind, _)| *kind == row.kind), "{name}: {}", row.kind);
        for (kind, value) in samples(row) {
            match with(name, value) {
                Ok(_) => assert!(is_also(kind, row.kind), "{name} takes {kind}"),
                Err(fault) => {
                    assert!(kind != row.kind, "{name} refuses {kind}: {fault}");
                    assert!(fault.starts_with(name), "{name}: {fault}");
                }
            }
        }
        let default = row.default.trim_matches('`');
        if let (true, Ok(default)) = (row.default.starts_with('`'), serde_json::from_str(default)) {
            let (set, left_out) = (with(name, default), with(name, Value::Null));
            assert_eq!(format!("{set:?}"), format!("{left_out:?}"), "{name}");
        }
    }
}

/// The names of the methods that take and return the value itself, in these files of `src`.
fn setters(files: &[&str]) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let texts = files.iter().map(|file| fs::read_to_string(folder.join(file)).unwrap());
    let text: String = texts.collect();
    let starts = text.split("#[must_use]\n").skip(1);
    let names = starts.map(|method| {
        let method = method.split_once("pub fn ").unwrap().1;
        method.split(['(', '<']).next().unwrap().to_owned()
    });
    names.collect()
}

#[test]
fn every_field_of_a_configuration_is_in_the_table_with_its_type_and_default() {
    let form = form("`HelperConfig`");
    let names: BTreeSet<String> = form.rows.iter().map(|row| row.name.to_owned()).collect();
    assert_eq!(names, listed::<HelperConfig>("expected one of "));
    check::<HelperConfig>(&form, ("backend_type", "chatgpt"));
    let files = [
        "config/mod.rs",
        "config/http.rs",
        "providers/openai_settings.rs",
        "providers/anthropic/mod.rs",
    ];
    let mut known: BTreeSet<String> = names.iter().map(|n| n.replace("_seconds", "")).collect();
    known.extend(form.left_out.into_iter().map(str::to_owned));
    known.extend(["header".to_owned(), "custom_param".to_owned()]);
    let setters = setters(&files);
    let named = |name: &&String| !["backend_type", "headers"].contains(&name.as_str());
    assert_eq!(setters, known.iter().filter(named).cloned().collect());
}

#[test]
fn every_member_of_a_request_is_in_the_table_with_its_type_and_default() {
    let form = form("`TaskRequest`");
    let names: BTreeSet<String> = form.rows.iter().map(|row| row.name.to_owned()).collect();
    assert_eq!(names, listed::<TaskRequest>("it has "));
    check::<TaskRequest>(&form, ("prompt", "p"));
    let files = ["task/request.rs", "task/request_images.rs", "task/model_settings.rs"];
    let mut known: BTreeSet<String> = names.iter().map(|n| n.replace("_ms", "")).collect();
    known.extend(form.left_out.into_iter().map(str::to_owned));
    known.extend(["context_map", "turn", "custom_param", "trace_tag"].map(str::to_owned));
    let setters = setters(&files);
    let named = |name: &&String| {
        !["prompt", "trace_tags", "custom_params", "image_file"].contains(&name.as_str())
    };
    assert_eq!(setters, known.iter().filter(named).cloned().collect());
}
