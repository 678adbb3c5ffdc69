//! What a cosign signature, an attestation or a Sigstore bundle says, for `inspect`. No signature, log entry or timestamp is
//! verified, nobody is trusted, no policy is asked: a description is never a verdict.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{
    certificate::SigningCertificate,
    evidence::{Entry, Envelope, Item, Material, Shape, Signed},
    fetch, payload, shape, statement,
};
use crate::{
    crypto::{
        describe::{self, CertificateFacts, Described, End, MAX_ENTRIES, TimestampFacts, Unreadable, plain},
        hex,
        tsp::Timestamp,
    },
    oci::{Artifact, Descriptor},
    verifier::Rejection,
};

/// Largest layer that is described, in bytes: an attested SBOM of a large image has some 5 MiB.
pub const MAX_LAYER_BYTES: u64 = 16 * 1024 * 1024;

/// One signature or attestation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// How it is stored.
    pub shape: &'static str,
    /// What is signed.
    pub signed: Described<SignedFacts>,
    /// Who says to have signed.
    pub signer: SignerFacts,
    /// Entries of transparency logs, as stated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log_entries: Vec<LogEntryFacts>,
    /// RFC 3161 timestamps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timestamps: Vec<Described<TimestampFacts>>,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SignedFacts {
    /// A message of which only the digest is there.
    Message {
        /// The digest's algorithm.
        algorithm: String,
        /// The digest, as hex.
        digest: String,
    },
    /// A simple signing payload.
    Payload {
        /// What it says that it is.
        signed_type: String,
        /// The image that it is about.
        digest: String,
        /// The name that the image had.
        #[serde(skip_serializing_if = "Option::is_none")]
        docker_reference: Option<String>,
        /// Signed annotations, values as JSON; the first [`MAX_ENTRIES`].
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        annotations: BTreeMap<String, String>,
    },
    /// An in-toto statement in a DSSE envelope.
    Statement {
        /// The type of what is said.
        predicate_type: String,
        /// About what; the first [`MAX_ENTRIES`].
        subjects: Vec<SubjectFacts>,
        /// How many subjects there are.
        subject_count: usize,
        /// How many signatures the envelope has.
        signatures: usize,
    },
}

/// A subject of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubjectFacts {
    /// Its name; proves nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its digests, `algorithm:value`.
    pub digests: Vec<String>,
}

/// Who says to have signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SignerFacts {
    /// Whoever a certificate names.
    Certificate {
        /// Whom, if it fits the profile of a keyless signer.
        identity: Box<Described<IdentityFacts>>,
        /// The certificate.
        certificate: Box<Described<CertificateFacts>>,
        /// Others that came with it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        chain: Vec<Described<CertificateFacts>>,
    },
    /// Whoever has a key.
    Key {
        /// Whatever the signer calls it.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

/// Whom a keyless certificate names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityFacts {
    /// The subject alternative name.
    pub subject: String,
    /// Its kind.
    pub subject_kind: &'static str,
    /// Who vouched for the signer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What else the certificate says of the run that signed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<&'static str, String>,
}

/// An entry of a transparency log, as stated: nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntryFacts {
    /// The log's identifier, as hex.
    pub log_id: String,
    /// The index.
    pub log_index: u64,
    /// Kind and version of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_kind: Option<String>,
    /// When the log says to have taken it up.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time::serde::rfc3339::option::serialize")]
    pub integrated_time: Option<OffsetDateTime>,
    /// Whether a signed entry timestamp comes with it.
    pub inclusion_promise: bool,
    /// Whether an inclusion proof does.
    pub inclusion_proof: bool,
}

/// The layers of an artifact that carry something of this kind, each with its shape. None: it is another kind of artifact.
///
/// # Errors
/// [`Rejection`]: it is one of this kind, and malformed.
pub fn layers(artifact: &Artifact) -> Result<Vec<(Shape, &Descriptor)>, Rejection> {
    shape::all_layers(artifact)
}

/// Describes a layer, of which `layer` is the descriptor: its annotations hold a legacy item's signature.
pub fn describe(shape: Shape, layer: &Descriptor, bytes: Bytes) -> Described<Description> {
    let read = fetch::parse(shape, layer, bytes);
    read.map(|item| of(&item)).map_err(|rejection| Unreadable::new(rejection.code(), rejection.reason())).into()
}

fn of(item: &Item) -> Description {
    let Item { shape, signed, material, entries, timestamps } = item;
    Description {
        shape: shape.as_str(),
        signed: signed_facts(signed),
        signer: signer_facts(material),
        log_entries: entries.iter().map(log_entry).collect(),
        timestamps: timestamps.iter().map(|der| describe::timestamp(Timestamp::from_response(der))).collect(),
    }
}

fn signed_facts(signed: &Signed) -> Described<SignedFacts> {
    match signed {
        Signed::Envelope(envelope) => statement_facts(envelope),
        Signed::Message { algorithm, digest, signature: _ } => {
            Described::Read(SignedFacts::Message { algorithm: algorithm.to_string(), digest: plain(&hex(digest)) })
        }
        Signed::Payload { bytes, signature: _ } => payload::read(bytes)
            .map(|payload| SignedFacts::Payload {
                signed_type: plain(payload.signed_type()),
                digest: payload.digest().to_string(),
                docker_reference: payload.docker_reference().map(plain),
                annotations: payload.annotations().map(texts).unwrap_or_default(),
            })
            .map_err(|fault| Unreadable::because(fault.code(), &fault))
            .into(),
    }
}

fn texts(members: &Map<String, Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| plain(&value.to_string()), plain);
    members.iter().take(MAX_ENTRIES).map(|(name, value)| (plain(name), text(value))).collect()
}

fn statement_facts(envelope: &Envelope) -> Described<SignedFacts> {
    let Envelope { payload_type, payload, signatures, raw: _ } = envelope;
    let read = statement::read(payload_type, payload).map_err(|fault| Unreadable::because(fault.code(), &fault));
    read.map(|statement| {
        let subjects = statement.value().get("subject").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        SignedFacts::Statement {
            predicate_type: plain(statement.predicate_type()),
            subjects: subjects.iter().take(MAX_ENTRIES).map(subject).collect(),
            subject_count: subjects.len(),
            signatures: signatures.len(),
        }
    })
    .into()
}

fn subject(subject: &Value) -> SubjectFacts {
    let digests = subject.get("digest").and_then(Value::as_object);
    let digests = digests.into_iter().flatten().take(MAX_ENTRIES);
    SubjectFacts {
        name: subject.get("name").and_then(Value::as_str).map(plain),
        digests: digests
            .map(|(algorithm, value)| plain(&format!("{algorithm}:{}", value.as_str().unwrap_or_default())))
            .collect(),
    }
}

fn signer_facts(material: &Material) -> SignerFacts {
    match material {
        Material::Certificate { leaf, chain } => SignerFacts::Certificate {
            identity: Box::new(identity(leaf).into()),
            certificate: Box::new(describe::certificate(leaf)),
            chain: chain.iter().map(|der| describe::certificate(der)).collect(),
        },
        Material::Key { hint } => SignerFacts::Key { hint: hint.as_deref().map(plain) },
    }
}

fn identity(leaf: &[u8]) -> Result<IdentityFacts, Unreadable> {
    let read = SigningCertificate::parse(leaf);
    let certificate = read.map_err(|error| Unreadable::because(error.code(), &error))?;
    let name = certificate.subject_name();
    Ok(IdentityFacts {
        subject: plain(name.as_str()),
        subject_kind: name.kind(),
        issuer: certificate.issuer().map(plain),
        claims: certificate.claims().iter().map(|(claim, text)| (claim.as_str(), plain(text))).collect(),
    })
}

fn log_entry(entry: &Entry) -> LogEntryFacts {
    let Entry { log_id, log_index, kind, integrated_time, promise, proof, body: _ } = entry;
    LogEntryFacts {
        log_id: plain(&hex(log_id)),
        log_index: *log_index,
        entry_kind: kind.as_ref().map(|(kind, version)| plain(&format!("{kind} {version}"))),
        integrated_time: integrated_time.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()),
        inclusion_promise: promise.is_some(),
        inclusion_proof: proof.is_some(),
    }
}

impl Description {
    /// What ends in it: the signer's certificates, where nothing says that it was signed while they were valid. Keyless
    /// certificates end minutes after they are issued, and the log's time or a timestamp speaks for them ever after.
    pub fn ends(&self) -> impl Iterator<Item = End> {
        let is_timed = !self.timestamps.is_empty() || !self.log_entries.is_empty();
        let certificates = match &self.signer {
            SignerFacts::Certificate { certificate, chain, identity: _ } if !is_timed => [&**certificate]
                .into_iter()
                .chain(chain)
                .filter_map(Described::read)
                .map(CertificateFacts::end)
                .collect(),
            SignerFacts::Certificate { .. } | SignerFacts::Key { .. } => Vec::new(),
        };
        certificates.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{reason::Code, verifier::cosign::legacy::SIMPLE_SIGNING};

    const LEAF: &str = include_str!("vectors/leaf.pem");
    const PAYLOAD: &str = r#"{"critical":{"type":"cosign container image signature","image":{"docker-manifest-digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000"}},"optional":{"b":42,"a":"x\u202e"}}"#;
    const ENTRY: &str = r#"{"SignedEntryTimestamp":"AAAA","Payload":{"body":"AAAA","integratedTime":1700000000,"logIndex":7,"logID":"0000000000000000000000000000000000000000000000000000000000000000"}}"#;

    fn described(annotations: &[(&str, &str)]) -> Described<Description> {
        let mut layer = Descriptor::of(SIMPLE_SIGNING, PAYLOAD.as_bytes());
        let annotations = annotations.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        layer.annotations = annotations.collect::<BTreeMap<_, _>>();
        describe(Shape::SignatureTag, &layer, Bytes::from_static(PAYLOAD.as_bytes()))
    }

    #[test]
    fn a_signature_is_described_whoever_made_it() {
        let read = described(&[("dev.cosignproject.cosign/signature", "AAAA")]);
        let description = read.read().unwrap();
        assert_eq!(description.signer, SignerFacts::Key { hint: None });
        let Some(SignedFacts::Payload { annotations, .. }) = description.signed.read() else { panic!("a payload") };
        assert_eq!(annotations["b"], "42");
        assert_eq!(annotations["a"], "x\\u{202e}");
    }

    // Keyless certificates end in minutes: only where nothing tells the time of signing is that worth a warning.
    #[test]
    fn a_certificate_ends_only_where_no_time_is_told() {
        let signed = ("dev.cosignproject.cosign/signature", "AAAA");
        let certificate = ("dev.sigstore.cosign/certificate", LEAF);
        for (annotations, ends) in [
            (vec![signed], 0),
            (vec![signed, certificate], 1),
            (vec![signed, certificate, ("dev.sigstore.cosign/bundle", ENTRY)], 0),
        ] {
            let read = described(&annotations);
            assert_eq!(read.read().unwrap_or_else(|| panic!("{read:?}")).ends().count(), ends, "{read:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for annotations in [vec![], vec![("dev.cosignproject.cosign/signature", "%")]] {
            let Described::Not(unreadable) = described(&annotations) else { panic!("{annotations:?}") };
            assert_eq!(unreadable.code, Code::BundleMalformed, "{unreadable:?}");
        }
    }
}
