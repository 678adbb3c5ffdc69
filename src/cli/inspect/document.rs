//! What `inspect` prints, as data. Its JSON is this; the tree is made from that JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::{
    crypto::describe::{Described, End, MAX_ENTRIES, Unreadable, plain},
    oci::{CosignKind, Descriptor, Found, Manifest},
    verifier::{cosign, notation},
};

/// What ends sooner than this is warned of.
const SOON: Duration = Duration::days(30);

/// The head of every output.
pub(super) const NOTICE: &str = "nothing of this was verified";

/// An image and what is attached to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    /// [`NOTICE`].
    pub(super) notice: &'static str,
    pub(super) subject: String,
    pub(super) media_type: String,
    /// The moment of the warnings.
    #[serde(serialize_with = "time::serde::rfc3339::serialize")]
    pub(super) at: OffsetDateTime,
    pub(super) artifacts: Vec<Attached>,
    /// Why there may be more than is shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) not_shown: Vec<String>,
    pub(super) warnings: Vec<Warning>,
}

/// Something attached.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attached {
    /// Of its manifest.
    pub(super) digest: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) artifact_type: String,
    /// How it was found.
    pub(super) found: &'static str,
    #[serde(flatten)]
    pub(super) what: What,
}

/// What it is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum What {
    /// Signatures, attestations or a bundle of the Sigstore world.
    Cosign { items: Vec<Item> },
    /// A Notary Project signature.
    Notation { signature: Box<Described<notation::describe::Description>> },
    /// Its manifest or layers could not be had or read.
    Not(Unreadable),
    /// Anything else, such as an SBOM.
    Other(Other),
}

/// A signature or an attestation of several.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    /// The layer.
    pub(super) layer: String,
    #[serde(flatten)]
    pub(super) content: Described<cosign::describe::Description>,
}

/// What nobody here reads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Other {
    /// The first [`MAX_ENTRIES`].
    layers: Vec<Layer>,
    layer_count: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    digest: String,
    media_type: String,
    size: u64,
}

/// Something that has ended, or will soon.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Warning {
    /// What, in words.
    pub(super) of: String,
    /// `expired` or `expires soon`.
    pub(super) state: &'static str,
    /// From when on it is over.
    #[serde(serialize_with = "time::serde::rfc3339::serialize")]
    pub(super) at: OffsetDateTime,
    /// The artifact, by the digest of its manifest.
    pub(super) artifact: String,
}

impl Other {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let layers: &[Descriptor] = match manifest {
            Manifest::Image(image) => &image.layers,
            Manifest::Index(index) => &index.manifests,
        };
        let layer = |layer: &Descriptor| Layer {
            digest: layer.digest.to_string(),
            media_type: plain(&layer.media_type),
            size: layer.size,
        };
        let annotations = manifest.annotations().iter().take(MAX_ENTRIES);
        Self {
            layers: layers.iter().take(MAX_ENTRIES).map(layer).collect(),
            layer_count: layers.len(),
            annotations: annotations.map(|(name, value)| (plain(name), plain(value))).collect(),
        }
    }
}

/// How something was found, in words.
pub(super) const fn found(found: Found) -> &'static str {
    match found {
        Found::CosignTag(CosignKind::Attestations) => "cosign tag .att",
        Found::CosignTag(CosignKind::Signatures) => "cosign tag .sig",
        Found::Layout => "image layout",
        Found::ReferrersApi => "referrers API",
        Found::ReferrersTag => "referrers tag",
    }
}

impl Attached {
    fn ends(&self) -> Vec<End> {
        match &self.what {
            What::Cosign { items } => items
                .iter()
                .filter_map(|item| item.content.read())
                .flat_map(cosign::describe::Description::ends)
                .collect(),
            What::Notation { signature } => {
                signature.read().map(|description| description.ends().collect()).unwrap_or_default()
            }
            What::Not(_) | What::Other(_) => Vec::new(),
        }
    }
}

/// What has ended at `now`, or will within [`SOON`]: soonest first, each once an artifact.
pub(super) fn warnings(artifacts: &[Attached], now: OffsetDateTime) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for artifact in artifacts {
        for End { of, at } in artifact.ends() {
            let state = if at <= now {
                "expired"
            } else if at <= now.saturating_add(SOON) {
                "expires soon"
            } else {
                continue;
            };
            let warning = Warning { of, state, at, artifact: artifact.digest.clone() };
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    warnings
        .sort_by(|one: &Warning, other| (one.at, &one.artifact, &one.of).cmp(&(other.at, &other.artifact, &other.of)));
    warnings
}
