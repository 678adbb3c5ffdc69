//! The body of a log entry: what the log took in, in the forms that are supported.
//!
//! Members that are not known are passed over: the log signed them, and they bind nothing. What binds must be there, once, in
//! its one spelling.
//!
//! Rule: `sigstore.md` §1.5; `threats.md` COS-04. Refused are `rekord`, every other kind, and `intoto/0.0.1`, which does not hold
//! the signature, outside attestations that are layers of their own.

use super::{
    super::evidence::{Entry, Shape},
    LogFault,
};
use crate::{
    crypto::scheme::HashAlgorithm,
    json::{self, DOCUMENT_DEPTH},
    reason::printable,
};

mod wire;

/// Largest body that is read (`threats.md` 1.2). A real one has 2 to 20 KiB, most of it certificates.
const MAX_BYTES: usize = 1024 * 1024;
/// Kinds and versions from outside are repeated up to this length.
const MAX_NAME_BYTES: usize = 64;

/// What an entry is about.
#[derive(Debug)]
pub(super) enum Body {
    /// `dsse/0.0.1`, and `intoto/0.0.2`, which also has the payload type.
    Dsse(Dsse),
    /// `intoto/0.0.1`.
    Intoto(Intoto),
    /// `hashedrekord/0.0.1`.
    Record(Record),
    /// `hashedrekord/0.0.2`: Rekor v2.
    RecordV2(Record),
}

/// An artifact by its hash, and one signature over it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) hash: Digest,
    pub(super) signature: Vec<u8>,
    pub(super) verifier: Verifier,
}

/// A DSSE envelope and its signatures.
#[derive(Debug)]
pub(super) struct Dsse {
    pub(super) envelope_sha256: Vec<u8>,
    pub(super) payload_sha256: Vec<u8>,
    pub(super) payload_type: Option<String>,
    pub(super) signatures: Vec<(Vec<u8>, Verifier)>,
}

/// A DSSE envelope by its hash.
#[derive(Debug)]
pub(super) struct Intoto {
    pub(super) envelope_sha256: Vec<u8>,
    pub(super) payload_sha256: Option<Vec<u8>>,
    pub(super) verifier: Verifier,
}

/// A digest with its algorithm; the length fits.
#[derive(Debug)]
pub(super) struct Digest {
    pub(super) algorithm: HashAlgorithm,
    pub(super) bytes: Vec<u8>,
}

/// What the log says that a signature verifies with, DER.
#[derive(Debug)]
pub(super) enum Verifier {
    Certificate(Vec<u8>),
    Key(Vec<u8>),
}

impl Body {
    /// Reads the entry's body.
    ///
    /// # Errors
    /// [`LogFault::Limit`] past 1 MiB; a body that is not strict JSON, whose kind is another than `kindVersion` says or does not
    /// count for `shape`, or that lacks what binds.
    pub(super) fn parse(entry: &Entry, shape: Shape) -> Result<Self, LogFault> {
        let size = entry.body.len();
        if size > MAX_BYTES {
            return Err(LogFault::Limit { what: "log entry's body, in bytes,", size, limit: MAX_BYTES });
        }
        let wire::Document { kind, version, spec } =
            json::from_slice(&entry.body, DOCUMENT_DEPTH).map_err(LogFault::Body)?;
        match &entry.kind {
            Some((stated, of)) if *stated == kind && *of == version => {}
            Some((stated, of)) => {
                let name = |kind, version| printable(&format!("{kind}/{version}"), MAX_NAME_BYTES);
                return Err(LogFault::KindMismatch { stated: name(stated, of), body: name(&kind, &version) });
            }
            None if shape.is_bundle() => return Err(LogFault::KindMissing),
            None => {}
        }
        match (kind.as_str(), version.as_str()) {
            ("dsse", "0.0.1") => wire::dsse(spec).map(Self::Dsse),
            ("hashedrekord", "0.0.1") => wire::record(spec).map(Self::Record),
            ("hashedrekord", "0.0.2") => wire::record_v2(spec).map(Self::RecordV2),
            ("intoto", "0.0.1") if matches!(shape, Shape::AttestationReferrer | Shape::AttestationTag) => {
                wire::intoto(spec).map(Self::Intoto)
            }
            ("intoto", "0.0.2") => wire::intoto_v2(spec).map(Self::Dsse),
            _ => {
                let name = |text: &str| printable(text, MAX_NAME_BYTES);
                Err(LogFault::Kind { kind: name(&kind), version: name(&version), shape })
            }
        }
    }

    /// Whether a Rekor v2 log made it.
    pub(super) const fn is_v2(&self) -> bool {
        matches!(self, Self::RecordV2(_))
    }
}
