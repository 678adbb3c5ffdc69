//! Documents with one thing changed. JSON inside a string, plain or in base64, is changed as well.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// A document with one thing changed.
pub(super) struct Mutant {
    /// Where: members and indices from the root; `!` enters what a string holds.
    pub(super) path: String,
    /// How.
    pub(super) kind: &'static str,
    pub(super) text: String,
}

impl Mutant {
    fn here(kind: &'static str, text: String) -> Self {
        Self { path: String::new(), kind, text }
    }

    fn below(self, name: &str, wrap: impl FnOnce(String) -> String) -> Self {
        let Self { path, kind, text } = self;
        Self { path: format!("/{name}{path}"), kind, text: wrap(text) }
    }
}

/// Everything that can be one change of `value`. `donor`: another good document of the kind, to swap parts with.
pub(super) fn mutants(value: &Value, donor: Option<&Value>) -> Vec<Mutant> {
    let mut all = match value {
        Value::Array(items) => of_array(items, donor),
        Value::Object(members) => of_object(members, donor),
        Value::String(text) => of_string(text, donor),
        Value::Number(number) => {
            let next = number.as_i64().map(|number| Mutant::here("next", (number + 1).to_string()));
            next.into_iter().collect()
        }
        Value::Bool(bool) => vec![Mutant::here("next", (!bool).to_string())],
        Value::Null => vec![Mutant::here("next", "0".to_owned())],
    };
    if !value.is_null() {
        all.push(Mutant::here("null", "null".to_owned()));
    }
    if let Some(donor) = donor
        && donor != value
    {
        all.push(Mutant::here("swap", donor.to_string()));
    }
    all
}

fn of_object(members: &Map<String, Value>, donor: Option<&Value>) -> Vec<Mutant> {
    let written = |skipped: &str, instead: &[String]| {
        let others = members.iter().filter(|(name, _)| *name != skipped);
        let others = others.map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())));
        let instead = instead.iter().map(|text| format!("{}:{text}", Value::from(skipped)));
        format!("{{{}}}", others.chain(instead).collect::<Vec<_>>().join(","))
    };
    let mut all = Vec::new();
    for (name, value) in members {
        let text = value.to_string();
        all.push(Mutant::here("drop", written(name, &[])).below(name, |text| text));
        all.push(Mutant::here("twice", written(name, &[text.clone(), text])).below(name, |text| text));
        let other = donor.and_then(|donor| donor.get(name));
        all.extend(mutants(value, other).into_iter().map(|inner| inner.below(name, |text| written(name, &[text]))));
    }
    all.push(Mutant::here("stranger", written("stranger", &["1".to_owned()])));
    all
}

fn of_array(items: &[Value], donor: Option<&Value>) -> Vec<Mutant> {
    let written = |at: usize, instead: &[String]| {
        let mut texts: Vec<String> = items.iter().map(ToString::to_string).collect();
        texts.splice(at..=at, instead.iter().cloned());
        format!("[{}]", texts.join(","))
    };
    let mut all = Vec::new();
    for (at, value) in items.iter().enumerate() {
        let (name, text) = (at.to_string(), value.to_string());
        all.push(Mutant::here("drop", written(at, &[])).below(&name, |text| text));
        all.push(Mutant::here("twice", written(at, &[text.clone(), text.clone()])).below(&name, |text| text));
        let other = donor.and_then(|donor| donor.get(at));
        if let Some(other) = other.filter(|other| *other != value) {
            all.push(Mutant::here("beside", written(at, &[other.to_string(), text])).below(&name, |text| text));
        }
        all.extend(mutants(value, other).into_iter().map(|inner| inner.below(&name, |text| written(at, &[text]))));
    }
    all
}

fn of_string(text: &str, donor: Option<&Value>) -> Vec<Mutant> {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut all = vec![Mutant::here("empty", quoted(""))];
    if let Ok(number) = text.parse::<u64>() {
        all.push(Mutant::here("next", quoted(&(number + 1).to_string())));
        return all;
    }
    let decoded = STANDARD.decode(text).ok().filter(|bytes| bytes.len() > 8);
    let (inside, other) = (opened(text), donor.and_then(Value::as_str).and_then(opened));
    match (inside, &decoded) {
        (Some(inside), Some(_)) => {
            let inner = mutants(&inside, other.as_ref()).into_iter();
            all.extend(inner.map(|inner| inner.below("!", |text| quoted(&STANDARD.encode(text)))));
        }
        (Some(inside), None) => {
            let inner = mutants(&inside, other.as_ref()).into_iter();
            all.extend(inner.map(|inner| inner.below("!", |text| quoted(&text))));
        }
        (None, _) => {}
    }
    match decoded {
        Some(bytes) => {
            for at in places(bytes.len()) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1;
                all.push(Mutant::here("flip", quoted(&STANDARD.encode(flipped))));
            }
        }
        None => all.extend(places(text.len()).into_iter().filter_map(|at| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = match bytes[at] {
                byte @ (b'a'..=b'y' | b'A'..=b'Y' | b'0'..=b'8') => byte + 1,
                b'z' | b'Z' | b'9' => b'q',
                _ => return None,
            };
            Some(Mutant::here("flip", quoted(&String::from_utf8(bytes).ok()?)))
        })),
    }
    all
}

/// JSON that a string holds.
fn opened(text: &str) -> Option<Value> {
    let bytes = STANDARD.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec());
    serde_json::from_slice(&bytes).ok().filter(|value: &Value| value.is_object())
}

fn places(length: usize) -> Vec<usize> {
    let mut places: Vec<usize> =
        [0, length / 4, length / 2, length * 3 / 4].into_iter().chain(length.checked_sub(1)).collect();
    places.retain(|at| *at < length);
    places.dedup();
    places
}
