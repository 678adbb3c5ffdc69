//! Sample images for a verifier of one's own: licence approvals, as `examples/plugins` verifies them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    images::{self, Expected, Image, Pushed, refused},
    registry::{Registry, described},
    sigstore::key::Key,
};
use crate::{
    oci::{
        Digest,
        media_type::{EMPTY, IMAGE_MANIFEST},
    },
    reason::Code,
    verifier::exec::program,
};

const ARTIFACT: &str = "application/vnd.example.licence-approval.v1";
const DOCUMENT: &str = "application/vnd.example.licence-approval.document.v1+json";
const SIGNATURE: &str = "application/vnd.example.licence-approval.signature.v1";
/// What the demo's operator allows.
const ALLOWED: [&str; 3] = ["MIT", "Apache-2.0", "BSD-3-Clause"];

/// A program that verifies, as the operator pins it.
#[derive(Debug, Clone)]
pub(crate) struct Plugin {
    directory: PathBuf,
    command: String,
    sha256: Digest,
}

impl Plugin {
    /// Pins the program as it is now: in a demo nobody else could say what it should be.
    pub(crate) fn pin(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("plugin {}", path.display());
        let real = path.canonicalize().with_context(unusable)?;
        let sha256 = program::pin(&real).with_context(unusable)?;
        let (directory, command) = (real.parent(), real.file_name().and_then(|name| name.to_str()));
        let (directory, command) = directory.zip(command).context("the plugin has no file name")?;
        Ok(Self { directory: directory.to_owned(), command: command.to_owned(), sha256 })
    }

    /// What the operator adds to the configuration: where plugins are, the verifier, and what it must say yes to.
    pub(crate) fn configure(&self, configuration: &mut Value, approvers: &Approvers) {
        let Self { directory, command, sha256 } = self;
        let verifier = json!({
            "name": "licences",
            "type": "exec",
            "command": command,
            "sha256": sha256.hex(),
            "artifactTypes": [ARTIFACT],
            "config": { "publicKey": approvers.ours.pem(), "allowed": ALLOWED },
        });
        let policy = json!({ "scopes": ["*/demo/licence*"], "require": { "all": ["licences"] } });
        if let Value::Object(sections) = configuration {
            sections.insert("plugins".to_owned(), json!({ "directories": [directory] }));
            if let Some(Value::Object(server)) = sections.get_mut("server") {
                // A script starts a few programs, and a machine may be busy: this shows what is decided, not how fast.
                server.insert("providerTimeout".to_owned(), json!({ "verify": "10s", "mutate": "10s" }));
            }
            for (section, element) in [("verifiers", verifier), ("policies", policy)] {
                if let Some(Value::Array(elements)) = sections.get_mut(section) {
                    elements.push(element);
                }
            }
        }
    }
}

/// Who approves licences.
pub(crate) struct Approvers {
    /// Whose key the operator configures.
    ours: Key,
    stranger: Key,
}

impl Approvers {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // Keys come from the seed: nobody may know it beforehand.
        let seed = Uuid::new_v4().to_string();
        Ok(Self { ours: Key::p256(&seed, "approver")?, stranger: Key::p256(&seed, "stranger")? })
    }
}

/// Puts them into the registry.
pub(crate) struct Pusher<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) approvers: &'a Approvers,
}

impl Pusher<'_> {
    /// Pushes all samples.
    pub(crate) async fn push_all(&self) -> anyhow::Result<Vec<Image>> {
        let Approvers { ours, stranger } = self.approvers;
        let mut images = Vec::new();
        let mut add = |story, pushed: &Pushed, expected| images.push(pushed.image(self.registry, story, expected));
        let no = refused(Code::PluginRejected);

        let approved = images::push(self.registry, "licence").await?;
        self.approve(&approved, &approved, &["MIT", "Apache-2.0"], ours).await?;
        add("its licences are approved", &approved, Expected::Admitted);

        let open = images::push(self.registry, "licence-none").await?;
        add("nobody approved its licences", &open, refused(Code::NoArtifact));

        let forged = images::push(self.registry, "licence-forged").await?;
        self.approve(&forged, &forged, &["MIT"], stranger).await?;
        add("approved by somebody else's key", &forged, no);

        let moved = images::push(self.registry, "licence-moved").await?;
        self.approve(&moved, &approved, &["MIT"], ours).await?;
        add("another image's approval, attached to it", &moved, no);

        let copyleft = images::push(self.registry, "licence-gpl").await?;
        self.approve(&copyleft, &copyleft, &["MIT", "GPL-3.0-only"], ours).await?;
        add("approved, with a licence that is not allowed", &copyleft, no);
        Ok(images)
    }

    /// Attaches to `subject` an approval of `image`'s licences: the same, for an honest one.
    async fn approve(&self, subject: &Pushed, image: &Pushed, licences: &[&str], key: &Key) -> anyhow::Result<()> {
        let document = json!({ "image": image.digest(), "licences": licences, "approvedBy": "legal@example.com" });
        let document = document.to_string();
        let signature = key.sign(document.as_bytes())?;
        let repository = &subject.repository;
        let config = self.registry.push_blob(repository, EMPTY, b"{}").await?;
        let document = self.registry.push_blob(repository, DOCUMENT, document.as_bytes()).await?;
        let signature = self.registry.push_blob(repository, SIGNATURE, &signature).await?;
        let manifest = json!({ "schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "artifactType": ARTIFACT,
            "config": described(&config), "layers": [described(&document), described(&signature)],
            "subject": described(&subject.descriptor) });
        self.registry.push_manifest(repository, None, IMAGE_MANIFEST, &manifest).await?;
        Ok(())
    }
}
