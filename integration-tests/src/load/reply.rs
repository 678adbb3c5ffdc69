//! What a reply says of the keys that were asked: as Gatekeeper reads it, and strictly.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

/// The word on one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `value.isSuccess: true`
    Yes,
    /// `value.isSuccess: false`
    No,
    /// No item, and a `systemError`; or an item's `error`.
    Undecided,
}

/// What is wrong with a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    #[serde(borrow, default)]
    items: Option<Vec<Item<'a>>>,
    #[serde(borrow, default)]
    system_error: Cow<'a, str>,
    #[serde(default)]
    idempotent: bool,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Option<Value<'a>>,
    #[serde(borrow, default)]
    error: Cow<'a, str>,
}

/// An item's value, read without what it holds beside the word: reports are large.
enum Value<'a> {
    Report {
        is_success: Option<bool>,
        succeeded: Option<bool>,
    },
    /// On `/mutate`.
    Text(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report, or text")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut is_success, mut succeeded) = (None, None);
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            match &*name {
                "isSuccess" => is_success = Some(members.next_value()?),
                "succeeded" => succeeded = Some(members.next_value()?),
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Value::Report { is_success, succeeded })
    }
}

/// What a reply said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// A word for each key, in the order in which they were asked.
    pub words: Vec<Word>,
    /// What is said in text of keys, on `/mutate`.
    pub texts: BTreeMap<String, String>,
    /// Whether it may be asked again: Gatekeeper takes no mutation that may not.
    pub idempotent: bool,
    /// The code before the colon of `systemError`; empty: none.
    pub code: String,
}

/// Whether a reply is, to all appearances, ours and a yes to each of `keys`: then it need not be read in depth. Of one key every byte that
/// matters is looked at; of more, only that there is no `systemError`.
pub fn looks_good(body: &[u8], keys: &[&str]) -> bool {
    const START: &[u8] =
        br#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderResponse","response":{"items":[{"key":""#;
    const YES: &[u8] = br#""isSuccess":true,"succeeded":true"#;
    let Some(rest) = body.strip_prefix(START) else { return false };
    if !body.ends_with(b"}]}}\n") {
        return false;
    }
    let [key] = keys else { return true };
    let Some(rest) = rest.strip_prefix(key.as_bytes()).and_then(|rest| rest.strip_prefix(br#"","value":{"#)) else {
        return false;
    };
    rest.get(..128).is_some_and(|start| start.windows(YES.len()).any(|part| part == YES))
}

/// Reads a reply to `keys`, which must be answered each exactly once where there is no `systemError`, and at most once where
/// there is one (R1, R2).
///
/// # Errors
/// [`Malformed`]: what Gatekeeper could misread.
pub fn read(body: &[u8], keys: &[&str]) -> Result<Said, Malformed> {
    let wrong = |what: String| Err(Malformed(what));
    let Reply { api_version, kind, response } = match serde_json::from_slice(body) {
        Ok(reply) => reply,
        Err(error) => return wrong(format!("{error} in {}", start_of(body))),
    };
    if api_version != "externaldata.gatekeeper.sh/v1beta1" || kind != "ProviderResponse" {
        return wrong(format!("{kind} of {api_version}"));
    }
    let Response { items, system_error, idempotent } = response;
    let mut said: BTreeMap<&str, (Word, usize)> = BTreeMap::new();
    let items = items.unwrap_or_default();
    let mut texts = BTreeMap::new();
    for Item { key, value, error } in &items {
        let word = match value {
            _ if !error.is_empty() => Word::Undecided,
            Some(
                Value::Report { is_success: Some(true), succeeded: Some(true) | None }
                | Value::Report { is_success: None, succeeded: Some(true) },
            ) => Word::Yes,
            Some(
                Value::Report { is_success: Some(false), succeeded: Some(false) | None }
                | Value::Report { is_success: None, succeeded: Some(false) },
            ) => Word::No,
            Some(Value::Text(text)) if !text.is_empty() => {
                texts.insert(key.clone().into_owned(), text.clone().into_owned());
                Word::Yes
            }
            Some(Value::Report { .. } | Value::Text(_)) | None => return wrong(format!("no word on {key}")),
        };
        let (_, times) = said.entry(key).or_insert((word, 0));
        *times = times.saturating_add(1);
    }
    let mut asked: BTreeMap<&str, usize> = BTreeMap::new();
    for key in keys {
        let times = asked.entry(key).or_default();
        *times = times.saturating_add(1);
    }
    if let Some(stranger) = said.keys().find(|key| !asked.contains_key(*key)) {
        return wrong(format!("{stranger} was not asked"));
    }
    for (key, times) in &asked {
        match said.get(key) {
            Some((_, so_often)) if so_often == times => {}
            None if !system_error.is_empty() => {}
            Some(_) | None => return wrong(format!("{key} was asked {times} times, and not answered so often")),
        }
    }
    let words = keys.iter().map(|key| said.get(key).map_or(Word::Undecided, |(word, _)| *word)).collect();
    let code = system_error.split(':').next().unwrap_or_default().to_owned();
    Ok(Said { words, texts, idempotent, code })
}

fn start_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..120.min(body.len())).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(response: &serde_json::Value) -> Vec<u8> {
        json!({ "apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderResponse", "response": response })
            .to_string()
            .into_bytes()
    }

    fn yes(key: &str) -> serde_json::Value {
        json!({ "key": key, "value": { "isSuccess": true, "succeeded": true, "verifierReports": [] } })
    }

    #[test]
    fn words_are_those_of_the_keys_asked() {
        let no = json!({ "key": "b", "value": { "isSuccess": false, "succeeded": false } });
        let said = read(&reply(&json!({ "items": [no, yes("a")], "systemError": "" })), &["a", "b", "a"]);
        assert!(said.is_err(), "a was asked twice");
        let said = read(&reply(&json!({ "items": [yes("b"), yes("a"), yes("a")] })), &["a", "b", "a"]).expect("words");
        assert_eq!(said.words, [Word::Yes; 3]);
        let part = read(&reply(&json!({ "items": [no], "systemError": "TIMEOUT: late" })), &["a", "b"]).expect("words");
        assert_eq!((part.words, part.code.as_str()), (vec![Word::Undecided, Word::No], "TIMEOUT"));
    }

    #[test]
    fn what_gatekeeper_could_misread_is_malformed() {
        for (row, body) in [
            ("nothing", Vec::new()),
            ("another document", b"{}".to_vec()),
            ("no items, no error", reply(&json!({ "items": [] }))),
            ("null items, no error", reply(&json!({ "items": null }))),
            ("a key too many", reply(&json!({ "items": [yes("a"), yes("x")] }))),
            ("twice", reply(&json!({ "items": [yes("a"), yes("a")] }))),
            ("a null value", reply(&json!({ "items": [{ "key": "a", "value": null }] }))),
            ("no booleans", reply(&json!({ "items": [{ "key": "a", "value": {} }] }))),
            ("text", reply(&json!({ "items": [{ "key": "a", "value": { "isSuccess": "false" } }] }))),
            ("both", reply(&json!({ "items": [{ "key": "a", "value": { "isSuccess": true, "succeeded": false } }] }))),
        ] {
            assert!(read(&body, &["a"]).is_err(), "{row}");
            assert!(!looks_good(&body, &["a"]), "{row}");
        }
    }
}
