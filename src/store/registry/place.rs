//! A repository at one origin: asking it, with what identifies us, and judging what it answers.

use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::{
    super::StoreError,
    auth::{Authorizer, Party},
    metrics::Kind,
    origin::Origin,
    rule::{Role, Rule},
    transport::{Ask, Reply, Transport, is_transient},
};
use crate::{json, oci::Descriptor, reason::printable};

/// A repository at an origin, for one call.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) transport: &'a Transport,
    pub(super) authorizer: &'a Authorizer,
    pub(super) rule: &'a Rule,
    pub(super) origin: Origin,
    /// The repository's path.
    pub(super) path: &'a str,
    pub(super) deadline: Instant,
}

/// What is wanted of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want<'a> {
    pub(super) kind: Kind,
    pub(super) accept: &'a str,
    pub(super) limit: u64,
    pub(super) descriptor: Option<&'a Descriptor>,
    /// For errors.
    pub(super) what: &'a str,
}

impl Place<'_> {
    /// `/v2/<path>/<rest>`. Paths, tags and digests have no character that a URL would read otherwise.
    pub(super) fn url(&self, rest: &str) -> Result<Url, StoreError> {
        self.origin.join(&format!("/v2/{}/{rest}", self.path)).map_err(|error| self.bad_http(rest, &error.to_string()))
    }

    /// Gets `url`, which is at this origin: an answer 200, or the error that the answer stands for.
    pub(super) async fn get(&self, url: Url, want: Want<'_>) -> Result<Reply, StoreError> {
        let party = Party { rule: self.rule, origin: &self.origin, path: self.path, deadline: self.deadline };
        let used = self.authorizer.usual(self.transport, party).await?;
        let mut ask = Ask {
            rule: self.rule,
            registry: &self.origin,
            url,
            role: Role::Registry,
            kind: want.kind,
            accept: want.accept,
            authorization: used.as_ref().map(|used| used.header.clone()),
            form: None,
            limit: want.limit,
            descriptor: want.descriptor,
            what: want.what,
            deadline: self.deadline,
        };
        let reply = self.transport.send(&ask).await?;
        // ECR answers 400 to credentials that have expired.
        let expired = reply.status == StatusCode::BAD_REQUEST && used.is_some();
        if reply.strayed || (reply.status != StatusCode::UNAUTHORIZED && !expired) {
            return self.judge(reply, &ask);
        }
        ask.authorization = Some(Box::pin(self.authorizer.answer(self.transport, party, &reply, used)).await?.header);
        let reply = Box::pin(self.transport.send(&ask)).await?;
        self.judge(reply, &ask)
    }

    fn judge(&self, reply: Reply, ask: &Ask<'_>) -> Result<Reply, StoreError> {
        let (registry, what) = (self.origin.to_string(), ask.what.to_owned());
        let detail = || {
            let place = if reply.strayed { "a redirect's target answers" } else { "it answers" };
            let words = if ask.authorization.is_some() { Words::Code } else { Words::All };
            format!("{place} {}{}", reply.status.as_u16(), said(&reply.body, words))
        };
        match reply.status.as_u16() {
            200 => Ok(reply),
            401 | 403 => {
                let repository = self.path.to_owned();
                Err(StoreError::Auth { registry, repository, detail: detail() })
            }
            // What a redirect's target does not have, the registry may well list.
            404 if !reply.strayed => Err(StoreError::NotFound { what: format!("{what} at {registry}") }),
            404 => Err(StoreError::Unavailable { registry, what, detail: detail() }),
            429 => Err(StoreError::RateLimited { registry, detail: detail() }),
            _ if is_transient(reply.status) => Err(StoreError::Unavailable { registry, what, detail: detail() }),
            _ => Err(StoreError::Http { registry, what, detail: detail() }),
        }
    }

    pub(super) fn bad_http(&self, what: &str, detail: &str) -> StoreError {
        StoreError::Http { registry: self.origin.to_string(), what: what.to_owned(), detail: detail.to_owned() }
    }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    code: String,
    #[serde(default)]
    message: String,
}

/// How much of a registry's own words is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// Its code and its message.
    All,
    /// Its code alone, and only if it looks like one: who saw our credentials may send them back (OPS-14).
    Code,
}

/// The registry's own words. Rule: distribution specification v1.1, "Error Codes".
fn said(body: &[u8], words: Words) -> String {
    let errors: Option<Errors> = json::from_slice(body, json::DOCUMENT_DEPTH).ok();
    let Some(Said { code, message }) = errors.and_then(|errors| errors.errors.into_iter().next()) else {
        return String::new();
    };
    match words {
        Words::All => printable(&format!(" ({code}: {message})"), 200),
        Words::Code if is_code(&code) => format!(" ({code})"),
        Words::Code => String::new(),
    }
}

/// As the specification writes its codes.
fn is_code(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// `Content-Type` without parameters, in lower case; `None` where there is none, or more than one.
pub(super) fn content_type(reply: &Reply) -> Option<String> {
    let mut values = reply.headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::to_str);
    let (Some(Ok(value)), None) = (values.next(), values.next()) else { return None };
    Some(value.split_once(';').map_or(value, |(media_type, _)| media_type).trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_s_own_words_are_repeated_escaped_and_bounded() {
        let all = |body: &str| said(body.as_bytes(), Words::All);
        assert_eq!(all(r#"{"errors":[{"code":"DENIED","message":"no\nway"}]}"#), " (DENIED: no\\u{a}way)");
        assert!(all(&format!(r#"{{"errors":[{{"code":"{}"}}]}}"#, "x".repeat(5000))).len() < 220);
        for body in ["", "<html>", "{}", r#"{"errors":[]}"#, r#"{"errors":"x"}"#] {
            assert_eq!(all(body), "", "{body}");
        }
    }

    // OPS-14
    #[test]
    fn who_saw_our_credentials_is_quoted_by_its_code_alone() {
        let code = |code: &str| {
            said(format!(r#"{{"errors":[{{"code":"{code}","message":"Basic cm9ib3Q6"}}]}}"#).as_bytes(), Words::Code)
        };
        assert_eq!(code("UNAUTHORIZED"), " (UNAUTHORIZED)");
        for other in ["Basic cm9ib3Q6", "cm9ib3Q6", "A1", &"A".repeat(33)] {
            assert_eq!(code(other), "", "{other}");
        }
    }
}
