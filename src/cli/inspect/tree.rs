//! The document as a tree, for people: the same members in the same words and order as its JSON.

use std::{
    fmt,
    io::{self, Write},
};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::document::Document;
use crate::report::wire::rfc3339;

/// JSON in the order in which it is written, scalars as text.
enum Node {
    Leaf(String),
    List(Vec<Self>),
    Members(Vec<(String, Self)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Leaf(if value { "yes" } else { "no" }.to_owned()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Leaf(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Leaf(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
                let mut all = Vec::new();
                while let Some(element) = elements.next_element()? {
                    all.push(element);
                }
                Ok(Node::List(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = members.next_entry()? {
                    all.push(member);
                }
                Ok(Node::Members(all))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// A line, and what stands below it.
struct Line {
    text: String,
    below: Vec<Self>,
}

impl Node {
    fn lines(self) -> Vec<Line> {
        match self {
            Self::Leaf(text) => vec![Line { text, below: Vec::new() }],
            Self::List(elements) => elements.into_iter().filter_map(Self::element).collect(),
            Self::Members(members) => members.into_iter().map(|(name, value)| value.member(&name)).collect(),
        }
    }

    fn member(self, name: &str) -> Line {
        match self {
            Self::Leaf(text) if text.is_empty() => Line { text: format!("{name}: (empty)"), below: Vec::new() },
            Self::Leaf(text) => Line { text: format!("{name}: {text}"), below: Vec::new() },
            Self::List(elements) if elements.is_empty() => Line { text: format!("{name}: none"), below: Vec::new() },
            Self::List(_) | Self::Members(_) => Line { text: name.to_owned(), below: self.lines() },
        }
    }

    /// Of a list: what it begins with names it.
    fn element(self) -> Option<Line> {
        let mut lines = self.lines().into_iter();
        let mut first = lines.next()?;
        first.below.extend(lines);
        Some(first)
    }
}

/// The head, what is attached, and the warnings last, where they are seen.
pub(super) fn write(out: &mut impl Write, document: &Document) -> io::Result<()> {
    let Document { notice, subject, media_type, at, artifacts, not_shown, warnings } = document;
    writeln!(out, "{subject}")?;
    writeln!(out, "({media_type}; {notice})")?;
    let tree = serde_json::to_string(artifacts).and_then(|json| serde_json::from_str::<Node>(&json))?;
    write_lines(out, "", &tree.lines())?;
    if artifacts.is_empty() {
        writeln!(out, "(nothing is attached)")?;
    }
    for said in not_shown {
        writeln!(out, "({said})")?;
    }
    for warning in warnings {
        let moment = rfc3339(warning.at);
        writeln!(out, "! {} {}: {moment}, in {}", warning.of, warning.state, warning.artifact)?;
    }
    if !warnings.is_empty() {
        writeln!(out, "(as of {})", rfc3339(*at))?;
    }
    Ok(())
}

/// Depth is bounded by the document's types.
fn write_lines(out: &mut impl Write, indent: &str, lines: &[Line]) -> io::Result<()> {
    for (index, Line { text, below }) in lines.iter().enumerate() {
        let is_last = index.saturating_add(1) == lines.len();
        let (branch, bar) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
        writeln!(out, "{indent}{branch}{text}")?;
        write_lines(out, &format!("{indent}{bar}"), below)?;
    }
    Ok(())
}
