//! Who signed: the certificate that the token names, whose key verifies, and whose hash is signed.
//!
//! Rule: RFC 5652 §5.4–5.6; RFC 5754 §3 (SHA-2 in CMS); RFC 4056 (PSS); RFC 5816.

use der::{
    Reader as _, SliceReader, Tag,
    asn1::{AnyRef, ObjectIdentifier},
};

use super::{
    Embedded, Profile, Trust,
    cms::{SignedData, SignerId, SignerInfo, TST_INFO, oid_text},
    error::{TspError, malformed},
};
use crate::{
    crypto::{
        algorithm::{KeyKind, PublicKey},
        read,
        scheme::{HashAlgorithm, Scheme},
        x509::{self, Certificate, CertificateSignatureError},
    },
    reason,
};

/// CMS lets the digest algorithm say the hash of a PKCS#1 v1.5 signature (RFC 5754 §3.2).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The certificates that `signer` names, each once. By a twin of name and serial number there may be several.
pub(super) fn candidates<'a>(data: &'a SignedData, signer: &SignerInfo, trust: &Trust<'a>) -> Vec<&'a Certificate> {
    let embedded = match trust.embedded {
        Embedded::Ignore => &[],
        Embedded::Use => data.certificates.as_slice(),
    };
    let mut found: Vec<&Certificate> = Vec::new();
    for certificate in trust.known.iter().chain(embedded) {
        if signer.id.is_of(certificate) && !found.contains(&certificate) {
            found.push(certificate);
        }
    }
    found
}

/// A certificate's subject for an error.
pub(super) fn brief(certificate: &Certificate) -> String {
    reason::printable(&certificate.subject().to_text(), 128)
}

/// Checks everything that the token says about this signature of it.
pub(super) fn check(
    data: &SignedData,
    signer: &SignerInfo,
    certificate: &Certificate,
    profile: Profile,
) -> Result<(), TspError> {
    let named = match (&signer.id, profile) {
        (SignerId::SubjectKeyIdentifier(_), Profile::Notary) => false,
        (id, Profile::Notary | Profile::Sigstore) => id.is_of(certificate),
    };
    if !named {
        return Err(TspError::SignerUnknown { signer: signer.id.to_string() });
    }
    let hash = signer.digest_hash.ok_or(TspError::DigestAlgorithm { algorithm: signer.digest_algorithm })?;
    verify_signature(signer, hash, certificate.public_key())?;
    check_attributes(&data.content, signer, hash)?;
    check_certificate_id(signer, certificate, profile)
}

fn check_attributes(content: &[u8], signer: &SignerInfo, hash: HashAlgorithm) -> Result<(), TspError> {
    let attributes = &signer.attributes;
    let content_type = attributes.content_type.as_deref().ok_or(TspError::Attribute { name: "contentType" })?;
    if content_type != TST_INFO.as_bytes() {
        return Err(TspError::ContentType { expected: "TSTInfo", actual: oid_text(content_type) });
    }
    let digest = attributes.message_digest.as_deref().ok_or(TspError::Attribute { name: "messageDigest" })?;
    if hash.digest(content).as_ref() == digest { Ok(()) } else { Err(TspError::MessageDigest) }
}

/// Without it another certificate for the same key could be put in the signer's place.
fn check_certificate_id(signer: &SignerInfo, certificate: &Certificate, profile: Profile) -> Result<(), TspError> {
    let attributes = &signer.attributes;
    if profile == Profile::Notary && attributes.signing_certificate_v2.is_none() {
        return Err(TspError::Attribute { name: "SigningCertificateV2" });
    }
    for id in [&attributes.signing_certificate, &attributes.signing_certificate_v2].into_iter().flatten() {
        if !id.is_of(certificate)? {
            return Err(TspError::SigningCertificate { signer: brief(certificate) });
        }
    }
    Ok(())
}

fn verify_signature(signer: &SignerInfo, hash: HashAlgorithm, key: &PublicKey) -> Result<(), TspError> {
    let refused = match verify_over(signer, hash, key, &signer.signed) {
        Ok(()) => return Ok(()),
        Err(refused) => refused,
    };
    // Some signers sign the sorted attributes and send them unsorted (`notation.md` item 83): the same attributes.
    let sorted = sorted(&signer.signed).map_err(malformed("signed attributes"))?;
    if sorted == signer.signed { Err(refused) } else { verify_over(signer, hash, key, &sorted) }
}

fn verify_over(signer: &SignerInfo, hash: HashAlgorithm, key: &PublicKey, message: &[u8]) -> Result<(), TspError> {
    let algorithm = signer.signature_algorithm.as_slice();
    // Refuses keys that are too small, on other curves, or of another kind.
    Scheme::of_key(key, Some(hash)).map_err(TspError::Signature)?;
    let read = SliceReader::new(algorithm).and_then(|mut reader| read::algorithm(&mut reader));
    let (oid, parameters) = read.map_err(malformed("signature algorithm"))?;
    if oid == RSA_ENCRYPTION {
        if !parameters.is_none_or(AnyRef::is_null) || !matches!(key.kind(), KeyKind::Rsa { .. }) {
            return Err(CertificateSignatureError::Parameters { algorithm: oid }.into());
        }
        return Scheme::Rsa(hash).verify(key, message, &signer.signature).map_err(TspError::Signature);
    }
    let signature = x509::signature_hash(algorithm)?;
    if signature != hash {
        return Err(TspError::SignatureHash { digest: hash, signature });
    }
    Ok(x509::verify_signature(algorithm, key, message, &signer.signature)?)
}

/// A SET OF in DER's order.
fn sorted(set: &[u8]) -> der::Result<Vec<u8>> {
    let mut reader = SliceReader::new(set)?;
    let mut list = read::content(&mut reader, Tag::Set)?;
    let mut items = Vec::new();
    while !list.is_finished() {
        items.push(list.tlv_bytes()?);
    }
    items.sort_unstable();
    let content = items.concat();
    // The content is as long as it was: so is the header.
    let header = set.len().saturating_sub(content.len());
    Ok([set.get(..header).unwrap_or_default(), &content].concat())
}
