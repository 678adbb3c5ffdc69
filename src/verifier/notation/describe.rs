//! What a Notary Project signature says, for `inspect`. The signature is not verified, nobody is trusted, no policy is asked:
//! a description is never a verdict.
//!
//! It reads what [`Envelope::parse`] reads, so what verification cannot read is not described either, and says why.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use super::{
    envelope::{Attributes, DEFAULT_ENVELOPE_BYTES, Envelope, Limits, Plugin, SigningScheme},
    integrity::{self, TargetArtifact},
    manifest,
};
use crate::{
    crypto::{
        describe::{self, CertificateFacts, Described, End, MAX_ENTRIES, TimestampFacts, Unreadable, plain},
        tsp::Timestamp,
    },
    oci::{Artifact, Descriptor},
    verifier::Rejection,
};

/// The artifact type of Notary Project signatures.
pub const ARTIFACT_TYPE: &str = manifest::ARTIFACT_TYPE;

/// A signature envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The envelope's media type.
    pub media_type: String,
    /// The algorithm that its header states.
    pub signature_algorithm: &'static str,
    /// What the signer signed beside the artifact.
    pub signed_attributes: SignedAttributes,
    /// The signer's annotations; the first [`MAX_ENTRIES`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user_metadata: BTreeMap<String, String>,
    /// What nobody signed.
    pub unsigned_attributes: UnsignedAttributes,
    /// The signer's chain, leaf first.
    pub certificates: Vec<Described<CertificateFacts>>,
    /// What the payload says was signed.
    pub signed_artifact: Described<SignedArtifact>,
}

/// Signed attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedAttributes {
    /// The signing scheme.
    pub signing_scheme: &'static str,
    /// When the signer says to have signed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time::serde::rfc3339::option::serialize")]
    pub signing_time: Option<OffsetDateTime>,
    /// When the signing authority says to have signed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time::serde::rfc3339::option::serialize")]
    pub authentic_signing_time: Option<OffsetDateTime>,
    /// From when on it counts as expired.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "time::serde::rfc3339::option::serialize")]
    pub expiry: Option<OffsetDateTime>,
    /// The plugin that it demands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_plugin: Option<String>,
    /// The least version of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_plugin_min_version: Option<String>,
    /// Names of others, which nobody here understands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extended: Vec<String>,
}

/// Unsigned attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnsignedAttributes {
    /// What made it, in its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_agent: Option<String>,
    /// An RFC 3161 countersignature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Described<TimestampFacts>>,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedArtifact {
    /// The manifest's media type.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
}

/// The layer that holds the envelope of a signature manifest.
///
/// # Errors
/// [`Rejection`]: why it is no signature's manifest.
pub fn layer(artifact: &Artifact) -> Result<&Descriptor, Rejection> {
    manifest::envelope(artifact, envelope_bytes())
}

/// Largest envelope that is described, in bytes.
pub fn envelope_bytes() -> u64 {
    u64::try_from(DEFAULT_ENVELOPE_BYTES).unwrap_or(u64::MAX)
}

/// Describes an envelope of this media type.
pub fn describe(media_type: &str, bytes: &[u8]) -> Described<Description> {
    let read = Envelope::parse(media_type, bytes, Limits::default());
    read.map(|envelope| of(media_type, envelope)).map_err(|error| Unreadable::because(error.code(), &error)).into()
}

fn of(media_type: &str, envelope: Envelope) -> Description {
    let Envelope {
        algorithm,
        attributes,
        payload,
        chain,
        signed_bytes: _,
        signature: _,
        timestamp_token,
        signing_agent,
    } = envelope;
    let target = integrity::read_target(&payload);
    let annotations = target.as_ref().map(|target| target.annotations.clone()).unwrap_or_default();
    let token = timestamp_token.map(|token| describe::timestamp(Timestamp::from_token(&token)));
    Description {
        media_type: plain(media_type),
        signature_algorithm: algorithm.jose_name(),
        signed_attributes: SignedAttributes::of(attributes),
        user_metadata: annotations.iter().take(MAX_ENTRIES).map(|(name, value)| (plain(name), plain(value))).collect(),
        unsigned_attributes: UnsignedAttributes {
            signing_agent: signing_agent.as_deref().map(plain),
            timestamp: token,
        },
        certificates: chain.iter().map(|der| describe::certificate(der)).collect(),
        signed_artifact: target
            .map(SignedArtifact::of)
            .map_err(|error| Unreadable::because(error.code(), &error))
            .into(),
    }
}

impl SignedAttributes {
    fn of(attributes: Attributes) -> Self {
        let Attributes { scheme, expiry, plugin, extended } = attributes;
        let (signing_time, authentic_signing_time) = match scheme {
            SigningScheme::SigningAuthority { authentic_signing_time } => (None, Some(authentic_signing_time)),
            SigningScheme::X509 { signing_time } => (Some(signing_time), None),
        };
        let (name, min_version) = plugin.map_or((None, None), |Plugin { name, min_version }| (Some(name), min_version));
        Self {
            signing_scheme: scheme.as_str(),
            signing_time,
            authentic_signing_time,
            expiry,
            verification_plugin: name.as_deref().map(plain),
            verification_plugin_min_version: min_version.as_deref().map(plain),
            extended: extended.iter().take(MAX_ENTRIES).map(|name| plain(name)).collect(),
        }
    }
}

impl SignedArtifact {
    fn of(target: TargetArtifact) -> Self {
        let TargetArtifact { media_type, digest, size, annotations: _ } = target;
        Self { media_type: plain(&media_type), digest: digest.to_string(), size }
    }
}

impl Description {
    /// What ends in it: the signature, and the certificates of its chain. Those of a timestamp token are asked about the time
    /// that they signed, whatever the time is now.
    pub fn ends(&self) -> impl Iterator<Item = End> {
        let expiry = self.signed_attributes.expiry.map(|expiry| End::at("signature", expiry));
        let certificates = self.certificates.iter().filter_map(Described::read).map(CertificateFacts::end);
        expiry.into_iter().chain(certificates)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::{
        reason::Code,
        verifier::notation::{
            envelope::{COSE_MEDIA_TYPE, JWS_MEDIA_TYPE},
            testing::{PAYLOAD, Signer, protected_json},
        },
    };

    const TIMESTAMPED: [(&str, &[u8]); 2] = [
        (JWS_MEDIA_TYPE, include_bytes!("vectors/ts-real.jws")),
        (COSE_MEDIA_TYPE, include_bytes!("vectors/ts-real.cose")),
    ];

    #[test]
    fn a_timestamped_envelope_is_described_whole() {
        for (media_type, bytes) in TIMESTAMPED {
            let read = describe(media_type, bytes);
            let description = read.read().unwrap();
            assert_eq!(description.signed_attributes.signing_scheme, "notary.x509");
            assert!(description.signed_attributes.signing_time.is_some());
            assert!(description.certificates.iter().all(|certificate| certificate.read().is_some()));
            let token = description.unsigned_attributes.timestamp.as_ref().unwrap().read().unwrap();
            assert!(!token.certificates.is_empty() && token.time > datetime!(2024-01-01 0:00 UTC), "{token:?}");
            assert!(description.signed_artifact.read().unwrap().digest.starts_with("sha256:"));
        }
    }

    #[test]
    fn what_ends_is_the_signature_and_each_certificate() {
        let mut header = protected_json();
        header["io.cncf.notary.expiry"] = "2030-01-01T00:00:00Z".into();
        header["crit"] = serde_json::json!(["io.cncf.notary.signingScheme", "io.cncf.notary.expiry"]);
        let envelope = Signer::default().jws(&header.to_string(), PAYLOAD).to_string();
        let read = describe(JWS_MEDIA_TYPE, envelope.as_bytes());
        let ends: Vec<End> = read.read().unwrap().ends().collect();
        assert_eq!(ends[0], End::at("signature", datetime!(2030-01-01 0:00 UTC)));
        assert_eq!(ends.len(), 1 + read.read().unwrap().certificates.len());
    }

    // A spoilt signature is described as a good one is: nothing is verified.
    #[test]
    fn a_description_is_no_verdict() {
        let mut envelope = Signer::default().jws(&protected_json().to_string(), PAYLOAD);
        let good = describe(JWS_MEDIA_TYPE, envelope.to_string().as_bytes());
        envelope["signature"] = "AAAA".into();
        assert_eq!(describe(JWS_MEDIA_TYPE, envelope.to_string().as_bytes()), good);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (media_type, bytes, code) in [
            (JWS_MEDIA_TYPE, &b"{}"[..], Code::SignatureMalformed),
            ("text/plain", b"{}", Code::UnsupportedMediaType),
            (COSE_MEDIA_TYPE, b"", Code::SignatureMalformed),
        ] {
            let Described::Not(unreadable) = describe(media_type, bytes) else { panic!("{media_type}") };
            assert_eq!(unreadable.code, code, "{media_type}");
        }
    }
}
