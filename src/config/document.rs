//! The operator's file as a tree of nodes, each with where it was written.
//!
//! YAML with what makes it dangerous taken out: one document, no tags, no merge keys, no duplicate keys, bounded nesting,
//! bounded expansion of anchors. JSON is read as the YAML that it is.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use yaml_rust2::{
    Event, Yaml,
    parser::Parser,
    scanner::{Marker, ScanError, TScalarStyle},
};

use crate::json;

/// Deepest nesting; a configuration needs about eight.
const MAX_DEPTH: usize = 32;
/// Most bytes of scalars and nodes after anchors are expanded (CFG-03); a file of 1 MiB without anchors stays below.
const MAX_EXPANDED_BYTES: usize = 8 * 1024 * 1024;
/// What a node costs besides its text.
const NODE_BYTES: usize = 16;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An environment variable of this name.
    Environment(String),
    /// A line of the file, from 1.
    Line(usize),
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) kind: Kind,
    /// Bytes of its text and all below it.
    bytes: usize,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
    Scalar(Value),
}

/// Why text is no document of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("line {line}: key {key:?} stands twice")]
    Duplicate { line: usize, key: String },
    #[error("the file is empty")]
    Empty,
    #[error("line {line}: anchors expand to more than {MAX_EXPANDED_BYTES} bytes")]
    Expansion { line: usize },
    #[error("line {line}: a key must be text")]
    Key { line: usize },
    #[error("line {line}: merge keys (`<<`) are not supported")]
    Merge { line: usize },
    #[error("line {line}: nested deeper than {MAX_DEPTH}")]
    Nesting { line: usize },
    #[error("line {line}: a second document; one file holds one")]
    Second { line: usize },
    #[error("line {line}, column {column}: {detail}")]
    Syntax { line: usize, column: usize, detail: String },
    #[error("line {line}: tags (`!`) are not supported")]
    Tag { line: usize },
    #[error("line {line}: a number that JSON does not have")]
    Number { line: usize },
}

impl From<ScanError> for DocumentError {
    fn from(error: ScanError) -> Self {
        let (line, column) = (error.marker().line(), error.marker().col().saturating_add(1));
        Self::Syntax { line, column, detail: error.info().to_owned() }
    }
}

impl Node {
    /// A scalar.
    pub(crate) fn scalar(origin: Origin, value: Value) -> Self {
        let text = value.as_str().map_or(0, str::len);
        Self { origin, kind: Kind::Scalar(value), bytes: NODE_BYTES.saturating_add(text) }
    }

    /// An empty map.
    pub(crate) fn map(origin: Origin) -> Self {
        Self { origin, kind: Kind::Map(BTreeMap::new()), bytes: NODE_BYTES }
    }

    /// The member of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(members) => members.get(key),
            Kind::List(_) | Kind::Scalar(_) => None,
        }
    }

    /// As plain JSON, for serde.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Kind::Map(members) => {
                Value::Object(members.iter().map(|(key, node)| (key.clone(), node.to_value())).collect::<Map<_, _>>())
            }
            Kind::Scalar(value) => value.clone(),
        }
    }

    /// Where the deepest node on `path` that exists was written.
    pub(crate) fn origin_of<'a>(&self, path: impl IntoIterator<Item = &'a Segment>) -> Origin {
        let mut node = self;
        for segment in path {
            let next = match (&node.kind, segment) {
                (Kind::List(items), Segment::Seq { index }) => items.get(*index),
                (Kind::Map(members), Segment::Map { key }) => members.get(key),
                (Kind::List(_) | Kind::Map(_) | Kind::Scalar(_), _) => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.origin.clone()
    }
}

impl Node {
    /// Where the deepest node on a printed path (`stores[0].hosts.localhost:5000.ca`, also `hosts["localhost:5000"]`) was
    /// written. A key may itself have dots: the longest that fits is meant.
    pub(crate) fn origin_at(&self, path: &str) -> Origin {
        let mut rest = path.strip_prefix('.').unwrap_or(path);
        let mut node = self;
        while let Some((next, left)) = node.step(rest) {
            node = next;
            rest = left.strip_prefix('.').unwrap_or(left);
        }
        node.origin.clone()
    }

    fn step<'n, 'p>(&'n self, path: &'p str) -> Option<(&'n Self, &'p str)> {
        match &self.kind {
            Kind::List(items) => {
                let (index, left) = path.strip_prefix('[')?.split_once(']')?;
                Some((items.get(index.parse::<usize>().ok()?)?, left))
            }
            Kind::Map(members) => {
                if let Some((key, left)) = path.strip_prefix("[\"").and_then(|quoted| quoted.split_once("\"]")) {
                    return Some((members.get(key)?, left));
                }
                let fits = members.iter().filter_map(|(key, node)| {
                    let left = path.strip_prefix(key.as_str())?;
                    (left.is_empty() || left.starts_with(['.', '['])).then_some((node, left))
                });
                fits.min_by_key(|(_, left)| left.len())
            }
            Kind::Scalar(_) => None,
        }
    }
}

/// Reads one document. The root is whatever it is; callers ask for a map.
pub(crate) fn parse(text: &str) -> Result<Node, DocumentError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match parse_yaml(text) {
        // JSON that YAML's scanner does not take (tabs, surrogate pairs) is still JSON.
        Err(error @ DocumentError::Syntax { .. }) if text.trim_start().starts_with('{') => {
            json::parse(text.as_bytes(), MAX_DEPTH).map_or(Err(error), |value| Ok(from_json(value)))
        }
        other => other,
    }
}

fn from_json(value: Value) -> Node {
    let origin = Origin::Line(1);
    let kind = match value {
        Value::Array(items) => Kind::List(items.into_iter().map(from_json).collect()),
        Value::Object(members) => {
            Kind::Map(members.into_iter().map(|(key, member)| (key, from_json(member))).collect())
        }
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => Kind::Scalar(scalar),
    };
    Node { origin, kind, bytes: 0 }
}

/// A collection whose end has not come yet.
struct Open {
    line: usize,
    anchor: usize,
    bytes: usize,
    held: Held,
}

enum Held {
    List(Vec<Node>),
    Map { members: BTreeMap<String, Node>, key: Option<String> },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    spent: usize,
    root: Option<Node>,
}

fn parse_yaml(text: &str) -> Result<Node, DocumentError> {
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::default();
    let mut documents = 0_usize;
    loop {
        let (event, mark) = parser.next_token()?;
        let line = mark.line();
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart => {
                documents = documents.saturating_add(1);
                if documents > 1 {
                    return Err(DocumentError::Second { line });
                }
            }
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            Event::Alias(anchor) => builder.alias(anchor, line)?,
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return Err(DocumentError::Tag { line });
            }
            Event::Scalar(text, style, anchor, None) => builder.scalar(text, style, anchor, mark)?,
            Event::SequenceStart(anchor, None) => builder.start(Held::List(Vec::new()), anchor, line)?,
            Event::MappingStart(anchor, None) => {
                builder.start(Held::Map { members: BTreeMap::new(), key: None }, anchor, line)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.end()?,
        }
    }
    match builder.root {
        None | Some(Node { kind: Kind::Scalar(Value::Null), .. }) => Err(DocumentError::Empty),
        Some(root) => Ok(root),
    }
}

impl Builder {
    fn start(&mut self, held: Held, anchor: usize, line: usize) -> Result<(), DocumentError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(DocumentError::Nesting { line });
        }
        if self.wants_key() {
            return Err(DocumentError::Key { line });
        }
        self.open.push(Open { line, anchor, bytes: NODE_BYTES, held });
        Ok(())
    }

    fn end(&mut self) -> Result<(), DocumentError> {
        let Some(Open { line, anchor, bytes, held }) = self.open.pop() else { return Ok(()) };
        let kind = match held {
            Held::List(items) => Kind::List(items),
            Held::Map { members, .. } => Kind::Map(members),
        };
        self.put(Node { origin: Origin::Line(line), kind, bytes }, anchor, line)
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { held: Held::Map { key: None, .. }, .. }))
    }

    fn scalar(&mut self, text: String, style: TScalarStyle, anchor: usize, mark: Marker) -> Result<(), DocumentError> {
        let line = mark.line();
        if self.wants_key() {
            return self.key(text, style, line);
        }
        let value = if style == TScalarStyle::Plain { plain(&text, line)? } else { Value::String(text) };
        self.put(Node::scalar(Origin::Line(line), value), anchor, line)
    }

    fn key(&mut self, text: String, style: TScalarStyle, line: usize) -> Result<(), DocumentError> {
        if text == "<<" && style == TScalarStyle::Plain {
            return Err(DocumentError::Merge { line });
        }
        if let Some(Open { held: Held::Map { members, key }, .. }) = self.open.last_mut() {
            if members.contains_key(&text) {
                return Err(DocumentError::Duplicate { line, key: text });
            }
            *key = Some(text);
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<(), DocumentError> {
        if self.wants_key() {
            return Err(DocumentError::Key { line });
        }
        let missing = || DocumentError::Syntax { line, column: 1, detail: "an alias without its anchor".to_owned() };
        let node = self.anchors.get(&anchor).ok_or_else(missing)?;
        // Compared before it is copied: nine lines of aliases of aliases would be gigabytes (CFG-03).
        self.spent = self.spent.saturating_add(node.bytes);
        if self.spent > MAX_EXPANDED_BYTES {
            return Err(DocumentError::Expansion { line });
        }
        let copy = node.clone();
        if depth(&copy).saturating_add(self.open.len()) > MAX_DEPTH {
            return Err(DocumentError::Nesting { line });
        }
        self.put(copy, 0, line)
    }

    fn put(&mut self, node: Node, anchor: usize, line: usize) -> Result<(), DocumentError> {
        if anchor != 0 {
            self.spent = self.spent.saturating_add(node.bytes);
            if self.spent > MAX_EXPANDED_BYTES {
                return Err(DocumentError::Expansion { line });
            }
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.bytes = parent.bytes.saturating_add(node.bytes);
        match &mut parent.held {
            Held::List(items) => items.push(node),
            Held::Map { members, key } => {
                if let Some(key) = key.take() {
                    parent.bytes = parent.bytes.saturating_add(key.len());
                    members.insert(key, node);
                }
            }
        }
        Ok(())
    }
}

fn depth(node: &Node) -> usize {
    let below = match &node.kind {
        Kind::List(items) => items.iter().map(depth).max(),
        Kind::Map(members) => members.values().map(depth).max(),
        Kind::Scalar(_) => return 0,
    };
    below.unwrap_or(0).saturating_add(1)
}

/// A plain scalar by YAML's core schema: what is no number, boolean or null is text (`yes`, `1.2.3`, `10s`).
pub(crate) fn plain(text: &str, line: usize) -> Result<Value, DocumentError> {
    Ok(match Yaml::from_str(text) {
        Yaml::Boolean(truth) => Value::Bool(truth),
        Yaml::Integer(number) => Value::Number(number.into()),
        Yaml::Null => Value::Null,
        Yaml::Real(number) => number
            .parse()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
            .ok_or(DocumentError::Number { line })?,
        Yaml::Alias(_) | Yaml::Array(_) | Yaml::BadValue | Yaml::Hash(_) | Yaml::String(_) => {
            Value::String(text.to_owned())
        }
    })
}

#[cfg(test)]
mod tests;
