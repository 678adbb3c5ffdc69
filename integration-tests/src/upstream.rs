//! The vectors of notation-go, judged by the verifier `notation`: item 110, by hand, since they are not copied.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use countersign::{
    crypto::{
        tsp::{Embedded, Profile, Timestamp, Trust},
        x509::certificates_from_file_bytes,
    },
    oci::{
        Artifact, Content, Descriptor, Digest, Discovery, Found, Listing, Reference, Referrer, Repository, Subject,
        media_type,
    },
    reason::Code,
    store::{Deadline, Store, StoreError},
    verifier::{
        Verifier as _, VerifyError, VerifyRequest,
        notation::{
            Config, Notation,
            chains::KnownChains,
            envelope::{COSE_MEDIA_TYPE, Envelope, JWS_MEDIA_TYPE, Limits},
            integrity,
        },
    },
};
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};
use tokio::time::Instant;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:41 UTC);
const REPOSITORY: &str = "registry.acme-rockets.io/software/net-monitor";

/// What upstream's expectations come to under our rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Accept,
    /// A no with this code.
    Reject(Code),
    /// A no, and several checks may be the first that says it.
    RejectAnyhow,
    /// All holds, but what only the network could say.
    Open(Code),
}

use Expected::{Accept, Open, Reject, RejectAnyhow};

/// An envelope, what it is judged by, and what comes of it.
#[derive(Clone, Copy)]
struct Row {
    file: &'static str,
    cose: bool,
    level: &'static str,
    stores: &'static [&'static str],
    metadata: &'static [(&'static str, &'static str)],
    expected: Expected,
}

const fn row(file: &'static str, level: &'static str, stores: &'static [&'static str], expected: Expected) -> Row {
    Row { file, cose: false, level, stores, metadata: &[], expected }
}

const fn cose(row: Row) -> Row {
    Row { cose: true, ..row }
}

const CA: &[&str] = &["ca:valid-trust-store"];
const SA: &[&str] = &["signingAuthority:valid-trust-store"];
const STAMPED: &[&str] = &["ca:valid-trust-store", "tsa:test-timestamp"];
const LONE: &[&str] = &["ca:lone"];
const LONE_STAMPED: &[&str] = &["ca:lone", "tsa:test-timestamp"];

const ROWS: [Row; 46] = [
    row("internal/mock/testdata/ca_valid_sig_env.json", "strict", CA, Accept),
    row("internal/mock/testdata/ca_valid_sig_env.json", "strict", SA, Reject(Code::Untrusted)),
    row("internal/mock/testdata/ca_valid_sig_env.json", "strict", &["ca:valid-trust-store-2"], Reject(Code::Untrusted)),
    row(
        "internal/mock/testdata/ca_valid_sig_env.json",
        "strict",
        &["ca:trust-store-with-leaf-certs"],
        Reject(Code::NoTrust),
    ),
    row(
        "internal/mock/testdata/ca_valid_sig_env.json",
        "strict",
        &["ca:trust-store-with-leaf-certs-in-single-file"],
        Reject(Code::NoTrust),
    ),
    row(
        "internal/mock/testdata/ca_valid_sig_env.json",
        "strict",
        &["ca:trust-store-with-invalid-certs"],
        Reject(Code::NoTrust),
    ),
    row("internal/mock/testdata/sa_valid_sig_env.json", "strict", SA, Accept),
    row("internal/mock/testdata/sa_valid_sig_env.json", "strict", CA, Reject(Code::Untrusted)),
    row("internal/mock/testdata/ca_invalid_sig_env.json", "audit", CA, Reject(Code::SignatureMalformed)),
    row("internal/mock/testdata/sa_invalid_sig_env.json", "audit", SA, Reject(Code::SignatureMalformed)),
    row("internal/mock/testdata/ca_expired_sig_env.json", "strict", CA, Reject(Code::Expired)),
    row("internal/mock/testdata/ca_expired_sig_env.json", "permissive", CA, Accept),
    row("internal/mock/testdata/sa_expired_sig_env.json", "strict", SA, Reject(Code::Expired)),
    row("internal/mock/testdata/sa_expired_sig_env.json", "permissive", SA, Accept),
    row("internal/mock/testdata/ca_plugin_sig_env.json", "audit", CA, RejectAnyhow),
    row("internal/mock/testdata/sa_plugin_sig_env.json", "audit", SA, RejectAnyhow),
    row("internal/mock/testdata/ca_compatible_pluginver_sig_env_0.0.9.json", "audit", CA, RejectAnyhow),
    row("internal/mock/testdata/ca_compatible_pluginver_sig_env_1.0.0-alpha.beta.json", "audit", CA, RejectAnyhow),
    row("internal/mock/testdata/ca_compatible_pluginver_sig_env_1.0.0-alpha.json", "audit", CA, RejectAnyhow),
    row("internal/mock/testdata/ca_compatible_pluginver_sig_env_1.0.0.json", "audit", CA, RejectAnyhow),
    row("internal/mock/testdata/ca_incompatible_pluginver_sig_env_1.0.1.json", "audit", CA, RejectAnyhow),
    row("internal/mock/testdata/ca_incompatible_pluginver_sig_env_1.0.9.json", "audit", CA, RejectAnyhow),
    row("internal/mock/testdata/ca_incompatible_pluginver_sig_env_1.1.0-alpha.json", "audit", CA, RejectAnyhow),
    row("internal/mock/testdata/ca_incompatible_pluginver_sig_env_1.2.3.json", "audit", CA, RejectAnyhow),
    row("internal/mock/testdata/sig_env_with_metadata.json", "audit", CA, Accept),
    row("internal/mock/testdata/sig_env_with_metadata.json", "strict", CA, RejectAnyhow),
    Row {
        metadata: &[("io.wabbit-networks.buildId", "123"), ("io.wabbit-networks.buildTime", "1672944615")],
        ..row("internal/mock/testdata/sig_env_with_metadata.json", "audit", CA, Accept)
    },
    Row {
        metadata: &[("io.wabbit-networks.buildId", "124")],
        ..row("internal/mock/testdata/sig_env_with_metadata.json", "audit", CA, Reject(Code::MetadataMismatch))
    },
    row("internal/testdata/jws_signature.sig", "strict", LONE, Accept),
    cose(row("internal/testdata/cose_signature.sig", "strict", LONE, Accept)),
    row("internal/testdata/jws_signature.sig", "strict", CA, Reject(Code::Untrusted)),
    cose(row("internal/testdata/cose_signature.sig", "strict", CA, Reject(Code::Untrusted))),
    row(
        "verifier/testdata/timestamp/sigEnv/jwsWithTimestamp.sig",
        "strict",
        STAMPED,
        Open(Code::RevocationUnavailable),
    ),
    cose(row(
        "verifier/testdata/timestamp/sigEnv/coseWithTimestamp.sig",
        "strict",
        STAMPED,
        Open(Code::RevocationUnavailable),
    )),
    row(
        "verifier/testdata/timestamp/sigEnv/jwsExpiredWithTimestamp.sig",
        "strict",
        LONE_STAMPED,
        Open(Code::RevocationUnavailable),
    ),
    cose(row(
        "verifier/testdata/timestamp/sigEnv/coseExpiredWithTimestamp.sig",
        "strict",
        LONE_STAMPED,
        Open(Code::RevocationUnavailable),
    )),
    row(
        "verifier/testdata/timestamp/sigEnv/jwsExpiredWithTimestamp.sig",
        "strict",
        LONE,
        Reject(Code::CertificateExpired),
    ),
    cose(row(
        "verifier/testdata/timestamp/sigEnv/coseExpiredWithTimestamp.sig",
        "strict",
        LONE,
        Reject(Code::CertificateExpired),
    )),
    row("verifier/testdata/timestamp/sigEnv/jwsExpiredWithTimestamp.sig", "permissive", LONE, Accept),
    cose(row(
        "verifier/testdata/timestamp/sigEnv/timestampAfterNotAfter.sig",
        "strict",
        LONE_STAMPED,
        Reject(Code::CertificateExpired),
    )),
    row(
        "verifier/testdata/timestamp/sigEnv/timestampBeforeNotBefore.sig",
        "strict",
        LONE_STAMPED,
        Reject(Code::CertificateExpired),
    ),
    row("verifier/testdata/timestamp/sigEnv/withoutTimestamp.sig", "strict", STAMPED, Reject(Code::TimestampMissing)),
    row(
        "verifier/testdata/timestamp/sigEnv/jwsWithTimestamp.sig",
        "strict",
        &["ca:valid-trust-store", "tsa:test-mismatch"],
        Reject(Code::TimestampInvalid),
    ),
    row(
        "verifier/testdata/timestamp/sigEnv/jwsWithTimestamp.sig",
        "strict",
        &["ca:valid-trust-store", "tsa:test-nonCA"],
        Reject(Code::NoTrust),
    ),
    row(
        "verifier/testdata/timestamp/sigEnv/jwsWithTimestamp.sig",
        "strict",
        &["ca:valid-trust-store", "tsa:test-nonSelfIssued"],
        Reject(Code::NoTrust),
    ),
    row(
        "verifier/testdata/timestamp/sigEnv/jwsWithTimestamp.sig",
        "strict",
        &["ca:valid-trust-store", "tsa:absent"],
        Reject(Code::NoTrust),
    ),
];

/// Tokens over `notation`, and whether they hold.
const TOKENS: [(&str, bool); 4] = [
    ("TimeStampToken.p7s", true),
    ("TimeStampTokenWithoutCertificate.p7s", false),
    ("TimeStampTokenWithInvalideContentType.p7s", false),
    ("TimeStampTokenWithInvalidTSTInfo.p7s", false),
];

/// How many vectors of a checkout of notation-go (v1.3.2) there are, and each of which another verdict comes out than its own tests ask for.
///
/// # Panics
/// Something of the checkout cannot be read.
pub async fn disagreements(checkout: &Path) -> (usize, Vec<String>) {
    let mut found = Vec::new();
    let read = |file: &str| std::fs::read(checkout.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    for row in &ROWS {
        let said = judge(checkout, row, &read(row.file)).await;
        let holds = match (row.expected, &said) {
            (Accept, Ok(())) | (RejectAnyhow, Err(VerifyError::Rejected(_))) => true,
            (Reject(code), Err(VerifyError::Rejected(rejection))) => rejection.code() == code,
            (Open(code), Err(VerifyError::Undecided(undecided))) => undecided.code() == code,
            _ => false,
        };
        if !holds {
            found.push(format!("{} {} {:?}: {:?}: {said:?}", row.file, row.level, row.stores, row.expected));
        }
    }
    let root = read("verifier/testdata/truststore/x509/tsa/test-timestamp/globalsignRoot.cer");
    let anchors = certificates_from_file_bytes(&root).expect("a root");
    for (name, holds) in TOKENS {
        let token = read(&format!("verifier/testdata/timestamp/countersignature/{name}"));
        let trust = Trust { anchors: &anchors, known: &[], embedded: Embedded::Use, profile: Profile::Notary };
        let said = Timestamp::from_token(&token).and_then(|token| token.verify(b"notation", &trust));
        if said.is_ok() != holds {
            found.push(format!("{name}: {said:?}"));
        }
    }
    (ROWS.len() + TOKENS.len(), found)
}

/// What the verifier says of an envelope, about whatever it signs.
async fn judge(checkout: &Path, row: &Row, envelope: &[u8]) -> Result<(), VerifyError> {
    let media_type = if row.cose { COSE_MEDIA_TYPE } else { JWS_MEDIA_TYPE };
    let parsed = Envelope::parse(media_type, envelope, Limits::default()).ok();
    let signed = parsed.and_then(|envelope| integrity::check(envelope, &KnownChains::default()).ok());
    let mut image = Descriptor::of(media_type::IMAGE_MANIFEST, b"an image");
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = checkout.join("verifier/testdata/truststore");
    if let Some(signed) = &signed {
        let target = signed.target();
        image.media_type.clone_from(&target.media_type);
        image.digest = target.digest.clone();
        image.size = target.size;
        if row.stores.contains(&"ca:lone") {
            let authority = store.join("x509/tsa/test-timestamp/globalsignRoot.cer");
            let put = |place: &str, content: &[u8]| {
                let folder = dir.path().join("x509").join(place);
                std::fs::create_dir_all(&folder).expect("a store");
                std::fs::write(folder.join("one.crt"), content).expect("a store");
            };
            put("ca/lone", signed.chain().leaf().der());
            put("tsa/test-timestamp", &std::fs::read(authority).expect("a root"));
            store = dir.path().to_owned();
        }
    }
    let metadata: Value = row.metadata.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let config = json!({
        "trustPolicies": [{
            "name": "upstream",
            "registryScopes": [REPOSITORY],
            "signatureVerification": { "level": row.level },
            "trustStores": row.stores,
            "trustedIdentities": ["*"],
        }],
        "trustStore": store,
        "userMetadata": metadata,
        "revocation": { "mode": "offline" },
    });
    let config: Config = serde_json::from_value(config).expect("a configuration");
    let notation = Notation::load("upstream".into(), &config, checkout).unwrap_or_else(|faults| panic!("{faults:?}"));
    let subject = Subject::new(Repository::parse(REPOSITORY).expect("a repository"), image);
    let layer = Descriptor::of(media_type, envelope);
    let artifact = artifact(&subject, &layer);
    let store = OneBlob(Bytes::copy_from_slice(envelope));
    let deadline = Instant::now() + std::time::Duration::from_secs(10);
    let request = VerifyRequest::new(&subject, &artifact, subject.repository(), NOW, &store, deadline);
    let items = notation.verify(&request).await?;
    items.into_iter().try_for_each(|item| item.outcome.map(|_| ()))
}

fn artifact(subject: &Subject, layer: &Descriptor) -> Artifact {
    let descriptor =
        |of: &Descriptor| json!({ "mediaType": of.media_type, "digest": of.digest.to_string(), "size": of.size });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE_MANIFEST,
        "config": descriptor(&Descriptor::of("application/vnd.cncf.notary.signature", b"{}")),
        "layers": [descriptor(layer)],
        "subject": descriptor(subject.descriptor()),
    });
    let bytes = Bytes::from(manifest.to_string());
    let descriptor = Descriptor::of(media_type::IMAGE_MANIFEST, &bytes);
    let content = Content::check(descriptor.clone(), bytes).expect("its own bytes");
    Artifact::read(subject, &Referrer { descriptor, found: Found::Layout }, &content).expect("a signature's manifest")
}

/// A store with one blob.
#[derive(Debug)]
struct OneBlob(Bytes);

#[async_trait]
impl Store for OneBlob {
    async fn resolve(&self, _: &Reference, _: Deadline) -> Result<Descriptor, StoreError> {
        panic!("the subject is known")
    }

    async fn referrers(&self, _: &Repository, _: &Digest, _: Discovery, _: Deadline) -> Result<Listing, StoreError> {
        panic!("the signature is known")
    }

    async fn manifest(&self, _: &Repository, _: &Descriptor, _: Deadline) -> Result<Content, StoreError> {
        panic!("the signature's manifest is known")
    }

    async fn blob(&self, _: &Repository, layer: &Descriptor, _: u64, _: Deadline) -> Result<Content, StoreError> {
        Ok(Content::check(layer.clone(), self.0.clone()).expect("the envelope"))
    }
}
