//! Small transparency logs, and items with entries in them.
//!
//! Nothing here is shared with what is tested: trees, promises and notes are made from the specifications' own words.

use std::fmt::Write as _;

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{self as aws, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, macros::datetime};

use super::{
    super::{
        evidence::{BundleVersion, Entry, Envelope, Proof, Shape, Signed},
        root::{Log, Origin, Profile, TrustedRoot, Window},
    },
    Claimed, LogFault, Logged, Signer, verify,
};
use crate::crypto::{algorithm::PublicKey, hex, scheme::HashAlgorithm, testing as pki};

pub(super) const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);
/// When the logs took their entries in.
pub(super) const LOGGED: OffsetDateTime = datetime!(2026-10-01 12:00 UTC);
pub(super) const HOST: &str = "rekor.example.test";
pub(super) const ORIGIN: &str = "rekor.example.test - 3904496407287907110";

/// A private key.
#[derive(Debug)]
pub(super) enum Secret {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Secret {
    pub(super) fn p256() -> Self {
        Self::Ecdsa(EcdsaKeyPair::generate(&aws::ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    pub(super) fn p384() -> Self {
        Self::Ecdsa(EcdsaKeyPair::generate(&aws::ECDSA_P384_SHA384_ASN1_SIGNING).unwrap())
    }

    pub(super) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    pub(super) fn public(&self) -> PublicKey {
        let spki: PublicKeyX509Der<'_> = match self {
            Self::Ecdsa(pair) => pair.public_key().as_der().unwrap(),
            Self::Ed25519(pair) => pair.public_key().as_der().unwrap(),
        };
        PublicKey::parse(spki.as_ref()).unwrap()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ecdsa(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    HashAlgorithm::Sha256.digest(&parts.concat()).as_ref().try_into().unwrap()
}

/// RFC 6962 §2.1: the hash of a tree.
pub(super) fn tree_hash(leaves: &[Vec<u8>]) -> [u8; 32] {
    match leaves {
        [] => sha256(&[]),
        [leaf] => sha256(&[&[0], leaf]),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            sha256(&[&[1], &tree_hash(left), &tree_hash(right)])
        }
    }
}

/// RFC 6962 §2.1.1: the path of a leaf.
pub(super) fn path(leaves: &[Vec<u8>], index: usize) -> Vec<[u8; 32]> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let half = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(half);
    let (mut path, other) = if index < half { (path(left, index), right) } else { (path(right, index - half), left) };
    path.push(tree_hash(other));
    path
}

/// A log: what signs, and how the root knows it.
#[derive(Debug)]
pub(super) struct TestLog {
    pub(super) secret: Secret,
    pub(super) known: Log,
}

impl TestLog {
    /// A Rekor v1 log.
    pub(super) fn v1(secret: Secret) -> Self {
        let id = sha256(&[secret.public().spki()]).to_vec();
        Self::new(secret, id)
    }

    /// A Rekor v2 log; its id is the key id of a signed note.
    pub(super) fn v2() -> Self {
        let secret = Secret::ed25519();
        let id = sha256(&[HOST.as_bytes(), b"\n\x01", secret.public().bytes()]).to_vec();
        Self::new(secret, id)
    }

    fn new(secret: Secret, id: Vec<u8>) -> Self {
        let window = Window { start: datetime!(2026-01-01 0:00 UTC), end: Some(datetime!(2026-12-31 0:00 UTC)) };
        let known = Log { base_url: format!("https://{HOST}"), id, key: secret.public(), window };
        Self { secret, known }
    }

    /// A signature line of a note over `text`.
    pub(super) fn line(&self, name: &str, text: &str) -> String {
        let signed = [&self.known.id[..4], &self.secret.sign(text.as_bytes())].concat();
        format!("— {name} {}\n", STANDARD.encode(signed))
    }

    /// A note over `text`, which ends in a newline.
    pub(super) fn note(&self, name: &str, text: &str) -> String {
        format!("{text}\n{}", self.line(name, text))
    }

    /// A proof that `body` is leaf `index` of a tree of `size`.
    pub(super) fn prove(&self, origin: &str, body: &[u8], index: usize, size: usize) -> Proof {
        let mut leaves: Vec<Vec<u8>> = (0..size).map(|leaf| format!("leaf {leaf}").into_bytes()).collect();
        leaves[index] = body.to_vec();
        let root = tree_hash(&leaves);
        Proof {
            log_index: index.try_into().unwrap(),
            root_hash: root.to_vec(),
            tree_size: size.try_into().unwrap(),
            hashes: path(&leaves, index),
            checkpoint: self.note(HOST, &head(origin, size, &root)),
        }
    }

    /// The signed entry timestamp of an entry.
    pub(super) fn promise(&self, entry: &Entry) -> Vec<u8> {
        // `serde_json` orders members by name and writes no white space: RFC 8785 for these.
        let signed = json!({
            "body": STANDARD.encode(&entry.body),
            "integratedTime": entry.integrated_time,
            "logIndex": entry.log_index,
            "logID": hex(&entry.log_id),
        });
        self.secret.sign(signed.to_string().as_bytes())
    }

    /// An entry of Rekor v1 with all its evidence.
    pub(super) fn enter(&self, body: &Value) -> Entry {
        let mut entry = Entry {
            log_id: self.known.id.clone(),
            log_index: 90_077,
            kind: Some((text(&body["kind"]), text(&body["apiVersion"]))),
            integrated_time: Some(LOGGED.unix_timestamp()),
            promise: None,
            proof: Some(self.prove(ORIGIN, body.to_string().as_bytes(), 4, 7)),
            body: body.to_string().into_bytes(),
        };
        entry.promise = Some(self.promise(&entry));
        entry
    }

    /// An entry of Rekor v2.
    pub(super) fn enter_v2(&self, body: &Value) -> Entry {
        let proof = self.prove(HOST, body.to_string().as_bytes(), 4, 7);
        Entry { log_index: 4, integrated_time: None, promise: None, proof: Some(proof), ..self.enter(body) }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The text of a checkpoint.
pub(super) fn head(origin: &str, size: usize, root: &[u8]) -> String {
    let mut text = String::new();
    writeln!(text, "{origin}\n{size}\n{}", STANDARD.encode(root)).unwrap();
    text
}

/// PEM, in base64 as bodies have it.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    STANDARD.encode(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)))
}

/// A kind of entry in the place where it is usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `dsse/0.0.1` of a bundle.
    Dsse,
    /// `dsse/0.0.1` of an attestation layer.
    DsseLayer,
    /// `intoto/0.0.1` of an attestation layer.
    Intoto,
    /// `intoto/0.0.2` of a bundle.
    IntotoV2,
    /// `hashedrekord/0.0.1` of a message signature.
    Message,
    /// `hashedrekord/0.0.1` of a signature layer.
    Payload,
    /// `hashedrekord/0.0.2` of a bundle with an envelope.
    RecordV2,
}

impl Kind {
    pub(super) const ALL: [Self; 7] =
        [Self::Dsse, Self::DsseLayer, Self::Intoto, Self::IntotoV2, Self::Message, Self::Payload, Self::RecordV2];
}

/// Who signed.
#[derive(Debug, Clone)]
pub(super) enum OwnSigner {
    Certificate(Vec<u8>),
    Key(PublicKey),
}

impl OwnSigner {
    pub(super) fn certificate() -> Self {
        Self::Certificate(pki::good_chain().der.swap_remove(0))
    }

    /// As Rekor v1 writes it.
    pub(super) fn pem(&self) -> String {
        match self {
            Self::Certificate(der) => pem("CERTIFICATE", der),
            Self::Key(key) => pem("PUBLIC KEY", key.spki()),
        }
    }

    /// As Rekor v2 writes it.
    pub(super) fn raw(&self) -> Value {
        match self {
            Self::Certificate(der) => json!({
                "keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": {"rawBytes": STANDARD.encode(der)},
            }),
            Self::Key(key) => json!({
                "keyDetails": "PKIX_ECDSA_P256_SHA_256", "publicKey": {"rawBytes": STANDARD.encode(key.spki())},
            }),
        }
    }
}

/// An item with an entry that vouches for it.
#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    pub(super) signed: Signed,
    pub(super) signature: Vec<u8>,
    pub(super) signer: OwnSigner,
    pub(super) log: TestLog,
    pub(super) root: TrustedRoot,
    pub(super) entry: Entry,
    pub(super) now: OffsetDateTime,
}

pub(super) const PAYLOAD: &[u8] = br#"{"_type":"https://in-toto.io/Statement/v1"}"#;
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// An envelope; nothing here verifies its signatures.
pub(super) fn envelope(signatures: &[&[u8]], raw: bool) -> Envelope {
    let encoded: Vec<Value> = signatures.iter().map(|sig| json!({"sig": STANDARD.encode(sig)})).collect();
    let layer = json!({"payloadType": PAYLOAD_TYPE, "payload": STANDARD.encode(PAYLOAD), "signatures": encoded});
    Envelope {
        payload_type: PAYLOAD_TYPE.to_owned(),
        payload: PAYLOAD.into(),
        signatures: signatures.iter().map(|signature| signature.to_vec()).collect(),
        raw: raw.then(|| layer.to_string().into()),
    }
}

impl Fixture {
    pub(super) fn new(kind: Kind, signer: OwnSigner) -> Self {
        let signature = b"the signature".to_vec();
        let (shape, content) = match kind {
            Kind::Dsse | Kind::IntotoV2 | Kind::RecordV2 => {
                (Shape::Bundle(BundleVersion::V03), Signed::Envelope(envelope(&[&signature], false)))
            }
            Kind::DsseLayer | Kind::Intoto => (Shape::AttestationTag, Signed::Envelope(envelope(&[&signature], true))),
            Kind::Message => {
                let (algorithm, digest) = (HashAlgorithm::Sha256, sha256(&[PAYLOAD]).to_vec());
                let signature = signature.clone();
                (Shape::Bundle(BundleVersion::V03), Signed::Message { algorithm, digest, signature })
            }
            Kind::Payload => {
                let signature = signature.clone();
                (Shape::SignatureTag, Signed::Payload { bytes: PAYLOAD.into(), signature })
            }
        };
        let log = if kind == Kind::RecordV2 { TestLog::v2() } else { TestLog::v1(Secret::p256()) };
        let root = root_of([&log.known]);
        let entry = log.enter(&Value::Null);
        let mut fixture = Self { kind, shape, signed: content, signature, signer, log, root, entry, now: NOW };
        fixture.log(&fixture.body());
        fixture
    }

    /// By a certificate.
    pub(super) fn keyless(kind: Kind) -> Self {
        Self::new(kind, OwnSigner::certificate())
    }

    /// By a key.
    pub(super) fn keyed(kind: Kind) -> Self {
        Self::new(kind, OwnSigner::Key(Secret::p256().public()))
    }

    /// The body that the log makes of the item.
    pub(super) fn body(&self) -> Value {
        let (content, verifier) = (STANDARD.encode(&self.signature), self.signer.pem());
        let hashed = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex(&sha256(&[bytes]))});
        let raw = match &self.signed {
            Signed::Envelope(Envelope { raw: Some(raw), .. }) => hashed(raw),
            Signed::Envelope(_) | Signed::Message { .. } | Signed::Payload { .. } => hashed(b"as sent to the log"),
        };
        let (version, kind, spec) = match self.kind {
            Kind::Dsse | Kind::DsseLayer => (
                "0.0.1",
                "dsse",
                json!({
                    "envelopeHash": raw, "payloadHash": hashed(PAYLOAD),
                    "signatures": [{"signature": content, "verifier": verifier}],
                }),
            ),
            Kind::Intoto => (
                "0.0.1",
                "intoto",
                json!({
                    "content": {"hash": raw, "payloadHash": hashed(PAYLOAD)}, "publicKey": verifier,
                }),
            ),
            Kind::IntotoV2 => (
                "0.0.2",
                "intoto",
                json!({"content": {
                    "hash": raw, "payloadHash": hashed(PAYLOAD),
                    "envelope": {
                        "payloadType": PAYLOAD_TYPE,
                        "signatures": [{"sig": STANDARD.encode(content), "publicKey": verifier}],
                    },
                }}),
            ),
            Kind::Message | Kind::Payload => (
                "0.0.1",
                "hashedrekord",
                json!({
                    "data": {"hash": hashed(PAYLOAD)},
                    "signature": {"content": content, "publicKey": {"content": verifier}},
                }),
            ),
            Kind::RecordV2 => {
                let pae = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), PAYLOAD.len());
                (
                    "0.0.2",
                    "hashedrekord",
                    json!({"hashedRekordV002": {
                        "data": {"algorithm": "SHA2_256", "digest": STANDARD.encode(sha256(&[pae.as_bytes(), PAYLOAD]))},
                        "signature": {"content": content, "verifier": self.signer.raw()},
                    }}),
                )
            }
        };
        json!({"apiVersion": version, "kind": kind, "spec": spec})
    }

    /// Has the log take in `body`, whatever it says, in place of the item's entry.
    pub(super) fn log(&mut self, body: &Value) {
        let is_v2 = self.kind == Kind::RecordV2;
        self.entry = if is_v2 { self.log.enter_v2(body) } else { self.log.enter(body) };
        if !self.shape.is_bundle() {
            self.entry.kind = None;
            self.entry.proof = None;
        }
    }

    /// Has the log take in the item's body with the member at `pointer` replaced.
    pub(super) fn relog(&mut self, pointer: &str, value: impl Into<Value>) {
        let mut body = self.body();
        *body.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value.into();
        self.log(&body);
    }

    /// Has the log promise the entry as it is now.
    pub(super) fn promise(&mut self) {
        self.entry.promise = Some(self.log.promise(&self.entry));
    }

    pub(super) fn proof(&mut self) -> &mut Proof {
        self.entry.proof.as_mut().unwrap()
    }

    /// What the entry says to be the item's.
    pub(super) fn verify(&self) -> Result<Option<Logged>, LogFault> {
        let signer = match &self.signer {
            OwnSigner::Certificate(der) => Signer::Certificate(der),
            OwnSigner::Key(key) => Signer::Key(key),
        };
        let claimed = Claimed { shape: self.shape, signed: &self.signed, signature: &self.signature, signer };
        verify(&self.entry, &claimed, &self.root, self.now)
    }
}

pub(super) fn root_of<'a>(logs: impl IntoIterator<Item = &'a Log>) -> TrustedRoot {
    TrustedRoot {
        origin: Origin::Inline,
        name: "test".to_owned(),
        profile: Profile::Sigstore,
        certificate_authorities: Vec::new(),
        logs: logs.into_iter().cloned().collect(),
        ct_logs: Vec::new(),
        timestamp_authorities: Vec::new(),
        warnings: Vec::new(),
    }
}

/// One change to a good fixture, and what it must lead to: the beginning of the fault, or `None` for a yes.
pub(super) type Row<'a> = (&'a str, Option<&'a str>, &'a dyn Fn(&mut Fixture));

/// Applies each row to a fixture of its own; names the row that does not do as it says.
pub(super) fn judge(make: impl Fn() -> Fixture, rows: &[Row<'_>]) {
    for (name, fault, change) in rows {
        let mut fixture = make();
        change(&mut fixture);
        match (fixture.verify(), fault) {
            (Ok(Some(_)), None) => {}
            (Err(actual), Some(fault)) if actual.to_string().starts_with(fault) => {}
            (actual, _) => panic!("{name}: {actual:?}, expected {fault:?}"),
        }
    }
}

/// A moment before or after another.
pub(super) fn seconds(moment: OffsetDateTime, seconds: i64) -> OffsetDateTime {
    moment + Duration::seconds(seconds)
}
