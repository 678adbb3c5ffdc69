//! What arrived.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use crate::asked::decode;

/// What is asked for, in RBAC's words. A server-side apply is told from other patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `PATCH` with the media type of an apply.
    Apply,
    /// `POST`
    Create,
    /// `DELETE`
    Delete,
    /// `GET` of what is served.
    Discover,
    /// `GET` of one object.
    Get,
    /// `GET` of many.
    List,
    /// `PATCH` that merges.
    Patch,
    /// `PUT`
    Update,
    /// `GET` of what happens.
    Watch,
    /// Something else.
    Other,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apply => "apply",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Discover => "discover",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
            Self::Other => "other",
        })
    }
}

/// One call that a fake cluster received. Written as `apply providers/countersign`.
#[derive(Clone, PartialEq)]
pub struct Call {
    /// What is asked for.
    pub verb: Verb,
    /// The API group; empty: the core.
    pub group: String,
    /// The group's version.
    pub version: String,
    /// The resource's plural name; empty in a discovery.
    pub plural: String,
    /// The namespace; empty: none was named.
    pub namespace: String,
    /// The object's name; empty: none was named. Of a list or watch by `metadata.name`, that.
    pub name: String,
    /// `status`, or empty.
    pub subresource: String,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// The media type of the body.
    pub content_type: String,
    /// The header of this name.
    pub authorization: Option<String>,
    /// The header of this name.
    pub user_agent: String,
    /// Whether objects are wanted with their metadata alone.
    pub metadata_only: bool,
    /// The body, where it is JSON.
    pub body: Option<Value>,
}

impl Call {
    /// Reads a request. `target`: path and query as sent.
    pub(super) fn parse(method: &str, target: &str, headers: &BTreeMap<String, String>, body: &[u8]) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        let header = |name: &str| headers.get(name).cloned();
        let content_type = header("content-type").unwrap_or_default();
        let mut call = Self {
            verb: Verb::Other,
            group: String::new(),
            version: String::new(),
            plural: String::new(),
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
            content_type,
            authorization: header("authorization"),
            user_agent: header("user-agent").unwrap_or_default(),
            metadata_only: header("accept").is_some_and(|accept| accept.contains("as=PartialObjectMetadata")),
            body: serde_json::from_slice(body).ok(),
            query,
        };
        call.read_path(path);
        call.verb = call.read_verb(method);
        if call.name.is_empty()
            && let Some(name) = call.query.get("fieldSelector").and_then(|fields| fields.strip_prefix("metadata.name="))
        {
            call.name = name.to_owned();
        }
        call
    }

    fn read_path(&mut self, path: &str) {
        let segments: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
        let mut rest = match segments.first().map(String::as_str) {
            Some("api") => segments.get(1..).unwrap_or_default(),
            Some("apis") => {
                self.group = segments.get(1).cloned().unwrap_or_default();
                segments.get(2..).unwrap_or_default()
            }
            _ => return,
        }
        .iter();
        self.version = rest.next().cloned().unwrap_or_default();
        let mut rest: Vec<String> = rest.cloned().collect();
        // `/namespaces/NAME` is a namespace itself; with more behind it, the place of the rest.
        if rest.len() > 2 && rest[0] == "namespaces" {
            self.namespace.clone_from(&rest[1]);
            rest.drain(..2);
        }
        let mut rest = rest.into_iter();
        self.plural = rest.next().unwrap_or_default();
        self.name = rest.next().unwrap_or_default();
        self.subresource = rest.next().unwrap_or_default();
    }

    fn read_verb(&self, method: &str) -> Verb {
        match method {
            "GET" if self.plural.is_empty() => Verb::Discover,
            "GET" if self.query.get("watch").is_some_and(|watch| watch == "true" || watch == "1") => Verb::Watch,
            "GET" if self.name.is_empty() => Verb::List,
            "GET" => Verb::Get,
            "POST" => Verb::Create,
            "PUT" => Verb::Update,
            "PATCH" if self.content_type.starts_with("application/apply-patch") => Verb::Apply,
            "PATCH" => Verb::Patch,
            "DELETE" => Verb::Delete,
            _ => Verb::Other,
        }
    }

    /// Whether `pattern` (`get secrets`, `* secrets/NAME`, `update providers/NAME/status`) is about it.
    pub fn is(&self, pattern: &str) -> bool {
        let (verb, what) = pattern.split_once(' ').unwrap_or((pattern, "*"));
        let mut parts = what.split('/');
        let plural = parts.next().unwrap_or_default();
        let fits = |wanted: Option<&str>, is: &str| wanted.is_none_or(|wanted| wanted == "*" || wanted == is);
        fits(Some(verb), &self.verb.to_string())
            && fits(Some(plural), &self.plural)
            && fits(parts.next(), &self.name)
            && fits(parts.next(), &self.subresource)
    }

    /// Who says to be writing.
    pub fn manager(&self) -> String {
        let agent = || self.user_agent.split('/').next().unwrap_or_default().to_owned();
        self.query.get("fieldManager").cloned().filter(|name| !name.is_empty()).unwrap_or_else(agent)
    }

    pub(super) fn says(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| value == "true")
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verb)?;
        if self.plural.is_empty() {
            return write!(f, " {}/{}", self.group, self.version);
        }
        write!(f, " {}", self.plural)?;
        for part in [&self.name, &self.subresource] {
            if !part.is_empty() {
                write!(f, "/{part}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
