//! What certificates and timestamp tokens say, for people to read and compare. To describe is not to verify: nothing here is a
//! verdict, and nothing that decides may use it.
//!
//! Every text in a description is printable and bounded when it is made: what a stranger wrote forges no line of output.

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::{
    hex,
    scheme::HashAlgorithm,
    tsp::{Timestamp, TspError},
    x509::Certificate,
};
use crate::reason::{self, Code};

/// Most entries of a list or map that a stranger wrote which a description repeats.
pub const MAX_ENTRIES: usize = 50;

/// Text from outside, escaped and bounded.
pub fn plain(text: &str) -> String {
    reason::printable(text, reason::MAX_OUTSIDE_TEXT_BYTES)
}

/// Why something is not described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The stable code that a verification would name.
    pub code: Code,
    /// In words.
    pub unreadable: String,
}

impl Unreadable {
    /// Of a reason in words.
    pub fn new(code: Code, reason: &str) -> Self {
        Self { code, unreadable: plain(reason) }
    }

    /// Of an error, with its sources.
    pub fn because(code: Code, error: &(dyn std::error::Error + 'static)) -> Self {
        Self { code, unreadable: reason::chain(error) }
    }
}

/// A description, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Described<T> {
    /// It was read.
    Read(T),
    /// It was not.
    Not(Unreadable),
}

impl<T> Described<T> {
    /// What was read.
    pub const fn read(&self) -> Option<&T> {
        match self {
            Self::Read(read) => Some(read),
            Self::Not(_) => None,
        }
    }
}

impl<T> From<Result<T, Unreadable>> for Described<T> {
    fn from(result: Result<T, Unreadable>) -> Self {
        result.map_or_else(Self::Not, Self::Read)
    }
}

/// A moment at which something ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// What ends, in words.
    pub of: String,
    /// The first moment at which it is over.
    pub at: OffsetDateTime,
}

impl End {
    /// Of something that is over at this very moment.
    pub fn at(of: impl Into<String>, at: OffsetDateTime) -> Self {
        Self { of: of.into(), at }
    }

    /// Of something whose last moment this is, to the second.
    pub fn after(of: impl Into<String>, last: OffsetDateTime) -> Self {
        Self { of: of.into(), at: last.saturating_add(Duration::SECOND) }
    }
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    /// Whose it is.
    pub subject: String,
    /// Who is said to have issued it.
    pub issuer: String,
    /// The serial number, as hex.
    pub serial_number: String,
    /// The first moment at which it is valid.
    #[serde(serialize_with = "time::serde::rfc3339::serialize")]
    pub not_before: OffsetDateTime,
    /// The last one.
    #[serde(serialize_with = "time::serde::rfc3339::serialize")]
    pub not_after: OffsetDateTime,
    /// SHA-256 of the certificate, as hex: what tools call its fingerprint.
    pub sha256_fingerprint: String,
}

impl From<&Certificate> for CertificateFacts {
    fn from(certificate: &Certificate) -> Self {
        Self {
            subject: plain(&certificate.subject().to_text()),
            issuer: plain(&certificate.issuer().to_text()),
            serial_number: plain(&hex(certificate.serial_number())),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            sha256_fingerprint: hex(HashAlgorithm::Sha256.digest(certificate.der()).as_ref()),
        }
    }
}

impl CertificateFacts {
    /// When it ends.
    pub fn end(&self) -> End {
        End::after(format!("certificate {:?}", self.subject), self.not_after)
    }
}

/// Describes a certificate, DER.
pub fn certificate(der: &[u8]) -> Described<CertificateFacts> {
    Certificate::parse(der)
        .map(|certificate| CertificateFacts::from(&certificate))
        .map_err(|error| Unreadable::because(error.code(), &error))
        .into()
}

/// A timestamp token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimestampFacts {
    /// When the authority says to have seen what it stamped.
    #[serde(serialize_with = "time::serde::rfc3339::serialize")]
    pub time: OffsetDateTime,
    /// How far the time may be off, either way; absent: the token does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<String>,
    /// The hash of what was stamped.
    pub hash_algorithm: String,
    /// Whom the token names as its signers.
    pub signers: Vec<String>,
    /// The certificates in the token, in its order.
    pub certificates: Vec<CertificateFacts>,
}

/// Describes what reading a token gave.
pub fn timestamp(read: Result<Timestamp, TspError>) -> Described<TimestampFacts> {
    let facts = |token: Timestamp| TimestampFacts {
        time: token.time(),
        accuracy: Some(token.accuracy()).filter(|accuracy| !accuracy.is_zero()).map(|accuracy| format!("{accuracy:?}")),
        hash_algorithm: token
            .imprint()
            .hash
            .map_or_else(|| token.imprint().algorithm.to_string(), |hash| hash.to_string()),
        signers: token.signers().map(ToString::to_string).collect(),
        certificates: token.certificates().iter().map(CertificateFacts::from).collect(),
    };
    read.map(facts).map_err(|error| Unreadable::because(error.code(), &error)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::good_chain;

    #[test]
    fn a_certificate_is_described_by_names_validity_and_fingerprint() {
        let der = good_chain().der.remove(0);
        let facts = certificate(&der).read().cloned().unwrap();
        assert_eq!(facts.sha256_fingerprint.len(), 64);
        assert!(facts.subject.starts_with("CN=") && facts.not_before < facts.not_after);
        assert_eq!(facts.end().at, facts.not_after + Duration::SECOND);
        let Described::Not(unreadable) = certificate(&der[1..]) else { panic!("a certificate without its first byte") };
        assert_eq!(unreadable.code, Code::CertificateInvalid);
    }

    #[test]
    fn strangers_texts_are_escaped() {
        assert_eq!(plain("a\n\u{202e}b"), "a\\u{a}\\u{202e}b");
        assert_eq!(Unreadable::new(Code::Expired, "x\u{1b}[31m").unreadable, "x\\u{1b}[31m");
    }

    #[test]
    fn a_token_that_is_none_is_said_to_be_unreadable() {
        assert!(timestamp(Timestamp::from_token(b"no token")).read().is_none());
    }
}
