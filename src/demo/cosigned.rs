//! The sample images of the Sigstore world: keys, certificates, bundles, attestations.

use anyhow::Context as _;
use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    images::{self, Expected, Image, Pushed, refused},
    registry::Registry,
    sigstore::{
        Sigstore,
        bundle::{BUNDLE_V03, Bundle, Version},
        certificate::Name,
        envelope::{EntryKind, cosign_statement, simple_signing, vuln_statement},
        legacy::Layer,
        manifest,
        signer::Signer,
    },
};
use crate::{oci::media_type::IMAGE_MANIFEST, reason::Code};

/// Who vouches for our workflow.
pub(crate) const ISSUER: &str = "https://token.actions.example.com";
/// Our workflow.
pub(crate) const WORKFLOW: &str = "https://git.example.com/acme/app/.github/workflows/release.yml@refs/heads/main";
const STRANGER: &str = "https://git.example.com/evil/app/.github/workflows/release.yml@refs/heads/main";
/// Longer than what the configuration allows.
const STALE: Duration = Duration::days(10);

/// A Sigstore of our own, and who signs with it.
pub(crate) struct Signers {
    sigstore: Sigstore,
    /// A key that somebody keeps.
    key: Signer,
    /// Our workflow's certificate of ten minutes.
    workflow: Signer,
    /// A certificate of the same authority for somebody else.
    stranger: Signer,
}

impl Signers {
    pub(crate) fn new(now: OffsetDateTime) -> anyhow::Result<Self> {
        // Keys come from the seed: nobody may know it beforehand.
        let sigstore = Sigstore::new(&Uuid::new_v4().to_string(), now)?;
        let signer = |uri: &str| sigstore.signer(Name::Uri(uri.to_owned()), ISSUER);
        let (workflow, stranger) = (signer(WORKFLOW)?, signer(STRANGER)?);
        Ok(Self { key: Signer::of_key(sigstore.key("cosign.key")?), workflow, stranger, sigstore })
    }

    /// `cosign.pub`
    pub(crate) fn public_key(&self) -> String {
        self.key.key.pem()
    }

    /// `trusted_root.json`
    pub(crate) fn trusted_root(&self) -> anyhow::Result<String> {
        Ok(self.sigstore.trusted_root().json()?.to_string())
    }
}

/// Puts them into the registry.
pub(crate) struct Pusher<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) signers: &'a Signers,
}

impl Pusher<'_> {
    /// Pushes all samples.
    pub(crate) async fn push_all(&self) -> anyhow::Result<Vec<Image>> {
        let Signers { sigstore, key, workflow, stranger } = self.signers;
        let mut images = Vec::new();
        let mut add = |story, pushed: &Pushed, expected| images.push(pushed.image(self.registry, story, expected));

        let keyed = self.image("cosign-key").await?;
        self.put_signature(&keyed, &self.sign(key, &keyed)?).await?;
        add("signed by a key, classic `.sig` tag", &keyed, Expected::Admitted);

        let keyless = self.image("cosign-keyless").await?;
        let signature = self.sign(workflow, &keyless)?;
        self.put_signature(&keyless, &signature).await?;
        add("signed by our workflow, classic `.sig` tag", &keyless, Expected::Admitted);

        let bundled = self.image("cosign-bundle").await?;
        self.put_statement(&bundled, workflow, &cosign_statement(&bundled.digest())).await?;
        add("signed by our workflow, Sigstore bundle", &bundled, Expected::Admitted);

        let scanned = self.image("scanned").await?;
        self.put_scan(&scanned, Duration::ZERO).await?;
        add("signed, and a scan of today attested", &scanned, Expected::Admitted);

        let foreign = self.image("cosign-stranger").await?;
        self.put_signature(&foreign, &self.sign(stranger, &foreign)?).await?;
        add("signed by somebody else's workflow", &foreign, refused(Code::IdentityMismatch));

        let altered = self.image("cosign-log").await?;
        let mut layer = self.sign(workflow, &altered)?;
        let entry = layer.entry.as_mut().context("the signature was not logged")?;
        entry.integrated_time = Some((sigstore.at + Duration::MINUTE).unix_timestamp());
        self.put_signature(&altered, &layer).await?;
        add("its log entry was altered", &altered, refused(Code::TlogInvalid));

        let moved = self.image("cosign-moved").await?;
        self.put_signature(&moved, &signature).await?;
        add("another image's signature under its tag", &moved, refused(Code::SubjectMismatch));

        let stale = self.image("scanned-late").await?;
        self.put_scan(&stale, STALE).await?;
        add("signed, but the scan is ten days old", &stale, refused(Code::AttestationStale));
        Ok(images)
    }

    async fn image(&self, name: &'static str) -> anyhow::Result<Pushed> {
        images::push(self.registry, name).await
    }

    fn sign(&self, signer: &Signer, image: &Pushed) -> anyhow::Result<Layer> {
        let reference = format!("{}/{}", self.registry.host(), image.repository);
        self.signers.sigstore.sign(signer, simple_signing(&reference, &image.digest(), &Value::Null))
    }

    /// A signature and a scan that ended so long ago, both by our workflow.
    async fn put_scan(&self, image: &Pushed, ago: Duration) -> anyhow::Result<()> {
        let Signers { sigstore, workflow, .. } = self.signers;
        self.put_signature(image, &self.sign(workflow, image)?).await?;
        let finished = (sigstore.at - ago).replace_nanosecond(0)?.format(&Rfc3339)?;
        self.put_statement(image, workflow, &vuln_statement(&image.digest(), &finished)).await
    }

    /// As `cosign sign` of version 2.
    async fn put_signature(&self, image: &Pushed, layer: &Layer) -> anyhow::Result<()> {
        let repository = &image.repository;
        self.registry.push_blob(repository, &layer.media_type, &layer.bytes).await?;
        self.registry.push_blob(repository, manifest::CONFIG, b"{}").await?;
        let tag = manifest::tag("", &image.descriptor.digest, "sig");
        let manifest = manifest::tagged(std::slice::from_ref(layer));
        self.registry.push_manifest(repository, Some(&tag), IMAGE_MANIFEST, &manifest).await?;
        Ok(())
    }

    /// As `cosign sign` and `cosign attest` of version 3.
    async fn put_statement(&self, image: &Pushed, signer: &Signer, statement: &Value) -> anyhow::Result<()> {
        let bundle: Bundle = self.signers.sigstore.bundle(signer, Version::V03New, statement, EntryKind::Dsse)?;
        let (repository, bytes) = (&image.repository, bundle.bytes());
        self.registry.push_blob(repository, BUNDLE_V03, &bytes).await?;
        self.registry.push_blob(repository, manifest::EMPTY, b"{}").await?;
        let manifest = manifest::of_bundle(&image.descriptor, &bytes);
        self.registry.push_manifest(repository, None, IMAGE_MANIFEST, &manifest).await?;
        Ok(())
    }
}
