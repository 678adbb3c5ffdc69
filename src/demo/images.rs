//! The sample images: what each is, and what must be decided about it.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    pki::{Authority, Signer, Validity},
    registry::{Registry, described},
    signers::{self, Care, Format},
};
use crate::{
    oci::{Descriptor, Digest, media_type::IMAGE_MANIFEST},
    reason::Code,
};

const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const SIGNATURE_TYPE: &str = "application/vnd.cncf.notary.signature";
const THUMBPRINTS: &str = "io.cncf.notary.x509chain.thumbprint#S256";
const TAG: &str = "v1";

/// What must be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Admitted,
    /// With this reason.
    Refused(&'static str),
}

/// Refused with a code of ours.
pub(crate) const fn refused(code: Code) -> Expected {
    Expected::Refused(code.as_str())
}

/// One sample.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) name: &'static str,
    pub(crate) story: &'static str,
    /// By digest, where it exists.
    pub(crate) reference: String,
    /// By tag.
    pub(crate) tagged: String,
    pub(crate) expected: Expected,
}

/// Who signs.
pub(crate) struct Signers {
    ours: Signer,
    expired: Signer,
    stranger: Signer,
}

impl Signers {
    /// `root` is what the trust store holds; the stranger has a root of the same name.
    pub(crate) fn new(root: &Authority, stranger: &Authority, now: OffsetDateTime) -> anyhow::Result<Self> {
        Ok(Self {
            ours: root.signer("release", Validity::current(now))?,
            expired: root.signer("release", Validity::past(now))?,
            stranger: stranger.signer("release", Validity::current(now))?,
        })
    }
}

/// The code that the bundled template gives where the provider could not decide.
const UNDECIDED: Expected = Expected::Refused("PROVIDER_ERROR");

/// A subject in the registry.
pub(crate) struct Pushed {
    pub(crate) name: &'static str,
    pub(crate) repository: String,
    pub(crate) descriptor: Descriptor,
}

impl Pushed {
    /// With its algorithm.
    pub(crate) fn digest(&self) -> String {
        self.descriptor.digest.to_string()
    }

    /// It as a sample.
    pub(crate) fn image(&self, registry: &Registry, story: &'static str, expected: Expected) -> Image {
        let base = format!("{}/{}", registry.host(), self.repository);
        let (reference, tagged) = (format!("{base}@{}", self.descriptor.digest), format!("{base}:{TAG}"));
        Image { name: self.name, story, reference, tagged, expected }
    }
}

/// Pushes an image of this name.
pub(crate) async fn push(registry: &Registry, name: &'static str) -> anyhow::Result<Pushed> {
    let repository = format!("demo/{name}");
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] } });
    let config = registry.push_blob(&repository, CONFIG_TYPE, config.to_string().as_bytes()).await?;
    let layer = registry.push_blob(&repository, LAYER_TYPE, name.as_bytes()).await?;
    let manifest = json!({ "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": described(&config),
        "layers": [described(&layer)], "annotations": { "org.opencontainers.image.title": name } });
    let descriptor = registry.push_manifest(&repository, Some(TAG), IMAGE_MANIFEST, &manifest).await?;
    Ok(Pushed { name, repository, descriptor })
}

/// Samples that no registry has. `unreachable`: a host where nothing listens.
pub(crate) fn absent(unreachable: &str) -> Vec<Image> {
    let sample = |(name, story, host, expected)| {
        let reference = format!("{host}/demo/{name}:{TAG}");
        Image { name, story, tagged: reference.clone(), reference, expected }
    };
    [
        ("elsewhere", "of a registry that nobody configured", "registry.example.com", refused(Code::HostDenied)),
        ("outage", "of a registry that is down", unreachable, UNDECIDED),
    ]
    .map(sample)
    .into()
}

/// Puts images into the registry.
pub(crate) struct Pusher<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) signers: &'a Signers,
    pub(crate) now: OffsetDateTime,
}

impl Pusher<'_> {
    /// Pushes all samples.
    pub(crate) async fn push_all(&self) -> anyhow::Result<Vec<Image>> {
        let Signers { ours, expired, stranger } = self.signers;
        let mut images = Vec::new();
        let mut add = |story, pushed: &Pushed, expected| images.push(pushed.image(self.registry, story, expected));

        let jws = self.image("signed-jws").await?;
        let (manifest, _) = self.sign(&jws, &jws, Format::Jws, ours, Care::Intact).await?;
        add("signed by us, JWS envelope", &jws, Expected::Admitted);

        let cose = self.image("signed-cose").await?;
        self.sign(&cose, &cose, Format::Cose, ours, Care::Intact).await?;
        add("signed by us, COSE envelope", &cose, Expected::Admitted);

        let both = self.image("signed-twice").await?;
        self.sign(&both, &both, Format::Jws, stranger, Care::Intact).await?;
        self.sign(&both, &both, Format::Cose, ours, Care::Intact).await?;
        add("signed by a stranger and by us", &both, Expected::Admitted);

        let unsigned = self.image("unsigned").await?;
        add("nobody signed it", &unsigned, refused(Code::NoSignature));

        let foreign = self.image("stranger").await?;
        self.sign(&foreign, &foreign, Format::Jws, stranger, Care::Intact).await?;
        add("signed under a root of the same name", &foreign, refused(Code::Untrusted));

        let tampered = self.image("tampered").await?;
        self.sign(&tampered, &tampered, Format::Cose, ours, Care::Tampered).await?;
        add("one bit of the signature flipped", &tampered, refused(Code::SignatureInvalid));

        let late = self.image("expired").await?;
        self.sign(&late, &late, Format::Jws, expired, Care::Intact).await?;
        add("the certificate ended an hour ago", &late, refused(Code::CertificateExpired));

        let copied = self.image("copied").await?;
        self.registry.push_manifest(&copied.repository, None, IMAGE_MANIFEST, &manifest).await?;
        add("another image's signature beside it", &copied, refused(Code::NoSignature));

        let pointed = self.image("repointed").await?;
        self.sign(&pointed, &jws, Format::Jws, ours, Care::Intact).await?;
        add("another image's signature, attached to it", &pointed, refused(Code::SubjectMismatch));

        Ok(images)
    }

    async fn image(&self, name: &'static str) -> anyhow::Result<Pushed> {
        push(self.registry, name).await
    }

    /// Attaches to `subject` a signature of `original`: the same, for an honest one. The manifest and its descriptor.
    async fn sign(
        &self,
        subject: &Pushed,
        original: &Pushed,
        format: Format,
        signer: &Signer,
        care: Care,
    ) -> anyhow::Result<(Value, Descriptor)> {
        let Descriptor { media_type, digest, size, .. } = &original.descriptor;
        let payload = signers::payload(media_type, &digest.to_string(), *size);
        let envelope = signers::envelope(format, &payload, signer, self.now, care)?;
        let repository = &subject.repository;
        let layer = self.registry.push_blob(repository, format.media_type(), &envelope).await?;
        let config = self.registry.push_blob(repository, SIGNATURE_TYPE, b"{}").await?;
        // The form that every released tool writes: the type stands in the configuration's descriptor.
        let manifest = json!({ "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": described(&config),
            "layers": [described(&layer)], "subject": described(&subject.descriptor),
            "annotations": { THUMBPRINTS: thumbprints(signer.chain()) } });
        let descriptor = self.registry.push_manifest(repository, None, IMAGE_MANIFEST, &manifest).await?;
        Ok((manifest, descriptor))
    }
}

/// A JSON array, as a string.
fn thumbprints(chain: &[Vec<u8>]) -> String {
    json!(chain.iter().map(|certificate| Digest::sha256(certificate).hex().to_owned()).collect::<Vec<_>>()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-02 03:04:05 UTC);

    async fn listed(registry: &Registry, image: &Image) -> usize {
        let (name, digest) = image.reference.split_once('@').unwrap();
        let (host, repository) = name.split_once('/').unwrap();
        let url = format!("http://{host}/v2/{repository}/referrers/{digest}?artifactType={SIGNATURE_TYPE}");
        let body = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        let index: Value = serde_json::from_slice(&body).unwrap();
        registry.take_calls();
        index["manifests"].as_array().unwrap().len()
    }

    #[tokio::test]
    async fn registry_lists_what_was_attached_and_counts_what_it_was_asked() {
        let registry = Registry::start().await.unwrap();
        let root = Authority::new("root", Validity::current(NOW)).unwrap();
        let signers = Signers::new(&root, &root, NOW).unwrap();
        let images = Pusher { registry: &registry, signers: &signers, now: NOW }.push_all().await.unwrap();
        registry.take_calls();
        let expected = [
            ("signed-jws", 1),
            ("signed-cose", 1),
            ("signed-twice", 2),
            ("unsigned", 0),
            ("stranger", 1),
            ("tampered", 1),
            ("expired", 1),
            ("copied", 0),
            ("repointed", 1),
        ];
        for (image, (name, referrers)) in images.iter().zip(expected) {
            assert_eq!((image.name, listed(&registry, image).await), (name, referrers));
        }
        assert_eq!(images.len(), expected.len());

        let url = format!("http://{}/v2/demo/unsigned/manifests/v1", registry.host());
        assert!(reqwest::get(url).await.unwrap().status().is_success());
        assert_eq!(registry.take_calls().to_string(), "1 manifest");
        assert_eq!(registry.take_calls().to_string(), "none");
        registry.stop().await.unwrap();
    }
}
