//! What arrived.

use std::fmt;

use crate::asked::decode;

/// One call that a fake registry received.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// `GET`
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Headers as sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Call {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The repository that the path names.
    pub fn repository(&self) -> Option<&str> {
        let rest = self.path().strip_prefix("/v2/")?;
        ["/manifests/", "/blobs/", "/referrers/"].iter().find_map(|kind| rest.rsplit_once(kind)).map(|(name, _)| name)
    }

    /// A header's value, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The `Authorization` header.
    pub fn authorization(&self) -> Option<&str> {
        self.header("Authorization")
    }

    /// A member of the query, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        member(self.target.split_once('?')?.1, name)
    }

    /// A member of a form in the body, decoded.
    pub fn form(&self, name: &str) -> Option<String> {
        member(&self.body, name)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}

fn member(encoded: &str, name: &str) -> Option<String> {
    encoded.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| decode(value))
    })
}
