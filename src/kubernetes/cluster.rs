//! Calls to the API server: each bounded in bytes and time, none repeated, and nothing of an answer's text in any error.
//!
//! `kube`'s own typed calls write a body that they cannot read to the log, which must not happen to a Secret; so bodies are read
//! here.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use hyper::{
    Request, Response,
    body::Body as _,
    header::{DATE, HeaderMap},
};
use kube::{
    Client,
    client::Body,
    core::{
        Request as Paths, Status,
        params::{GetParams, Patch, PatchParams, PostParams},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use time::{OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tokio::time::timeout;

use crate::reason;

/// Most bytes of one answer: an object in etcd has at most 1.5 MB.
const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;
/// Longest wait for a whole answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest reason of the API server that is repeated.
const MAX_REASON_BYTES: usize = 64;
/// RFC 9110 §5.6.7, `IMF-fixdate`.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Why a call to the API server gave nothing. Never says what an object holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The API server says no.
    #[error("the API server answers {status} ({reason})")]
    Answered {
        /// HTTP status.
        status: u16,
        /// Kubernetes' word for it, as `Forbidden`; bounded and printable.
        reason: String,
    },
    /// No request could be made of it.
    #[error("the request to the API server is not well-formed")]
    Request(#[source] kube::core::request::Error),
    /// Nobody answered, or not to the end.
    #[error("the API server cannot be reached")]
    Transport(#[source] kube::Error),
    /// No answer in time.
    #[error("the API server does not answer within {} s", CALL_TIMEOUT.as_secs())]
    Timeout,
    /// Larger than any object.
    #[error("the API server's answer has more than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
    /// No such object as was asked for. The text is not repeated.
    #[error("the API server's answer cannot be read (line {line}, column {column})")]
    Unreadable {
        /// Where in the answer.
        line: usize,
        /// Where in the line.
        column: usize,
    },
}

impl CallError {
    /// Somebody else was faster: what was written is not what is there.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Answered { status: 409, .. })
    }
}

/// One namespace of the cluster, and the API server before it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// An object, and what the API server's clock said then.
#[derive(Debug)]
pub(crate) struct Dated<T> {
    pub(crate) object: Option<T>,
    /// `None`: the answer had no readable `Date`.
    pub(crate) date: Option<OffsetDateTime>,
}

impl Cluster {
    /// `namespace`: what the configuration says; absent: the ServiceAccount's own.
    pub fn new(client: Client, namespace: Option<&str>) -> Self {
        let namespace = namespace.unwrap_or_else(|| client.default_namespace()).to_owned();
        Self { client, namespace }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Where the objects of a kind are in this namespace. `api`: as `/api/v1` or `/apis/coordination.k8s.io/v1`.
    pub(crate) fn path(&self, api: &str, plural: &str) -> String {
        format!("{api}/namespaces/{}/{plural}", self.namespace)
    }

    /// An object by name; `None`: there is none.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, name: &str) -> Result<Option<T>, CallError> {
        self.get_dated(path, name).await.map(|dated| dated.object)
    }

    /// As [`Cluster::get`], with the API server's clock.
    pub(crate) async fn get_dated<T: DeserializeOwned>(&self, path: &str, name: &str) -> Result<Dated<T>, CallError> {
        let request = Paths::new(path).get(name, &GetParams::default()).map_err(CallError::Request)?;
        let (status, headers, body) = self.call(request).await?;
        let date = date(&headers);
        if status == 404 {
            return Ok(Dated { object: None, date });
        }
        Ok(Dated { object: Some(read(status, &body)?), date })
    }

    /// Makes an object; a conflict where there is one already.
    pub(crate) async fn create<T: Serialize + DeserializeOwned + Sync>(
        &self,
        path: &str,
        object: &T,
    ) -> Result<T, CallError> {
        let body = serde_json::to_vec(object).map_err(|error| unreadable(&error))?;
        let request = Paths::new(path).create(&PostParams::default(), body).map_err(CallError::Request)?;
        let (status, _, body) = self.call(request).await?;
        read(status, &body)
    }

    /// Puts an object in the place of the one with its `resourceVersion`; a conflict where that is not the latest.
    pub(crate) async fn replace<T: Serialize + DeserializeOwned + Sync>(
        &self,
        path: &str,
        name: &str,
        object: &T,
    ) -> Result<T, CallError> {
        let body = serde_json::to_vec(object).map_err(|error| unreadable(&error))?;
        let request = Paths::new(path).replace(name, &PostParams::default(), body).map_err(CallError::Request)?;
        let (status, _, body) = self.call(request).await?;
        read(status, &body)
    }

    /// A merge patch as field manager `manager`. With `metadata.resourceVersion` in it: a conflict where that is not the latest.
    pub(crate) async fn merge(
        &self,
        path: &str,
        name: &str,
        manager: &str,
        change: &serde_json::Value,
    ) -> Result<(), CallError> {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        let request = Paths::new(path).patch(name, &params, &Patch::Merge(change)).map_err(CallError::Request)?;
        let (status, _, body) = self.call(request).await?;
        read::<serde::de::IgnoredAny>(status, &body).map(|_| ())
    }

    async fn call(&self, request: Request<Vec<u8>>) -> Result<(u16, HeaderMap, Bytes), CallError> {
        let answered = async {
            let response = self.client.send(request.map(Body::from)).await.map_err(CallError::Transport)?;
            let (head, body) = Response::into_parts(response);
            Ok((head.status.as_u16(), head.headers, collect(body).await?))
        };
        timeout(CALL_TIMEOUT, answered).await.unwrap_or(Err(CallError::Timeout))
    }
}

/// A body up to [`MAX_ANSWER_BYTES`].
async fn collect(body: Body) -> Result<Bytes, CallError> {
    let mut body = std::pin::pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let Ok(data) = frame.map_err(CallError::Transport)?.into_data() else { continue };
        if data.len() > MAX_ANSWER_BYTES.saturating_sub(bytes.len()) {
            return Err(CallError::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn read<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, CallError> {
    if (200..300).contains(&status) {
        return serde_json::from_slice(body).map_err(|error| unreadable(&error));
    }
    let reason = serde_json::from_slice::<Status>(body).map(|status| status.reason).unwrap_or_default();
    let reason = if reason.is_empty() { "no reason".to_owned() } else { reason::printable(&reason, MAX_REASON_BYTES) };
    Err(CallError::Answered { status, reason })
}

/// serde repeats what it read; here that may be a key.
fn unreadable(error: &serde_json::Error) -> CallError {
    CallError::Unreadable { line: error.line(), column: error.column() }
}

fn date(headers: &HeaderMap) -> Option<OffsetDateTime> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(PrimitiveDateTime::parse(text, &HTTP_DATE).ok()?.assume_utc())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn dates_are_those_of_http_and_no_others() {
        let at = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, text.parse().unwrap());
            date(&headers)
        };
        assert_eq!(at("Sun, 06 Nov 1994 08:49:37 GMT"), Some(datetime!(1994-11-06 08:49:37 UTC)));
        for other in ["Sun, 06 Nov 1994 08:49:37 CET", "1994-11-06T08:49:37Z", "soon"] {
            assert_eq!(at(other), None, "{other}");
        }
        assert_eq!(date(&HeaderMap::new()), None);
    }

    #[test]
    fn no_error_repeats_what_an_object_holds() {
        let canary = r#"{"kind":"Status","reason":"Conflict","message":"CANARY","metadata":"CANARY"}"#;
        let said = |status| format!("{:?}", read::<u8>(status, canary.as_bytes()).unwrap_err());
        assert!(!said(200).contains("CANARY") && !said(500).contains("CANARY"), "{} {}", said(200), said(500));
        let conflict = br#"{"kind":"Status","reason":"Conflict"}"#;
        assert!(read::<u8>(409, conflict).unwrap_err().is_conflict());
        assert_eq!(read::<u8>(502, b"<html>").unwrap_err().to_string(), "the API server answers 502 (no reason)");
    }
}
