//! A plugin's words, made fit for reports: escaped, bounded, and without the values that it was entrusted with.

use serde_json::{Map, Value};

use super::{config::Config, program::Program, reply::Reply};
use crate::{
    reason::{MAX_OUTSIDE_TEXT_BYTES, printable},
    verifier::Told,
};

/// Most bytes of a plugin's extensions in a report. A value is kept per key in several processes (`threats.md` 1.2).
const MAX_EXTENSIONS_BYTES: usize = 8 * 1024;
/// The member of the extensions that says who spoke. It is ours, whatever the plugin writes.
const PLUGIN: &str = "plugin";
/// Shortest value that is taken out: of shorter ones nothing would be left of a report.
const MIN_SECRET_BYTES: usize = 6;
/// Members of `config` whose values are secrets.
const SECRETS: [&str; 5] = ["password", "token", "secret", "auth", "key"];
const REDACTED: &str = "[redacted]";

/// Makes a plugin's words fit for reports.
#[derive(Clone)]
pub(super) struct Words {
    secrets: Vec<String>,
    mark: Value,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").field("mark", &self.mark).finish_non_exhaustive()
    }
}

impl Words {
    pub(super) fn new(config: &Config, program: &Program) -> Self {
        let mut secrets: Vec<String> = config.environment.values().cloned().collect();
        for (member, value) in &config.config {
            collect(member, value, &mut secrets);
        }
        secrets.retain(|secret| secret.len() >= MIN_SECRET_BYTES);
        // The longest first: one may be the beginning of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mark = serde_json::json!({
            "name": program.name(),
            "digest": program.digest().to_string(),
            "version": config.version,
        });
        Self { secrets, mark }
    }

    /// One text.
    pub(super) fn text(&self, text: &str) -> String {
        printable(&self.redacted(text), MAX_OUTSIDE_TEXT_BYTES)
    }

    /// What a reply says beside its yes or no.
    pub(super) fn of(&self, reply: &Reply) -> Told {
        let parts = [&reply.message, &reply.error_reason];
        let parts: Vec<String> = parts.into_iter().flatten().map(|part| self.text(part)).collect();
        Told {
            message: Some(parts.join(": ")).filter(|message| !message.is_empty()),
            remediation: reply.remediation.as_deref().map(|remediation| self.text(remediation)),
            extensions: self.extensions(&reply.extensions),
        }
    }

    /// Nothing but who was asked, and what it said of its failure.
    pub(super) fn mark(&self, message: Option<&str>) -> Told {
        let message = message.filter(|message| !message.is_empty()).map(|message| self.text(message));
        Told { message, remediation: None, extensions: self.extensions(&Map::new()) }
    }

    fn extensions(&self, said: &Map<String, Value>) -> Map<String, Value> {
        let mut extensions: Map<String, Value> =
            said.iter().map(|(member, value)| (self.text(member), self.value(value))).collect();
        let size = serde_json::to_vec(&extensions).map_or(usize::MAX, |json| json.len());
        if size > MAX_EXTENSIONS_BYTES {
            extensions = Map::from_iter([("omittedBytes".to_owned(), Value::from(size))]);
        }
        extensions.insert(PLUGIN.to_owned(), self.mark.clone());
        extensions
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            Value::Object(members) => {
                Value::Object(members.iter().map(|(member, value)| (self.text(member), self.value(value))).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn redacted(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
    }
}

fn collect(member: &str, value: &Value, secrets: &mut Vec<String>) {
    let lower = member.to_lowercase();
    match value {
        Value::String(text) if SECRETS.iter().any(|secret| lower.contains(secret)) => secrets.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(member, item, secrets)),
        Value::Object(members) => members.iter().for_each(|(member, value)| collect(member, value, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
