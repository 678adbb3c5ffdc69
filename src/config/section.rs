//! Reading sections and list elements, each on its own, so that all that is wrong is said at once.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::{
    document::{Kind, Node},
    fault::{Fault, did_you_mean},
};

/// Most faults that are reported of one section.
const MAX_FAULTS: usize = 50;
/// Longest name of a store or verifier: a DNS label's length.
const MAX_NAME_BYTES: usize = 63;
/// Fields whose value no message repeats.
const SECRETS: [&str; 5] = ["password", "token", "secret", "auth", "environment"];

/// Reads `node` into a `T`. Unknown fields are all reported; of other faults the first.
pub(crate) fn read<T: DeserializeOwned>(node: &Node, at: &str, faults: &mut Vec<Fault>) -> Option<T> {
    let mut value = node.to_value();
    let before = faults.len();
    while faults.len().saturating_sub(before) < MAX_FAULTS {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) => return (faults.len() == before).then_some(read),
            Err(error) => error,
        };
        let (path, message) = (error.path(), error.inner().to_string());
        faults.push(Fault::new(joined(at, path), said(path, &message)).at(node.origin_of(path)));
        if !message.starts_with("unknown field") || !remove(&mut value, path) {
            return None;
        }
    }
    None
}

/// `a[0].b` below `at`.
fn joined(at: &str, path: &Path) -> String {
    let mut text = at.to_owned();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                text.push('[');
                text.push_str(&index.to_string());
                text.push(']');
            }
            Segment::Map { key } | Segment::Enum { variant: key } => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Segment::Unknown => {}
        }
    }
    text
}

/// serde's message, without secrets and with the key that was probably meant.
fn said(path: &Path, message: &str) -> String {
    let secret = path.iter().any(|segment| match segment {
        Segment::Map { key } => SECRETS.iter().any(|secret| key.to_lowercase().contains(secret)),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => false,
    });
    if secret && message.starts_with("invalid") {
        return "has the wrong type (the value is not repeated)".to_owned();
    }
    let Some(rest) = message.strip_prefix("unknown field `") else { return message.to_owned() };
    let mut words = rest.split('`');
    let unknown = words.next().unwrap_or_default();
    // Between the quoted words stand commas and "expected one of".
    let known: Vec<&str> = words.skip(1).step_by(2).collect();
    format!("{message}{}", did_you_mean(unknown, known))
}

/// Takes the value at `path` out; whether there was one.
fn remove(value: &mut Value, path: &Path) -> bool {
    let segments: Vec<&Segment> = path.iter().collect();
    let Some((last, parents)) = segments.split_last() else { return false };
    let mut here = value;
    for segment in parents {
        let next = match segment {
            Segment::Seq { index } => here.get_mut(*index),
            Segment::Map { key } => here.get_mut(key.as_str()),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        match next {
            Some(next) => here = next,
            None => return false,
        }
    }
    match (last, here) {
        (Segment::Map { key }, Value::Object(members)) => members.remove(key.as_str()).is_some(),
        _ => false,
    }
}

/// An element of `stores` or `verifiers`: its name, its `type`, and what is left for the plugin's own `Config`.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) at: String,
    pub(crate) rest: Node,
}

/// The elements of a list of plugins; faulty ones are reported and left out.
pub(crate) fn named(root: &Node, list: &str, kinds: &[&str], faults: &mut Vec<Fault>) -> Vec<Named> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for (index, element) in elements(root, list, faults).iter().enumerate() {
        let at = format!("{list}[{index}]");
        let name = text(element, "name", &at, faults);
        let kind = text(element, "type", &at, faults);
        if let Some(name) = &name {
            let place = || element.get("name").unwrap_or(element).origin.clone();
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            if name.is_empty() || name.len() > MAX_NAME_BYTES || !plain {
                let message = "a name is 1 to 63 letters, digits, `-`, `_` and `.`";
                faults.push(Fault::new(format!("{at}.name"), message).at(place()));
            } else if !seen.insert(name.clone()) {
                let message = format!("the name {name:?} stands twice in {list}");
                faults.push(Fault::new(format!("{at}.name"), message).at(place()));
            }
        }
        let kind = kind.filter(|kind| {
            let known = kinds.contains(&kind.as_str());
            if !known {
                let meant = did_you_mean(kind, kinds.iter().copied());
                let message = format!("unknown type {kind:?}; {list} have types {}{meant}", kinds.join(", "));
                let origin = element.get("type").unwrap_or(element).origin.clone();
                faults.push(Fault::new(format!("{at}.type"), message).at(origin));
            }
            known
        });
        if let (Some(name), Some(kind)) = (name, kind) {
            all.push(Named { name, kind, at, rest: without(element, &["name", "type"]) });
        }
    }
    all
}

/// The elements of a list, which must be one. An absent list has none.
pub(crate) fn elements<'a>(root: &'a Node, list: &str, faults: &mut Vec<Fault>) -> &'a [Node] {
    match root.get(list) {
        None => &[],
        Some(Node { kind: Kind::List(items), .. }) => items,
        Some(other) => {
            faults.push(Fault::new(list, "must be a list").at(other.origin.clone()));
            &[]
        }
    }
}

fn text(element: &Node, member: &str, at: &str, faults: &mut Vec<Fault>) -> Option<String> {
    let (message, origin) = match element.get(member) {
        Some(Node { kind: Kind::Scalar(Value::String(text)), .. }) => return Some(text.clone()),
        Some(other) => (format!("`{member}` must be text"), &other.origin),
        None => (format!("missing field `{member}`"), &element.origin),
    };
    faults.push(Fault::new(at, message).at(origin.clone()));
    None
}

/// A map without some of its members.
pub(crate) fn without(node: &Node, members: &[&str]) -> Node {
    let mut rest = node.clone();
    if let Kind::Map(all) = &mut rest.kind {
        all.retain(|key, _| !members.contains(&key.as_str()));
    }
    rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::{super::document, *};

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only read")]
        plain_http: Option<bool>,
        #[expect(dead_code, reason = "only read")]
        hosts: BTreeMap<String, Host>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Host {
        #[expect(dead_code, reason = "only read")]
        ca: Option<String>,
        #[expect(dead_code, reason = "only read")]
        password_file: Option<String>,
    }

    fn faults(text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let read: Option<Sample> = read(&document::parse(text).unwrap(), "stores[0]", &mut faults);
        assert_eq!(read.is_none(), !faults.is_empty());
        faults.iter().map(ToString::to_string).collect()
    }

    // CFG-04
    #[test]
    fn every_unknown_field_is_named_with_its_line_and_its_neighbour() {
        assert_eq!(
            faults("plainHTTP: true\nhosts:\n  \"localhost:5000\":\n    cas: x\n    zebra: y\n"),
            [
                "line 4: stores[0].hosts.localhost:5000.cas: unknown field `cas`, expected `ca` or `passwordFile`; did you mean `ca`?",
                "line 5: stores[0].hosts.localhost:5000.zebra: unknown field `zebra`, expected `ca` or `passwordFile`",
                "line 1: stores[0].plainHTTP: unknown field `plainHTTP`, expected `plainHttp` or `hosts`; did you mean `plainHttp`?",
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_named_and_a_secret_is_not_repeated() {
        assert_eq!(
            faults("hosts: { a.example: { ca: [x] } }"),
            ["line 1: stores[0].hosts.a.example.ca: invalid type: sequence, expected a string"]
        );
        assert_eq!(faults("plainHttp: 'yes'\nhosts: {}").len(), 1, "a string is no boolean");
        let said = faults("hosts: { a.example: { passwordFile: 123456 } }");
        assert!(said.len() == 1 && !said[0].contains("123456"), "{said:?}");
        assert_eq!(faults("plainHttp: true"), ["line 1: stores[0]: missing field `hosts`"]);
        assert!(faults("hosts: {}").is_empty());
    }

    // CFG-07
    #[test]
    fn elements_need_a_name_of_their_own_and_a_known_type() {
        let text = "verifiers:\n- {name: a, type: notation}\n- {name: a, type: notation}\n- {type: notation}\n- {name: b c, type: notatoin}\n- 5\n";
        let mut faults = Vec::new();
        let read = named(&document::parse(text).unwrap(), "verifiers", &["notation"], &mut faults);
        assert_eq!(read.len(), 2);
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "line 3: verifiers[1].name: the name \"a\" stands twice in verifiers",
                "line 4: verifiers[2]: missing field `name`",
                "line 5: verifiers[3].name: a name is 1 to 63 letters, digits, `-`, `_` and `.`",
                "line 5: verifiers[3].type: unknown type \"notatoin\"; verifiers have types notation; did you mean `notation`?",
                "line 6: verifiers[4]: missing field `name`",
                "line 6: verifiers[4]: missing field `type`",
            ]
        );
    }
}
