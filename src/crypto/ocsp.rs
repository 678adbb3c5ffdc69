//! OCSP: the request, and what a responder's answer is worth.
//!
//! ```text
//! certificate, issuer ──► Request ──GET or POST, elsewhere──► Response ──verify──┬─ CertID names the certificate
//!                                                                                ├─ responder: the issuer, or its delegate   ─► Statement
//!                                                                                └─ signature, thisUpdate ≤ now ≤ nextUpdate
//! ```
//!
//! A [`Statement`] is definite: good, revoked or unknown, by a signer who may say so, and fresh. Everything else is an
//! [`OcspError`], which says nothing about the certificate.
//!
//! Rule: RFC 6960; `notation.md` 3.5.

use time::OffsetDateTime;

use super::{
    crl::{Question, Revocation},
    x509::{self, Certificate},
};

mod basic;
mod cert_id;
mod error;
mod request;
mod responder;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use basic::{Basic, Single};
pub use error::{OcspError, ResponderFault};
pub use request::Request;

/// Largest response that is read. Real ones have 0.5 to 3 KiB.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// The media type of a request.
pub const REQUEST_MEDIA_TYPE: &str = "application/ocsp-request";
/// The media type of a response.
pub const RESPONSE_MEDIA_TYPE: &str = "application/ocsp-response";

/// A successful response that was read, not yet one that is believed.
#[derive(Debug, Clone)]
pub struct Response {
    basic: Basic,
}

/// What an authorised responder says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was not revoked.
    Good,
    /// It was, for ever or for now.
    Revoked(Revocation),
    /// The responder does not know it, and says so.
    Unknown,
}

/// What an authorised responder says of a certificate, at a time at which that holds. [`Response::verify`] is the only
/// constructor.
#[derive(Debug, Clone)]
pub struct Statement {
    status: Status,
    this_update: OffsetDateTime,
    next_update: OffsetDateTime,
    produced_at: OffsetDateTime,
    responder: Option<Certificate>,
}

impl Statement {
    /// The answer.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Since when it is known to be true.
    pub const fn this_update(&self) -> OffsetDateTime {
        self.this_update
    }

    /// Until when it can be used.
    pub const fn next_update(&self) -> OffsetDateTime {
        self.next_update
    }

    /// When it was signed.
    pub const fn produced_at(&self) -> OffsetDateTime {
        self.produced_at
    }

    /// The delegated responder that signed it; `None`: the issuer itself did.
    pub const fn responder(&self) -> Option<&Certificate> {
        self.responder.as_ref()
    }

    /// The last moment at which the same response would verify: `nextUpdate`, or the end of its responder's certificate.
    pub fn valid_until(&self) -> OffsetDateTime {
        self.responder.as_ref().map_or(self.next_update, |responder| self.next_update.min(responder.not_after()))
    }
}

impl Response {
    /// Parses exactly one DER `OCSPResponse` with the status successful and a basic response.
    ///
    /// # Errors
    /// [`OcspError`]: more than [`MAX_RESPONSE_BYTES`], BER, trailing bytes, another status or type, a critical extension.
    pub fn parse(der: &[u8]) -> Result<Self, OcspError> {
        let (size, limit) = (der.len(), MAX_RESPONSE_BYTES);
        if size > limit {
            return Err(OcspError::TooLarge { size, limit });
        }
        Ok(Self { basic: Basic::read(der)? })
    }

    /// Whether the response has an answer for the certificate; nothing is said of what it is worth.
    pub fn is_about(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        self.basic.answers.iter().any(|answer| answer.id.names(certificate, issuer))
    }

    /// Verifies that an authorised responder answers the question.
    ///
    /// Authorised are the issuer, and whom the issuer itself certified for `OCSPSigning`, valid now. A delegate that has
    /// `id-pkix-ocsp-nocheck` or no revocation address is not asked after; one that has an address would have to be, and is
    /// refused (RFC 6960 §4.2.2.2.1, REV-03). Where several answers are for the certificate, the worst counts, and one that is
    /// not fresh refuses all but a revocation.
    ///
    /// # Errors
    /// [`OcspError`]: this is no statement about the certificate.
    pub fn verify(&self, question: &Question<'_>) -> Result<Statement, OcspError> {
        let Question { certificate, issuer, now, .. } = *question;
        if certificate.issuer() != issuer.subject() {
            return Err(OcspError::OtherCertificate);
        }
        let mut answers = self.basic.answers.iter().filter(|answer| answer.id.names(certificate, issuer)).peekable();
        if answers.peek().is_none() {
            return Err(OcspError::OtherCertificate);
        }
        let responder = responder::find(&self.basic, issuer, now)?;
        let signer = responder.as_ref().unwrap_or(issuer).public_key();
        x509::verify_signature(&self.basic.algorithm, signer, &self.basic.signed, &self.basic.signature)
            .map_err(OcspError::Signature)?;
        if self.basic.produced_at > now {
            return Err(OcspError::Future { instant: self.basic.produced_at, now });
        }
        let mut worst: Option<Result<Statement, OcspError>> = None;
        for answer in answers {
            let judged = answer.judge(question).map(|(status, next_update)| Statement {
                status,
                this_update: answer.this_update,
                next_update,
                produced_at: self.basic.produced_at,
                responder: responder.clone(),
            });
            if worst.as_ref().is_none_or(|worst| badness(&judged) > badness(worst)) {
                worst = Some(judged);
            }
        }
        worst.unwrap_or(Err(OcspError::OtherCertificate))
    }
}

/// Which of several answers counts: the higher.
const fn badness(judged: &Result<Statement, OcspError>) -> u8 {
    match judged {
        Ok(Statement { status: Status::Good, .. }) => 0,
        Ok(Statement { status: Status::Unknown, .. }) => 1,
        Err(_) => 2,
        Ok(Statement { status: Status::Revoked(_), .. }) => 3,
    }
}

impl Single {
    /// The status, and until when it can be used.
    fn judge(&self, question: &Question<'_>) -> Result<(Status, OffsetDateTime), OcspError> {
        let now = question.now;
        if self.this_update > now {
            return Err(OcspError::Future { instant: self.this_update, now });
        }
        let Some(next_update) = self.next_update else { return Err(OcspError::NoNextUpdate) };
        if now > next_update {
            return Err(OcspError::Stale { this_update: self.this_update, next_update, now });
        }
        let status = match self.status {
            Status::Revoked(revocation) if revocation.spares(question.signing_time) => Status::Good,
            status @ (Status::Good | Status::Revoked(_) | Status::Unknown) => status,
        };
        Ok((status, next_update))
    }
}
