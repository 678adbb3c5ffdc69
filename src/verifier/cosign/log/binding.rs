//! Is the entry about this signature, by this signer, over these bytes?
//!
//! The log only vouches for what its entry holds. An entry that is good and about something else is the oldest way around a log
//! (CVE-2022-23649, CVE-2022-36056, CVE-2026-22703), so each kind is compared in everything it holds.
//!
//! Rule: `sigstore.md` §1.5, R61, R82, R83; `threats.md` COS-01, COS-02.

use super::{
    super::evidence::{Envelope, Shape, Signed},
    Claimed, LogFault, Signer,
    body::{Body, Digest, Dsse, Intoto, Record, Verifier},
};
use crate::crypto::{
    dsse::pae,
    scheme::{HashAlgorithm, Scheme},
    x509::Certificate,
};

/// Checks that `body` is about `claimed`.
///
/// # Errors
/// [`LogFault::Binding`] names what differs; [`LogFault::Kind`] for a kind that nothing writes for what was signed.
pub(super) fn check(body: &Body, claimed: &Claimed<'_>) -> Result<(), LogFault> {
    match (body, claimed.signed) {
        (Body::Dsse(dsse), Signed::Envelope(envelope)) => check_dsse(dsse, envelope, claimed),
        (Body::Intoto(intoto), Signed::Envelope(envelope)) => check_intoto(intoto, envelope, claimed),
        (Body::Record(record), Signed::Message { .. } | Signed::Payload { .. }) | (Body::RecordV2(record), _) => {
            check_record(record, claimed)
        }
        // Rekor v1 has kinds of its own for envelopes; none of its clients logs one as a `hashedrekord`.
        (Body::Record(_), Signed::Envelope(_)) => Err(kind("hashedrekord", "0.0.1", claimed.shape)),
        (Body::Dsse(dsse), Signed::Message { .. } | Signed::Payload { .. }) => {
            let (name, version) = if dsse.payload_type.is_some() { ("intoto", "0.0.2") } else { ("dsse", "0.0.1") };
            Err(kind(name, version, claimed.shape))
        }
        (Body::Intoto(_), Signed::Message { .. } | Signed::Payload { .. }) => {
            Err(kind("intoto", "0.0.1", claimed.shape))
        }
    }
}

fn kind(kind: &str, version: &str, shape: Shape) -> LogFault {
    LogFault::Kind { kind: kind.to_owned(), version: version.to_owned(), shape }
}

const fn of_another(what: &'static str) -> LogFault {
    LogFault::Binding { what }
}

fn same(what: &'static str, logged: &[u8], own: &[u8]) -> Result<(), LogFault> {
    if logged == own { Ok(()) } else { Err(of_another(what)) }
}

fn check_record(record: &Record, claimed: &Claimed<'_>) -> Result<(), LogFault> {
    let Digest { algorithm, bytes } = &record.hash;
    hash_fits(*algorithm, claimed.signer)?;
    match claimed.signed {
        Signed::Envelope(envelope) => {
            let pae = pae(&envelope.payload_type, &envelope.payload);
            same("envelope", bytes, algorithm.digest(&pae).as_ref())?;
        }
        // Only the digest is known, so it must be the log's in kind, too.
        Signed::Message { algorithm: known, digest, .. } if known == algorithm => same("message", bytes, digest)?,
        Signed::Message { .. } => return Err(hash(*algorithm)),
        Signed::Payload { bytes: payload, .. } => same("payload", bytes, algorithm.digest(payload).as_ref())?,
    }
    same("signature", &record.signature, claimed.signature)?;
    check_signer(&record.verifier, claimed.signer)
}

fn check_dsse(dsse: &Dsse, envelope: &Envelope, claimed: &Claimed<'_>) -> Result<(), LogFault> {
    same("payload", &dsse.payload_sha256, HashAlgorithm::Sha256.digest(&envelope.payload).as_ref())?;
    if dsse.payload_type.as_ref().is_some_and(|logged| *logged != envelope.payload_type) {
        return Err(of_another("payload type"));
    }
    check_raw(&dsse.envelope_sha256, envelope, claimed.shape)?;
    let mut logged: Vec<&[u8]> = dsse.signatures.iter().map(|(signature, _)| signature.as_slice()).collect();
    let mut own: Vec<&[u8]> = envelope.signatures.iter().map(Vec::as_slice).collect();
    logged.sort_unstable();
    own.sort_unstable();
    if logged != own {
        return Err(of_another("signature"));
    }
    let mut refused = of_another("signature");
    for (_, verifier) in dsse.signatures.iter().filter(|(signature, _)| signature == claimed.signature) {
        match check_signer(verifier, claimed.signer) {
            Ok(()) => return Ok(()),
            Err(fault) => refused = fault,
        }
    }
    Err(refused)
}

fn check_intoto(intoto: &Intoto, envelope: &Envelope, claimed: &Claimed<'_>) -> Result<(), LogFault> {
    if let Some(payload) = &intoto.payload_sha256 {
        same("payload", payload, HashAlgorithm::Sha256.digest(&envelope.payload).as_ref())?;
    }
    // This kind holds no signature: the envelope's own bytes bind it.
    check_raw(&intoto.envelope_sha256, envelope, claimed.shape)?;
    if envelope.raw.is_none() || !envelope.signatures.iter().any(|signature| signature == claimed.signature) {
        return Err(of_another("signature"));
    }
    check_signer(&intoto.verifier, claimed.signer)
}

/// R83. A bundle writes the envelope anew, so there its hash binds nothing; anywhere else it must be the layer's.
fn check_raw(logged: &[u8], envelope: &Envelope, shape: Shape) -> Result<(), LogFault> {
    match &envelope.raw {
        Some(raw) => same("envelope", logged, HashAlgorithm::Sha256.digest(raw).as_ref()),
        None if shape.is_bundle() => Ok(()),
        None => Err(of_another("envelope")),
    }
}

/// A log of a key with a longer hash: P-384, P-521, or RSA where that hash is configured. Ed25519 has SHA-256 only, because a
/// log takes another in for Ed25519ph, which is refused.
fn hash_fits(algorithm: HashAlgorithm, signer: Signer<'_>) -> Result<(), LogFault> {
    if algorithm == HashAlgorithm::Sha256 {
        return Ok(());
    }
    let fits = match signer {
        Signer::Certificate(leaf) => Scheme::of_key(read("signer", leaf)?.public_key(), Some(algorithm)).is_ok(),
        Signer::Key(key) => Scheme::of_key(key, Some(algorithm)).is_ok(),
    };
    if fits { Ok(()) } else { Err(hash(algorithm)) }
}

fn hash(algorithm: HashAlgorithm) -> LogFault {
    LogFault::Hash { what: "artifact", algorithm: algorithm.to_string() }
}

/// R61, COS-02: certificates are equal in every byte; a key is that of the entry's key or certificate.
fn check_signer(logged: &Verifier, signer: Signer<'_>) -> Result<(), LogFault> {
    match (logged, signer) {
        (Verifier::Certificate(logged), Signer::Certificate(leaf)) => same("certificate", logged, leaf),
        (Verifier::Key(_), Signer::Certificate(_)) => Err(of_another("certificate")),
        (Verifier::Key(logged), Signer::Key(key)) => same("key", logged, key.spki()),
        (Verifier::Certificate(logged), Signer::Key(key)) => {
            same("key", read("certificate", logged)?.public_key().spki(), key.spki())
        }
    }
}

fn read(what: &'static str, der: &[u8]) -> Result<Certificate, LogFault> {
    Certificate::parse(der).map_err(|source| LogFault::Certificate { what, source })
}
