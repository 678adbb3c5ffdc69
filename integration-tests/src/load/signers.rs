//! Who signs, rightly and wrongly; and the folder from which a server under load trusts them.

use std::{fs, path::Path};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use countersign::{
    demo::sigstore::{
        Care, Sigstore,
        bundle::{BUNDLE_V03, Bundle, Content, Version},
        certificate::Name,
        envelope::{EntryKind, cosign_statement, simple_signing},
        legacy::Layer,
        manifest,
        signer::Signer as Cosigner,
    },
    oci::Descriptor,
    time::Clock,
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::truth::{Format, Truth};
use crate::{
    notation::{Signer, SigningAuthority},
    shelf::{JWS, Shelf},
    sigstore::storage::Storage as _,
};

/// Who issues identities.
pub const ISSUER: &str = "https://token.actions.example.com";
/// Who signs without a key of its own.
pub const WORKFLOW: &str = "https://git.example.com/acme/app/.github/workflows/release.yml@refs/heads/main";
const STRANGER: &str = "https://git.example.com/evil/app/.github/workflows/release.yml@refs/heads/main";
/// The file with what signs; the others in the folder are what is trusted.
const STORED: &str = "signers.json";

/// Signers of all formats.
pub struct Signers {
    now: OffsetDateTime,
    notary: Signer,
    notary_stranger: Signer,
    sigstore: Sigstore,
    key: Cosigner,
    key_stranger: Cosigner,
    workflow: Cosigner,
    workflow_stranger: Cosigner,
}

impl std::fmt::Debug for Signers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signers").finish_non_exhaustive()
    }
}

impl Signers {
    /// Those of a folder; where there are none they are made, with the files by which they are trusted: `root.pem` and
    /// `trustpolicy.json` for Notary, `cosign.pub`, `trusted_root.json`.
    pub fn of(folder: &Path) -> Self {
        let file = folder.join(STORED);
        if !file.exists() {
            Self::make(folder);
        }
        let stored: Value = serde_json::from_slice(&fs::read(file).expect("signers")).expect("stored signers");
        let seed = stored["seed"].as_str().expect("a seed");
        let at = OffsetDateTime::from_unix_timestamp(stored["at"].as_i64().expect("a moment")).expect("a moment");
        let sigstore = Sigstore::new(seed, at).expect("an instance");
        let keyed = |name| Cosigner::of_key(sigstore.key(name).expect("a key"));
        let keyless = |uri: &str| sigstore.signer(Name::Uri(uri.to_owned()), ISSUER).expect("a certificate");
        Self {
            now: Clock::System.now(),
            notary: Signer::restore(&stored["notary"]).expect("a signer"),
            notary_stranger: Signer::restore(&stored["stranger"]).expect("a signer"),
            key: keyed("cosign.key"),
            key_stranger: keyed("stranger.key"),
            workflow: keyless(WORKFLOW),
            workflow_stranger: keyless(STRANGER),
            sigstore,
        }
    }

    fn make(folder: &Path) {
        let now = Clock::System.now();
        let (root, other) = (SigningAuthority::new("load root", now), SigningAuthority::new("another root", now));
        let seed = URL_SAFE_NO_PAD.encode(root.pem());
        let sigstore = Sigstore::new(&seed, now).expect("an instance");
        let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("a file");
        write("root.pem", root.pem());
        let policy = json!({ "version": "1.0", "trustPolicies": [trust_policy()] });
        write("trustpolicy.json", policy.to_string());
        write("cosign.pub", Cosigner::of_key(sigstore.key("cosign.key").expect("a key")).key.pem());
        write("trusted_root.json", sigstore.trusted_root().json().expect("a trusted root").to_string());
        let stored = json!({
            "notary": root.signer("release").store(),
            "stranger": other.signer("release").store(),
            "seed": seed,
            "at": now.unix_timestamp(),
        });
        write(STORED, stored.to_string());
    }

    /// Attaches `count` signatures to an image, as its truth has it.
    pub fn attach(&self, place: &impl Shelf, image: &Descriptor, format: Format, truth: Truth, count: usize) {
        match truth {
            Truth::Unsigned => return,
            Truth::Bomb => bombs(place, image),
            Truth::Expired | Truth::Good | Truth::Moved | Truth::Tampered | Truth::WrongSigner => {}
        }
        match format {
            Format::Bundle => (0..count).for_each(|_| drop(place.put_bundle(image, &self.bundle(image, truth)))),
            Format::Notation => (0..count).for_each(|_| {
                place.put_signature(image, JWS, &self.envelope(image, truth));
            }),
            Format::Sig => {
                let layers: Vec<Layer> = (0..count).map(|place| self.layer(image, truth, place)).collect();
                place.put_sig_tag(image, &layers);
            }
        }
    }

    fn envelope(&self, image: &Descriptor, truth: Truth) -> Vec<u8> {
        let digest = image.digest.to_string();
        let sign = |signer: &Signer| signer.sign(&image.media_type, &digest, image.size);
        match truth {
            Truth::Good | Truth::Unsigned => sign(&self.notary),
            Truth::Expired => {
                let expiry = Some(self.now - Duration::HOUR);
                self.notary.sign_until(&image.media_type, &digest, image.size, expiry)
            }
            Truth::Moved => self.notary.sign(&image.media_type, &elsewhere(image), image.size),
            Truth::Tampered => tampered(&sign(&self.notary)),
            Truth::Bomb | Truth::WrongSigner => sign(&self.notary_stranger),
        }
    }

    fn layer(&self, image: &Descriptor, truth: Truth, place: usize) -> Layer {
        let wrong = matches!(truth, Truth::Bomb | Truth::WrongSigner);
        let signer = if wrong { &self.key_stranger } else { &self.key };
        let digest = match truth {
            Truth::Expired | Truth::Moved => elsewhere(image),
            Truth::Bomb | Truth::Good | Truth::Tampered | Truth::Unsigned | Truth::WrongSigner => {
                image.digest.to_string()
            }
        };
        // Layers differ, or they would be one.
        let payload = simple_signing("load.example.com/image", &digest, &json!({ "place": place }));
        let mut layer = Layer::signature(signer, payload).expect("a signature");
        if truth == Truth::Tampered {
            layer.signature = layer.signature.map(|signature| Care::Tampered.apply(signature));
        }
        layer
    }

    fn bundle(&self, image: &Descriptor, truth: Truth) -> Bundle {
        let wrong = matches!(truth, Truth::Bomb | Truth::WrongSigner);
        let signer = if wrong { &self.workflow_stranger } else { &self.workflow };
        let digest = match truth {
            Truth::Expired | Truth::Moved => elsewhere(image),
            Truth::Bomb | Truth::Good | Truth::Tampered | Truth::Unsigned | Truth::WrongSigner => {
                image.digest.to_string()
            }
        };
        let statement = cosign_statement(&digest);
        let mut bundle =
            self.sigstore.bundle(signer, Version::V03New, &statement, EntryKind::Dsse).expect("a signature");
        if let (Truth::Tampered, Content::Envelope(envelope)) = (truth, &mut bundle.content) {
            for signature in &mut envelope.signatures {
                *signature = Care::Tampered.apply(std::mem::take(signature));
            }
        }
        bundle
    }
}

/// Envelopes and bundles that cost more than they are worth (ENV-01, ENV-04, ENV-05, ENV-20, ENV-60, COS-31 to 33).
fn bombs(shelf: &impl Shelf, image: &Descriptor) {
    const LARGE: usize = 1 << 20;
    let certificates: Vec<String> = vec![STANDARD.encode([0x30; 900]); 1000];
    let chain = json!({ "payload": "e30", "protected": "e30", "header": { "x5c": certificates }, "signature": "AA" });
    let dots = json!({ "payload": ".".repeat(LARGE - 100), "protected": "e30", "header": {}, "signature": "AA" });
    // An array of 2^32 - 1 items, of which none follows.
    let promise = [0xD2, 0x9A, 0xFF, 0xFF, 0xFF, 0xFF];
    for (envelope_type, envelope) in [
        (JWS, vec![b'['; LARGE]),
        (JWS, vec![0x5A; LARGE + 1]),
        (JWS, chain.to_string().into_bytes()),
        (JWS, dots.to_string().into_bytes()),
        ("application/cose", promise.to_vec()),
        ("application/cose", vec![0x81; LARGE]),
    ] {
        shelf.put_signature(image, envelope_type, &envelope);
    }
    let entries = vec![json!({ "logIndex": "1" }); 20_000];
    let bundle = json!({ "mediaType": BUNDLE_V03, "verificationMaterial": { "tlogEntries": entries } });
    for bundle in [bundle.to_string().into_bytes(), vec![b'['; LARGE]] {
        shelf.put_bundle_as(&bundle, &manifest::of_bundle(image, &bundle));
    }
}

/// The statement of a Notary trust policy that trusts the root.
pub fn trust_policy() -> Value {
    json!({ "name": "all", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
        "trustStores": ["ca:load"], "trustedIdentities": ["*"] })
}

/// Another image's digest.
fn elsewhere(image: &Descriptor) -> String {
    countersign::oci::Digest::sha256(image.digest.to_string().as_bytes()).to_string()
}

/// A JWS whose signature has one bit flipped.
fn tampered(envelope: &[u8]) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(envelope).expect("an envelope");
    let signature = URL_SAFE_NO_PAD.decode(document["signature"].as_str().unwrap_or_default()).expect("base64");
    document["signature"] = URL_SAFE_NO_PAD.encode(Care::Tampered.apply(signature)).into();
    document.to_string().into_bytes()
}
