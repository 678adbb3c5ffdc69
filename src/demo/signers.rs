//! Notary Project signature envelopes, as its tools write them, and a broken one.

use anyhow::Context as _;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ciborium::Value as Cbor;
use coset::{CoseSign1Builder, HeaderBuilder, RegisteredLabelWithPrivate, TaggedCborSerializable as _, iana};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::pki::Signer;

const PAYLOAD_TYPE: &str = "application/vnd.cncf.notary.payload.v1+json";
const SCHEME: &str = "io.cncf.notary.signingScheme";
const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
/// RFC 9360: the chain, leaf first.
const X5CHAIN: i64 = 33;
/// RFC 8949: seconds since 1970.
const EPOCH_TAG: u64 = 1;

/// The two envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Cose,
    Jws,
}

impl Format {
    /// Of the layer that holds the envelope.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Cose => "application/cose",
            Self::Jws => "application/jose+json",
        }
    }
}

/// What becomes of the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    Intact,
    /// One bit of it is flipped.
    Tampered,
}

/// What is signed about an artifact.
pub(crate) fn payload(media_type: &str, digest: &str, size: u64) -> Vec<u8> {
    json!({ "targetArtifact": { "mediaType": media_type, "digest": digest, "size": size } }).to_string().into_bytes()
}

/// Signs `payload` by scheme `notary.x509` with ES256.
pub(crate) fn envelope(
    format: Format,
    payload: &[u8],
    signer: &Signer,
    at: OffsetDateTime,
    care: Care,
) -> anyhow::Result<Vec<u8>> {
    let sign = |message: &[u8]| -> anyhow::Result<Vec<u8>> {
        let mut signature = signer.sign(message)?;
        if let (Care::Tampered, Some(byte)) = (care, signature.last_mut()) {
            *byte ^= 1;
        }
        Ok(signature)
    };
    match format {
        Format::Cose => cose(payload, signer.chain(), at, sign),
        Format::Jws => jws(payload, signer.chain(), at, sign),
    }
}

/// Flattened JSON serialisation (RFC 7515 §7.2.2).
fn jws(
    payload: &[u8],
    chain: &[Vec<u8>],
    at: OffsetDateTime,
    sign: impl FnOnce(&[u8]) -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<u8>> {
    let time = at.replace_nanosecond(0)?.format(&Rfc3339)?;
    let header =
        json!({ "alg": "ES256", "crit": [SCHEME], "cty": PAYLOAD_TYPE, SCHEME: "notary.x509", SIGNING_TIME: time });
    let protected = URL_SAFE_NO_PAD.encode(header.to_string());
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let signature = URL_SAFE_NO_PAD.encode(sign(format!("{protected}.{payload}").as_bytes())?);
    let chain: Vec<String> = chain.iter().map(|certificate| STANDARD.encode(certificate)).collect();
    let envelope = json!({ "payload": payload, "protected": protected,
        "header": { "x5c": chain, "io.cncf.notary.signingAgent": "countersign demo" }, "signature": signature });
    Ok(envelope.to_string().into_bytes())
}

/// `COSE_Sign1`, tagged (RFC 9052 §4.2).
fn cose(
    payload: &[u8],
    chain: &[Vec<u8>],
    at: OffsetDateTime,
    sign: impl FnOnce(&[u8]) -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<u8>> {
    let time = Cbor::Tag(EPOCH_TAG, Box::new(Cbor::from(at.unix_timestamp())));
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::ES256)
        .add_critical_label(RegisteredLabelWithPrivate::Text(SCHEME.to_owned()))
        .content_type(PAYLOAD_TYPE.to_owned())
        .text_value(SCHEME.to_owned(), Cbor::from("notary.x509"))
        .text_value(SIGNING_TIME.to_owned(), time)
        .build();
    let chain = chain.iter().map(|certificate| Cbor::Bytes(certificate.clone())).collect();
    let unprotected = HeaderBuilder::new()
        .value(X5CHAIN, Cbor::Array(chain))
        .text_value("io.cncf.notary.signingAgent".to_owned(), Cbor::from("countersign demo"))
        .build();
    CoseSign1Builder::new()
        .protected(protected)
        .unprotected(unprotected)
        .payload(payload.to_vec())
        .try_create_signature(&[], sign)?
        .build()
        .to_tagged_vec()
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("the COSE envelope could not be written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        demo::pki::{Authority, Validity},
        verifier::notation::{
            chains::KnownChains,
            envelope::{Envelope, Limits},
            integrity::{self, IntegrityError},
        },
    };

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-02 03:04:05.678 UTC);

    fn signed(format: Format, care: Care) -> Result<integrity::Signed, IntegrityError> {
        let root = Authority::new("root", Validity::current(NOW)).unwrap();
        let signer = root.signer("signer", Validity::current(NOW)).unwrap();
        let payload = payload("application/vnd.oci.image.manifest.v1+json", DIGEST, 2);
        let bytes = envelope(format, &payload, &signer, NOW, care).unwrap();
        let envelope = Envelope::parse(format.media_type(), &bytes, Limits::default()).unwrap();
        integrity::check(envelope, &KnownChains::default())
    }

    #[test]
    fn envelopes_of_both_formats_are_whole() {
        for format in [Format::Jws, Format::Cose] {
            let signed = signed(format, Care::Intact).unwrap_or_else(|error| panic!("{format:?}: {error}"));
            assert_eq!(signed.signing_agent(), Some("countersign demo"), "{format:?}");
        }
    }

    #[test]
    fn tampered_envelopes_of_both_formats_have_an_invalid_signature() {
        for format in [Format::Jws, Format::Cose] {
            let error = signed(format, Care::Tampered).err();
            assert_eq!(error.map(|error| error.code()), Some(crate::reason::Code::SignatureInvalid), "{format:?}");
        }
    }
}
