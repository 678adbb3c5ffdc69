//! What a fake registry answers, faithful or not.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use super::Call;

/// A response, as it will go over the wire: nothing is corrected.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers beside those that the body needs.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// A body, and how its end is announced.
#[derive(Debug, Clone)]
pub enum Body {
    /// In chunks, each after a pause, and then the end.
    Chunked(Vec<Bytes>, Duration),
    /// With a `Content-Length` that may be a lie; the connection closes after the bytes.
    Declared(Bytes, String),
    /// Chunks without end, each after a pause.
    Endless(Bytes, Duration),
    /// Until the connection closes, with neither length nor chunks.
    UntilClose(Bytes),
    /// With its true length.
    Whole(Bytes),
}

/// A change of the faithful answer.
pub type Edit = Arc<dyn Fn(&Call, Response) -> Response + Send + Sync>;

/// What is answered to a call.
pub type Rule = Arc<dyn Fn(&Call) -> Reply + Send + Sync>;

/// What a script answers to one call.
#[derive(Clone)]
pub enum Reply {
    /// Closes the connection without a byte.
    Close,
    /// The faithful answer, changed.
    Edited(Edit),
    /// The faithful answer.
    Faithful,
    /// A response of its own.
    Own(Response),
    /// Bytes, verbatim, each piece after a pause; then the connection closes.
    Raw(Vec<Bytes>, Duration),
    /// Resets the connection, after some bytes.
    Reset(Bytes),
    /// Keeps the connection open and says nothing.
    Silent,
}

impl Reply {
    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self::Own(Response::new(status, Bytes::new()))
    }

    /// A status and one header.
    pub fn header(status: u16, name: &str, value: &str) -> Self {
        Self::Own(Response::new(status, Bytes::new()).with(name, value))
    }

    /// `200` with a content type and a body.
    pub fn ok(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::Own(Response::new(200, body).with("Content-Type", content_type))
    }

    /// The faithful answer, changed.
    pub fn edit(change: impl Fn(&Call, Response) -> Response + Send + Sync + 'static) -> Self {
        Self::Edited(Arc::new(change))
    }

    /// The faithful answer with another body.
    pub fn body(change: impl Fn(Bytes) -> Body + Send + Sync + 'static) -> Self {
        Self::edit(move |_, response| Response { body: change(response.body.bytes()), ..response })
    }

    /// The faithful answer with one header set to another value.
    pub fn with(name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        Self::edit(move |_, response| response.without(&name).with(&name, &value))
    }

    /// The faithful answer without one header.
    pub fn without(name: &str) -> Self {
        let name = name.to_owned();
        Self::edit(move |_, response| response.without(&name))
    }

    /// Verbatim bytes.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::Raw(vec![bytes.into()], Duration::ZERO)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

impl Response {
    /// A response with its true length.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(body.into()) }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }
}

impl Body {
    /// What it holds, however it is sent.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Chunked(chunks, _) => chunks.concat().into(),
            Self::Declared(bytes, _) | Self::Endless(bytes, _) | Self::UntilClose(bytes) | Self::Whole(bytes) => {
                bytes.clone()
            }
        }
    }
}
