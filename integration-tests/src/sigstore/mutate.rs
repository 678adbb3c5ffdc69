//! A document with one thing changed, for each thing and each way: flipped, emptied, dropped, repeated, taken from another document.

use serde_json::{Map, Value};

/// A changed document.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What.
    pub change: Change,
    /// The document.
    pub document: Value,
}

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A member or an element is gone.
    Dropped,
    /// A string, list or object has nothing in it.
    Emptied,
    /// One character of a string, or a number by one.
    Flipped,
    /// It is another document's.
    Foreign,
    /// An element is there twice.
    Repeated,
}

/// Every document that differs from this one in one place. `other`: of the same form, about something else.
pub fn mutations(document: &Value, other: &Value) -> Vec<Mutation> {
    let mut found = Vec::new();
    let mut pointers = Vec::new();
    walk(document, "", &mut pointers);
    for pointer in pointers {
        let mut add = |change, document| found.push(Mutation { pointer: pointer.clone(), change, document });
        let value = document.pointer(&pointer).expect("walked");
        for (change, changed) in changes(value, other.pointer(&pointer)) {
            let mut document = document.clone();
            *document.pointer_mut(&pointer).expect("walked") = changed;
            add(change, document);
        }
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        for change in [Change::Dropped, Change::Repeated] {
            let mut document = document.clone();
            let changed = match (document.pointer_mut(parent).expect("walked"), change) {
                (Value::Object(members), Change::Dropped) => members.remove(&unescape(name)).is_some(),
                (Value::Array(items), Change::Dropped) => {
                    items.remove(name.parse().expect("an index"));
                    true
                }
                (Value::Array(items), Change::Repeated) => {
                    items.push(value.clone());
                    true
                }
                _ => false,
            };
            if changed {
                add(change, document);
            }
        }
    }
    found
}

fn walk(value: &Value, pointer: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, child) in children {
        let pointer = format!("{pointer}/{name}");
        found.push(pointer.clone());
        walk(child, &pointer, found);
    }
}

fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

fn changes(value: &Value, other: Option<&Value>) -> Vec<(Change, Value)> {
    let mut changes = match value {
        Value::String(text) if text.is_empty() => vec![(Change::Flipped, "x".into())],
        Value::String(text) => vec![(Change::Flipped, flipped(text).into()), (Change::Emptied, "".into())],
        Value::Number(number) => vec![(Change::Flipped, number.as_i64().unwrap_or_default().wrapping_add(1).into())],
        Value::Bool(value) => vec![(Change::Flipped, (!value).into())],
        Value::Array(items) if !items.is_empty() => vec![(Change::Emptied, Value::Array(Vec::new()))],
        Value::Object(members) if !members.is_empty() => vec![(Change::Emptied, Value::Object(Map::new()))],
        Value::Array(_) | Value::Object(_) | Value::Null => Vec::new(),
    };
    changes.extend(other.filter(|other| *other != value).map(|other| (Change::Foreign, other.clone())));
    changes
}

/// Another character in the middle, of the same kind: base64 and digits stay what they are.
fn flipped(text: &str) -> String {
    let middle = text.chars().count() / 2;
    text.chars().enumerate().map(|(index, c)| if index == middle { another(c) } else { c }).collect()
}

const fn another(c: char) -> char {
    match c {
        '0' => '1',
        '1'..='9' => '0',
        'A' => 'B',
        'a' => 'b',
        'b'..='z' => 'a',
        _ => 'A',
    }
}
