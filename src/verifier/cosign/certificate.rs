//! The certificate of a keyless signer: its profile, and whom it names.
//!
//! ```text
//! leaf DER ──parse──► SigningCertificate ── subject name, issuer, claims ──► identity
//!                            │
//!                            └──build_path, at every verified time──► Path ── issuer's key ──► sct
//! ```
//!
//! An identity is worth nothing before [`build_path`] has led the certificate to an authority that is trusted.
//!
//! Rule: `sigstore.md` §2.4; sigstore/fulcio `docs/certificate-specification.md`.

use std::fmt;

use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _,
    asn1::{AnyRef, Ia5StringRef, ObjectIdentifier, Utf8StringRef},
};

use crate::{
    crypto::{
        read,
        x509::{Certificate, CertificateError, KeyUsage},
    },
    reason::Code,
};

mod claim;
mod path;

pub use claim::{Claim, Claims};
pub use path::{CaFault, ChainFault, Intermediates, Path, build_path};

use claim::Encoding;

/// Longest text that a certificate may say about its signer (COS-27). Real ones stay below 300 bytes.
pub const MAX_TEXT_BYTES: usize = 2 * 1024;

const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
const ISSUER_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
/// Fulcio's `otherName`: a user name with a domain, `user!domain`.
const USERNAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// The extensions of a signing certificate that may be critical: those whose meaning is checked here.
const UNDERSTOOD: [ObjectIdentifier; 1] = [SUBJECT_ALT_NAME];

/// The one subject alternative name of a signing certificate. Two names of different kinds are different, whatever their text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SubjectName {
    /// `rfc822Name`.
    Email(String),
    /// Fulcio's `otherName`: `user!domain`.
    Other(String),
    /// `uniformResourceIdentifier`.
    Uri(String),
}

impl SubjectName {
    /// The text; at least one character, none of them a control character.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(text) | Self::Other(text) | Self::Uri(text) => text,
        }
    }

    /// The kind in reports.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Other(_) => "otherName",
            Self::Uri(_) => "uri",
        }
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A certificate that fits the profile of a keyless signer. Says nothing about trust or time.
#[derive(Debug, Clone)]
pub struct SigningCertificate {
    certificate: Certificate,
    subject_name: SubjectName,
    issuer: Option<String>,
    claims: Claims,
}

/// Why a certificate is none of a keyless signer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningCertificateError {
    /// A certificate authority.
    #[error("signing certificate is a CA")]
    Ca,
    /// It cannot be read.
    #[error("signing certificate cannot be used")]
    Certificate {
        /// Why.
        source: CertificateError,
    },
    /// A critical extension that is not understood.
    #[error("signing certificate has critical extension {oid}, which is not understood")]
    CriticalExtension {
        /// Which.
        oid: String,
    },
    /// `extKeyUsage` does not say `codeSigning`.
    #[error("signing certificate has no extKeyUsage codeSigning")]
    ExtendedKeyUsage,
    /// The two issuer extensions differ (COS-28).
    #[error("signing certificate names two issuers")]
    Issuers,
    /// `keyUsage` lacks a bit, or is missing.
    #[error("signing certificate has no keyUsage digitalSignature")]
    KeyUsage,
    /// `keyUsage` has a bit that belongs to authorities.
    #[error("signing certificate has keyUsage keyCertSign")]
    KeyUsageCertSign,
    /// An extension that says who signed cannot be read.
    #[error("signing certificate has a malformed {name} extension")]
    Malformed {
        /// Which.
        name: &'static str,
        /// Why.
        source: der::Error,
    },
    /// Not exactly one subject alternative name.
    #[error("signing certificate has {count} subject alternative names instead of one")]
    SubjectNames {
        /// How many.
        count: usize,
    },
    /// A subject alternative name that names no signer, such as a DNS name.
    #[error("signing certificate has a subject alternative name that is no email, URI or user name")]
    SubjectNameKind,
    /// A text is empty where it says who signed, too long, not UTF-8, or has control characters.
    #[error("signing certificate has a {name} that {fault}")]
    Text {
        /// Which.
        name: &'static str,
        /// What about it.
        fault: TextFault,
    },
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFault {
    /// It has a control character: a line feed, a NUL.
    Control,
    /// It is empty.
    Empty,
    /// It is longer than [`MAX_TEXT_BYTES`].
    TooLong,
    /// It is not UTF-8.
    Utf8,
}

impl fmt::Display for TextFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "has control characters",
            Self::Empty => "is empty",
            Self::TooLong => "is longer than 2 KiB",
            Self::Utf8 => "is not UTF-8",
        })
    }
}

impl SigningCertificateError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Certificate { source } => source.code(),
            Self::Ca
            | Self::CriticalExtension { .. }
            | Self::ExtendedKeyUsage
            | Self::Issuers
            | Self::KeyUsage
            | Self::KeyUsageCertSign
            | Self::Malformed { .. }
            | Self::SubjectNameKind
            | Self::SubjectNames { .. }
            | Self::Text { .. } => Code::CertificateInvalid,
        }
    }
}

impl SigningCertificate {
    /// Parses a signer's certificate and checks its profile: version 3; no duplicate extension; no critical extension but
    /// those understood; `keyUsage` digitalSignature and not keyCertSign; `extKeyUsage` codeSigning; no CA; exactly one
    /// subject alternative name, an email, URI or Fulcio user name; issuer and claims readable and free of contradiction.
    ///
    /// # Errors
    /// [`SigningCertificateError`], the first that does not fit.
    pub fn parse(der: &[u8]) -> Result<Self, SigningCertificateError> {
        let certificate = Certificate::parse(der).map_err(|source| SigningCertificateError::Certificate { source })?;
        check_purpose(&certificate)?;
        let subject_name = subject_name(&certificate)?;
        let issuer = issuer(&certificate)?;
        let claims = claims(&certificate)?;
        Ok(Self { certificate, subject_name, issuer, claims })
    }

    /// The certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Who signed, as the certificate says.
    pub const fn subject_name(&self) -> &SubjectName {
        &self.subject_name
    }

    /// Who vouched for the signer when the certificate was issued. `None`: the certificate does not say, as certificates of an
    /// own CA do; that matches no configured issuer.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// What else the certificate says about the run that signed.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }
}

fn check_purpose(certificate: &Certificate) -> Result<(), SigningCertificateError> {
    let extensions = certificate.extensions();
    if let Some(oid) = extensions.critical_beyond(&UNDERSTOOD) {
        return Err(SigningCertificateError::CriticalExtension { oid });
    }
    if certificate.is_ca() {
        return Err(SigningCertificateError::Ca);
    }
    if !extensions.has_key_usage(KeyUsage::DigitalSignature) {
        return Err(SigningCertificateError::KeyUsage);
    }
    if extensions.has_key_usage(KeyUsage::KeyCertSign) {
        return Err(SigningCertificateError::KeyUsageCertSign);
    }
    // anyExtendedKeyUsage is not codeSigning.
    match extensions.extended_key_usage() {
        Some(usage) if usage.purposes.contains(&CODE_SIGNING) => Ok(()),
        Some(_) | None => Err(SigningCertificateError::ExtendedKeyUsage),
    }
}

/// R77, COS-27: one name, so that no two readers can take different ones.
fn subject_name(certificate: &Certificate) -> Result<SubjectName, SigningCertificateError> {
    const NAME: &str = "subject alternative name";
    let malformed = |source| SigningCertificateError::Malformed { name: NAME, source };
    let Some(value) = certificate.extensions().value(SUBJECT_ALT_NAME) else {
        return Err(SigningCertificateError::SubjectNames { count: 0 });
    };
    let names = general_names(value).map_err(malformed)?;
    let [name] = names.as_slice() else {
        return Err(SigningCertificateError::SubjectNames { count: names.len() });
    };
    let Some(name) = general_name(*name).map_err(malformed)? else {
        return Err(SigningCertificateError::SubjectNameKind);
    };
    match text_fault(name.as_str()).or_else(|| name.as_str().is_empty().then_some(TextFault::Empty)) {
        Some(fault) => Err(SigningCertificateError::Text { name: NAME, fault }),
        None => Ok(name),
    }
}

fn general_names(value: &[u8]) -> der::Result<Vec<AnyRef<'_>>> {
    let mut list = read::only_sequence(value)?;
    let mut names = Vec::new();
    while !list.is_finished() {
        names.push(AnyRef::decode(&mut list)?);
    }
    Ok(names)
}

/// `None`: a name of another kind. Rule: RFC 5280 §4.2.1.6.
fn general_name(name: AnyRef<'_>) -> der::Result<Option<SubjectName>> {
    let is = |constructed, number| name.tag() == Tag::ContextSpecific { constructed, number };
    let ascii = || Ia5StringRef::new(name.value()).map(|text| text.as_str().to_owned());
    if is(false, TagNumber::N1) {
        Ok(Some(SubjectName::Email(ascii()?)))
    } else if is(false, TagNumber::N6) {
        Ok(Some(SubjectName::Uri(ascii()?)))
    } else if is(true, TagNumber::N0) {
        other_name(name.value())
    } else {
        Ok(None)
    }
}

/// `type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY`.
fn other_name(value: &[u8]) -> der::Result<Option<SubjectName>> {
    let mut fields = SliceReader::new(value)?;
    if ObjectIdentifier::decode(&mut fields)? != USERNAME {
        return Ok(None);
    }
    let mut inner = read::content(&mut fields, Tag::ContextSpecific { constructed: true, number: TagNumber::N0 })?;
    fields.finish(())?;
    let text = Utf8StringRef::decode(&mut inner)?;
    inner.finish(Some(SubjectName::Other(text.as_str().to_owned())))
}

/// R78, COS-28: `.8` is preferred, `.1` accepted alone, and where both stand they say the same.
fn issuer(certificate: &Certificate) -> Result<Option<String>, SigningCertificateError> {
    const NAME: &str = "issuer";
    let current = extension_text(certificate, ISSUER, Encoding::Utf8String, NAME)?;
    let first = extension_text(certificate, ISSUER_V1, Encoding::Raw, NAME)?;
    if current.is_some() && first.is_some() && current != first {
        return Err(SigningCertificateError::Issuers);
    }
    match current.or(first) {
        Some(issuer) if issuer.is_empty() => Err(SigningCertificateError::Text { name: NAME, fault: TextFault::Empty }),
        issuer => Ok(issuer),
    }
}

fn claims(certificate: &Certificate) -> Result<Claims, SigningCertificateError> {
    let read = |claim: &Claim| {
        let text = extension_text(certificate, claim.oid(), claim.encoding(), claim.as_str());
        text.map(|text| text.map(|text| (*claim, text))).transpose()
    };
    Claim::ALL.iter().filter_map(read).collect()
}

/// The text of an extension; `None`: there is no such extension (R80).
fn extension_text(
    certificate: &Certificate,
    oid: ObjectIdentifier,
    encoding: Encoding,
    name: &'static str,
) -> Result<Option<String>, SigningCertificateError> {
    let Some(value) = certificate.extensions().value(oid) else { return Ok(None) };
    let text = match encoding {
        Encoding::Raw => {
            std::str::from_utf8(value).map_err(|_| SigningCertificateError::Text { name, fault: TextFault::Utf8 })?
        }
        Encoding::Utf8String => Utf8StringRef::from_der(value)
            .map_err(|source| SigningCertificateError::Malformed { name, source })?
            .as_str(),
    };
    match text_fault(text) {
        Some(fault) => Err(SigningCertificateError::Text { name, fault }),
        None => Ok(Some(text.to_owned())),
    }
}

fn text_fault(text: &str) -> Option<TextFault> {
    if text.len() > MAX_TEXT_BYTES {
        Some(TextFault::TooLong)
    } else if text.chars().any(char::is_control) {
        Some(TextFault::Control)
    } else {
        None
    }
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
