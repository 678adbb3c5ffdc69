//! Who signed: a key that the trust policy names, or a certificate of an authority of a trusted root.

use std::{borrow::Cow, fmt::Write as _, sync::Arc};

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{
    super::{
        certificate::{self, Intermediates, SigningCertificate, SigningCertificateError},
        evidence::{Envelope, Item, Material, Signed},
        identity::{self, Authorities, Identity},
        key::Key,
        log::Signer as Logger,
        root::{Profile, TrustedRoot},
        sct,
    },
    Question,
    content::is_digest_of,
    vouch::{self, Vouched},
};
use crate::{
    crypto::{
        algorithm::PublicKey,
        dsse,
        scheme::{self, HashAlgorithm, SchemeError},
        x509::Certificate,
    },
    reason::Code,
    verifier::{Check, Outcome, Rejection, Signer},
};

/// Who signed, as far as it is proven.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) signer: Signer,
    pub(super) vouched: Vouched,
    /// The certificate transparency logs that vouch for the certificate.
    pub(super) scts: Vec<String>,
    /// What the report shows of the signer.
    pub(super) facts: Map<String, Value>,
    pub(super) valid_until: Option<OffsetDateTime>,
    pub(super) checks: Vec<(Check, Outcome)>,
    pub(super) warnings: Vec<String>,
}

/// A signature by one of `keys`. An item's own certificate and hint say nothing about it (R63).
pub(super) fn by_key(question: &Question<'_>, keys: &[Key], roots: &[Arc<TrustedRoot>]) -> Result<Proven, Rejection> {
    let Item { shape, material, .. } = question.item;
    if shape.is_bundle() && matches!(material, Material::Certificate { .. }) {
        let reason = "the bundle is signed with a certificate, the trust policy wants one of its keys";
        return Err(Rejection::new(Check::Signature, Code::Untrusted, reason));
    }
    let message = Message::of(question)?;
    let verified = signatures(&question.item.signed).iter().find_map(|signature| {
        let key = keys.iter().find(|key| message.verify(&key.public, key.hash, signature).is_ok())?;
        Some((key, *signature))
    });
    let Some((key, signature)) = verified else { return Err(by_none(question, keys)) };
    let vouch = |root: Option<&TrustedRoot>| {
        let vouched = vouch::verify(question, signature, Logger::Key(&key.public), root)?;
        in_window(key, &vouched)?;
        Ok(vouched)
    };
    let vouched = if roots.is_empty() { vouch(None) } else { super::in_any_root(roots, |root| vouch(Some(root))) }?;
    let mut checks = vec![(Check::Signature, Outcome::Passed)];
    checks.extend(vouched.checks.iter().cloned());
    checks.extend([Check::Authenticity, Check::Identity].map(|check| (check, Outcome::Passed)));
    let id = key.id();
    let facts =
        Map::from_iter([("keyId".to_owned(), id.as_str().into()), ("key".to_owned(), key.name.as_str().into())]);
    let signer = Signer { identity: format!("key {id}"), display: format!("key {} (SHA-256 {id})", key.name) };
    let warnings = weakenings(question, None);
    Ok(Proven { signer, vouched, scts: Vec::new(), facts, valid_until: None, checks, warnings })
}

/// R62: a key with a window signs only inside it, and only a trusted time tells.
fn in_window(key: &Key, vouched: &Vouched) -> Result<(), Rejection> {
    let Some(window) = &key.window else { return Ok(()) };
    if vouched.times.is_empty() {
        let reason =
            format!("key {} is valid for a time only, and no trusted time of the signature is known", key.name);
        return Err(Rejection::new(Check::Timestamp, Code::TimestampMissing, reason));
    }
    match vouched.times.iter().find(|time| !window.contains(**time)) {
        None => Ok(()),
        Some(time) => {
            let reason = format!("key {} was not valid at {time}", key.name);
            Err(Rejection::new(Check::Authenticity, Code::Untrusted, reason))
        }
    }
}

fn by_none(question: &Question<'_>, keys: &[Key]) -> Rejection {
    let names: Vec<_> = keys.iter().map(|key| format!("{} (SHA-256 {})", key.name, key.id())).collect();
    let count = signatures(&question.item.signed).len();
    let mut reason = format!("none of {count} signatures verifies with a trusted key: expected {}", names.join(" or "));
    match &question.item.material {
        Material::Certificate { .. } => reason.push_str("; it comes with a certificate"),
        // Writing to a String does not fail.
        Material::Key { hint: Some(hint) } => drop(write!(reason, "; it says to be by key {hint:?}")),
        Material::Key { hint: None } => {}
    }
    Rejection::new(Check::Signature, Code::SignatureInvalid, reason)
}

/// A signature by the key of a certificate that an authority of one of `roots` issued to one of `identities`.
pub(super) fn by_certificate(
    question: &Question<'_>,
    roots: &[Arc<TrustedRoot>],
    identities: &[Identity],
    authorities: Authorities,
) -> Result<Proven, Rejection> {
    let Material::Certificate { leaf: der, chain } = &question.item.material else {
        let reason = "it is signed with a bare key, the trust policy wants a certificate";
        return Err(Rejection::new(Check::Authenticity, Code::Untrusted, reason));
    };
    let refused = |fault: SigningCertificateError| Rejection::because(Check::Authenticity, fault.code(), &fault);
    let leaf = SigningCertificate::parse(der).map_err(refused)?;
    let all = signatures(&question.item.signed);
    let [signature] = all.as_slice() else {
        let reason = format!("it has {} signatures; under a certificate there is exactly one", all.len());
        return Err(Rejection::new(Check::Signature, Code::SignatureInvalid, reason));
    };
    Message::of(question)?
        .verify(leaf.certificate().public_key(), None, signature)
        .map_err(|error| Rejection::because(Check::Signature, error.code(), &error))?;
    // Only an own authority's path may go over certificates that came with the item.
    let extra: Vec<Certificate> = match authorities {
        Authorities::Own => chain.iter().filter_map(|der| Certificate::parse(der).ok()).collect(),
        Authorities::Instance => Vec::new(),
    };
    super::in_any_root(roots, |root| {
        let vouched = vouch::verify(question, signature, Logger::Certificate(der), Some(root))?;
        in_root(question, &leaf, &extra, vouched, root, (identities, authorities))
    })
}

/// Chain, SCTs and identity, in one root.
fn in_root(
    question: &Question<'_>,
    leaf: &SigningCertificate,
    extra: &[Certificate],
    vouched: Vouched,
    root: &TrustedRoot,
    (identities, authorities): (&[Identity], Authorities),
) -> Result<Proven, Rejection> {
    let own = authorities == Authorities::Own;
    let demands = vouch::demands(question.demands, root);
    let present = vouched.times.is_empty() && demands.current_time && own;
    // R71: without a trusted time there is none; never the present, but for an own authority whose operator says so.
    let times: &[OffsetDateTime] = if present { &[question.now] } else { &vouched.times };
    if times.is_empty() {
        let reason = "no trusted time of the signature is known, and a certificate is judged at one";
        return Err(Rejection::new(Check::Timestamp, Code::TimestampMissing, reason));
    }
    let extra = if own { Intermediates::AlsoFromItem(extra) } else { Intermediates::FromAuthority };
    let path = certificate::build_path(leaf.certificate(), extra, &root.certificate_authorities, times)
        .map_err(|fault| Rejection::because(Check::Authenticity, fault.code(), &fault))?;
    let mut scts = Vec::new();
    if let Some(wanted) = demands.scts {
        let logs = sct::verify(leaf.certificate(), &path.issuer_spki, &root.ct_logs)
            .map_err(|fault| Rejection::because(Check::CertificateTransparency, fault.code(), &fault))?;
        scts = logs.into_iter().map(|log| log.base_url).collect();
        if scts.len() < wanted.get() {
            let known = scts.len();
            let reason =
                format!("{known} trusted certificate transparency logs vouch for the certificate, wanted are {wanted}");
            return Err(Rejection::new(Check::CertificateTransparency, Code::SctMissing, reason));
        }
    }
    let (issuer, subject) = (leaf.issuer(), leaf.subject_name().as_str());
    // GitHub's own services sign without a token of an issuer.
    let of = if root.profile == Profile::GitHub { Authorities::Own } else { authorities };
    identity::nearest(identities, of, issuer, subject, leaf.claims())
        .map_err(|mismatch| Rejection::because(Check::Identity, Code::IdentityMismatch, &mismatch))?;
    let mut checks = vec![(Check::Signature, Outcome::Passed)];
    checks.extend(vouched.checks.iter().cloned());
    let seen = if demands.scts.is_some() { Outcome::Passed } else { Outcome::Skipped };
    checks.push((Check::CertificateTransparency, seen));
    checks.extend([Check::Authenticity, Check::Identity].map(|check| (check, Outcome::Passed)));
    let valid_until = present.then(|| path.certificates.iter().map(Certificate::not_after).min()).flatten();
    let mut warnings = weakenings(question, Some(root));
    if present {
        warnings
            .push("no trusted time is known: the certificate was judged at the present (useCurrentTime)".to_owned());
    }
    let signer = if own {
        // A certificate of an own authority: its anchor and its subject.
        let anchor = &path.anchor_spki_sha256;
        Signer { identity: format!("certificate {anchor} {subject}"), display: subject.to_owned() }
    } else {
        let issuer = issuer.unwrap_or_default();
        Signer { identity: format!("keyless {issuer:?} {subject:?}"), display: format!("{subject} (issuer {issuer})") }
    };
    let facts = facts(leaf, root);
    Ok(Proven { signer, vouched, scts, facts, valid_until, checks, warnings })
}

fn facts(leaf: &SigningCertificate, root: &TrustedRoot) -> Map<String, Value> {
    let mut facts = Map::new();
    facts.insert("trustedRoot".to_owned(), root.name.as_str().into());
    facts.insert("subject".to_owned(), leaf.subject_name().as_str().into());
    if let Some(issuer) = leaf.issuer() {
        facts.insert("issuer".to_owned(), issuer.into());
    }
    let claims: Map<String, Value> =
        leaf.claims().iter().map(|(claim, value)| (claim.as_str().to_owned(), value.into())).collect();
    if !claims.is_empty() {
        facts.insert("claims".to_owned(), claims.into());
    }
    facts
}

/// What the operator's configuration left out, said in every report (R73, R111).
fn weakenings(question: &Question<'_>, root: Option<&TrustedRoot>) -> Vec<String> {
    let asked = question.demands;
    let mut said = Vec::new();
    if asked.logs.is_none() {
        said.push("transparency logs were not asked (ignoreTlog)".to_owned());
    }
    if root.is_some() && asked.scts.is_none() {
        said.push("certificate transparency logs were not asked (ignoreSct)".to_owned());
    }
    said
}

fn signatures(signed: &Signed) -> Vec<&[u8]> {
    match signed {
        Signed::Envelope(Envelope { signatures, .. }) => signatures.iter().map(Vec::as_slice).collect(),
        Signed::Message { signature, .. } | Signed::Payload { signature, .. } => vec![signature],
    }
}

/// What a signature is made over.
enum Message<'a> {
    Bytes(Cow<'a, [u8]>),
    Digest(HashAlgorithm, &'a [u8]),
}

impl<'a> Message<'a> {
    /// The digest that a message signature states is compared with the target before anything is verified over it (R50).
    fn of(question: &Question<'a>) -> Result<Self, Rejection> {
        Ok(match &question.item.signed {
            Signed::Envelope(envelope) => Self::Bytes(Cow::Owned(dsse::pae(&envelope.payload_type, &envelope.payload))),
            Signed::Message { algorithm, digest, .. } => {
                is_digest_of(*algorithm, digest, question.target)?;
                match question.target.bytes {
                    Some(bytes) => Self::Bytes(Cow::Borrowed(bytes)),
                    None => Self::Digest(*algorithm, digest),
                }
            }
            Signed::Payload { bytes, .. } => Self::Bytes(Cow::Borrowed(bytes)),
        })
    }

    fn verify(&self, key: &PublicKey, hash: Option<HashAlgorithm>, signature: &[u8]) -> Result<(), SchemeError> {
        match self {
            Self::Bytes(bytes) => scheme::verify(key, hash, bytes, signature),
            Self::Digest(algorithm, digest) => scheme::verify_digest(key, hash, (*algorithm, digest), signature),
        }
    }
}
