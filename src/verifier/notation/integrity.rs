//! The first validation: the envelope is whole, was made with the leaf's key, and its chain fits the profile. Nothing is
//! trusted yet.
//!
//! Rule: Notary Project signature specification v1.1, "Signature Evaluation", integrity; always enforced.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value as Json;
use time::OffsetDateTime;

use super::{
    chains::KnownChains,
    envelope::{Attributes, Envelope, Plugin, SigningScheme},
};
use crate::{
    crypto::{
        algorithm::{AlgorithmError, KeyKind, SignatureAlgorithm},
        chain::{self, ChainError, CodeSigningChain},
        x509::Certificate,
    },
    json::{self, JsonError},
    oci::{Descriptor, DescriptorError, Digest},
    reason::Code,
};

/// What was signed: the descriptor of the artifact, and the signer's annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetArtifact {
    /// The media type of the artifact's manifest.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// User metadata.
    pub annotations: BTreeMap<String, String>,
}

/// An envelope whose integrity was checked: every signed thing in it is the word of whoever holds the leaf's key. The
/// timestamp token and the signing agent are not signed.
#[derive(Debug, Clone)]
pub struct Signed {
    algorithm: SignatureAlgorithm,
    attributes: Attributes,
    chain: Arc<CodeSigningChain>,
    target: TargetArtifact,
    signature: Vec<u8>,
    timestamp_token: Option<Vec<u8>>,
    signing_agent: Option<String>,
}

/// Why an envelope is not whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The header states another algorithm than the key's.
    #[error("header states algorithm {header}, the leaf's {key} key demands {of_key}")]
    AlgorithmMismatch {
        /// What the header states.
        header: SignatureAlgorithm,
        /// The leaf's key.
        key: KeyKind,
        /// The algorithm of that key.
        of_key: SignatureAlgorithm,
    },
    /// The certificate chain.
    #[error("certificate chain is invalid")]
    Chain(#[source] ChainError),
    /// It expires before it was signed.
    #[error("expiry {expiry} is not after signing time {signed}")]
    Expiry {
        /// When it expires.
        expiry: OffsetDateTime,
        /// When it says it was signed.
        signed: OffsetDateTime,
    },
    /// The leaf's key belongs to none of the algorithms.
    #[error("leaf certificate has a key that must not sign")]
    LeafKey(#[source] AlgorithmError),
    /// The payload is not strict JSON.
    #[error("payload is not strict JSON")]
    PayloadJson(#[source] JsonError),
    /// The signature does not verify.
    #[error("signature was not made with the leaf certificate's key")]
    Signature(#[source] AlgorithmError),
    /// The payload names no artifact.
    #[error("payload has no targetArtifact that is an object")]
    TargetAbsent,
    /// The payload's artifact is no descriptor.
    #[error("payload has a malformed targetArtifact")]
    TargetMalformed(#[source] DescriptorError),
}

impl IntegrityError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::LeafKey(source) | Self::Signature(source) => source.code(),
            Self::AlgorithmMismatch { .. } => Code::SignatureAlgorithm,
            Self::Chain(source) => source.code(),
            Self::Expiry { .. } | Self::PayloadJson(_) | Self::TargetAbsent | Self::TargetMalformed(_) => {
                Code::SignatureMalformed
            }
        }
    }
}

/// Checks an envelope. The only way to a [`Signed`]. `known`: chains that were found to fit before.
///
/// In this order: the chain parses; the header's algorithm is the one of the leaf's key; the signature verifies over the
/// bytes as transmitted; it expires after it was signed; the chain fits the code-signing profile; the payload says what
/// was signed. Form, attributes and content type were checked when the envelope was parsed.
///
/// # Errors
/// [`IntegrityError`]: the first that does not hold.
pub fn check(envelope: Envelope, known: &KnownChains) -> Result<Signed, IntegrityError> {
    let Envelope { algorithm, attributes, payload, chain, signed_bytes, signature, timestamp_token, signing_agent } =
        envelope;
    let signed = attributes.scheme.claimed_time();
    let expires_before = attributes.expiry.filter(|expiry| *expiry <= signed);
    let check_expiry = || expires_before.map_or(Ok(()), |expiry| Err(IntegrityError::Expiry { expiry, signed }));
    let chain = if let Some(chain) = known.find(&chain) {
        check_signature(algorithm, Some(chain.leaf()), &signed_bytes, &signature)?;
        check_expiry()?;
        chain
    } else {
        let certificates = chain::parse(&chain).map_err(IntegrityError::Chain)?;
        check_signature(algorithm, certificates.first(), &signed_bytes, &signature)?;
        check_expiry()?;
        let checked = Arc::new(CodeSigningChain::check(certificates).map_err(IntegrityError::Chain)?);
        known.keep(&chain, &checked);
        checked
    };
    let target = read_target(&payload)?;
    Ok(Signed { algorithm, attributes, chain, target, signature, timestamp_token, signing_agent })
}

fn check_signature(
    header: SignatureAlgorithm,
    leaf: Option<&Certificate>,
    signed_bytes: &[u8],
    signature: &[u8],
) -> Result<(), IntegrityError> {
    let key = leaf.ok_or(IntegrityError::Chain(ChainError::Empty))?.public_key();
    let of_key = SignatureAlgorithm::of_key(key).map_err(IntegrityError::LeafKey)?;
    if header != of_key {
        return Err(IntegrityError::AlgorithmMismatch { header, key: key.kind().clone(), of_key });
    }
    of_key.verify(key, signed_bytes, signature).map_err(IntegrityError::Signature)
}

/// Members that are not known are ignored, members that stand twice are refused (ENV-07, ENV-24).
pub(super) fn read_target(payload: &[u8]) -> Result<TargetArtifact, IntegrityError> {
    let payload = json::parse(payload, json::DOCUMENT_DEPTH).map_err(IntegrityError::PayloadJson)?;
    let Some(target @ Json::Object(_)) = payload.as_object().and_then(|members| members.get("targetArtifact")) else {
        return Err(IntegrityError::TargetAbsent);
    };
    let Descriptor { media_type, digest, size, annotations, artifact_type: _ } =
        Descriptor::read(target).map_err(IntegrityError::TargetMalformed)?;
    Ok(TargetArtifact { media_type, digest, size, annotations })
}

impl Signed {
    /// The algorithm, of the leaf's key.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The signing scheme and its time.
    pub const fn scheme(&self) -> SigningScheme {
        self.attributes.scheme
    }

    /// From when on it counts as expired.
    pub const fn expiry(&self) -> Option<OffsetDateTime> {
        self.attributes.expiry
    }

    /// The verification plugin that it demands; such a signature cannot be accepted.
    pub const fn plugin(&self) -> Option<&Plugin> {
        self.attributes.plugin.as_ref()
    }

    /// Signed attributes that are not critical and not understood, by name, quoted.
    pub fn extended_attributes(&self) -> &[String] {
        &self.attributes.extended
    }

    /// The chain, which fits the code-signing profile.
    pub fn chain(&self) -> &CodeSigningChain {
        &self.chain
    }

    /// What was signed.
    pub const fn target(&self) -> &TargetArtifact {
        &self.target
    }

    /// The primitive signature, which a timestamp token is over.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// An RFC 3161 token, unverified and unread.
    pub fn timestamp_token(&self) -> Option<&[u8]> {
        self.timestamp_token.as_deref()
    }

    /// What made the envelope, in its own unsigned words.
    pub fn signing_agent(&self) -> Option<&str> {
        self.signing_agent.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::verifier::notation::{
        envelope::{COSE_MEDIA_TYPE, JWS_MEDIA_TYPE},
        testing::{PAYLOAD, Signer, assert_integrity, integrity, protected_json},
    };

    macro_rules! vectors {
        ($($name:literal)*) => {
            [$(($name, include_bytes!(concat!("vectors/", $name)).as_slice())),*]
        };
    }

    fn media_type(name: &str) -> &'static str {
        match name.split_once('.') {
            Some((_, "jws")) => JWS_MEDIA_TYPE,
            _ => COSE_MEDIA_TYPE,
        }
    }

    // Item 1
    #[test]
    fn envelopes_of_the_tools_in_use_are_whole() {
        for (name, bytes) in vectors![
            "es256-chain1.jws" "es256-chain2.jws" "es256-chain3.jws" "es256-chain1.cose" "es256-chain2.cose" "es256-chain3.cose"
            "es384-chain1.jws" "es384-chain2.jws" "es384-chain3.jws" "es384-chain1.cose" "es384-chain2.cose" "es384-chain3.cose"
            "es512-chain1.jws" "es512-chain2.jws" "es512-chain3.jws" "es512-chain1.cose" "es512-chain2.cose" "es512-chain3.cose"
            "ps256-chain1.jws" "ps256-chain2.jws" "ps256-chain3.jws" "ps256-chain1.cose" "ps256-chain2.cose" "ps256-chain3.cose"
            "ps384-chain1.jws" "ps384-chain2.jws" "ps384-chain3.jws" "ps384-chain1.cose" "ps384-chain2.cose" "ps384-chain3.cose"
            "ps512-chain1.jws" "ps512-chain2.jws" "ps512-chain3.jws" "ps512-chain1.cose" "ps512-chain2.cose" "ps512-chain3.cose"
        ] {
            let signed = integrity(media_type(name), bytes).expect(name);
            assert!(name.starts_with(&signed.algorithm().jose_name().to_lowercase()), "{name}");
            let length = signed.chain().certificates().len();
            assert!(name.contains(&format!("-chain{length}.")), "{name}");
            assert_eq!(signed.scheme().as_str(), "notary.x509", "{name}");
            assert_eq!(signed.target().media_type, "application/vnd.oci.image.manifest.v1+json", "{name}");
            assert!(signed.plugin().is_none() && signed.timestamp_token().is_none() && signed.expiry().is_none());
        }
        for (name, bytes) in vectors!["sa-ok.jws" "sa-ok.cose"] {
            let scheme = integrity(media_type(name), bytes).expect(name).scheme();
            assert!(matches!(scheme, SigningScheme::SigningAuthority { .. }), "{name}");
        }
        for (name, bytes) in vectors!["ts-real.jws" "ts-real.cose"] {
            let signed = integrity(media_type(name), bytes).expect(name);
            assert!(signed.timestamp_token().is_some_and(|token| token.len() > 1000), "{name}");
        }
    }

    // Item 6; ENV-23, D2
    #[test]
    fn a_salt_of_another_length_is_refused() {
        for (name, bytes) in vectors!["pss-salt.jws" "pss-salt.cose"] {
            let expected = "PS256 signature does not verify with the RSA 2048 key";
            assert_integrity(name, media_type(name), bytes, Some((Code::SignatureInvalid, expected)));
        }
    }

    // ENV-23: a byte more or less than the modulus has.
    #[test]
    fn an_rsa_signature_is_as_long_as_its_key() {
        let [(name, bytes)] = vectors!["ps256-chain2.jws"];
        let good: Json = serde_json::from_slice(bytes).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(good["signature"].as_str().unwrap()).unwrap();
        for (changed, part) in [
            ([&signature[..], &[0]].concat(), "has 257 bytes instead of 256"),
            ([&[0], &signature[..]].concat(), "has 257 bytes instead of 256"),
            (signature[1..].to_vec(), "has 255 bytes instead of 256"),
        ] {
            let mut envelope = good.clone();
            envelope["signature"] = Json::String(URL_SAFE_NO_PAD.encode(changed));
            let refused = Some((Code::SignatureInvalid, part));
            assert_integrity(name, media_type(name), envelope.to_string().as_bytes(), refused);
        }
    }

    // ENV-22: (r, n - s) is a signature as well; an envelope counts once by its digest, not by its signature.
    #[test]
    fn both_signatures_of_ecdsa_verify() {
        const ORDER: [u8; 32] = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
            0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ];
        let mut envelope = Signer::default().jws(&protected_json().to_string(), PAYLOAD);
        let mut signature = URL_SAFE_NO_PAD.decode(envelope["signature"].as_str().unwrap()).unwrap();
        let mut borrow = 0;
        for (digit, order) in signature[32..].iter_mut().zip(ORDER).rev() {
            let difference = i16::from(order) - i16::from(*digit) - borrow;
            borrow = i16::from(difference < 0);
            *digit = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        envelope["signature"] = Json::String(URL_SAFE_NO_PAD.encode(signature));
        assert_integrity("ENV-22 the other s", JWS_MEDIA_TYPE, envelope.to_string().as_bytes(), None);
    }

    /// What a flip in the unsigned agent may not change.
    fn facts(signed: &Signed) -> (SignatureAlgorithm, SigningScheme, TargetArtifact, Vec<u8>, CodeSigningChain) {
        (signed.algorithm, signed.scheme(), signed.target.clone(), signed.signature.clone(), signed.chain().clone())
    }

    // Item 2; all accepted fixtures: `integration-tests/tests/notation_flips.rs`
    #[test]
    fn no_bit_flips_unnoticed() {
        const AGENT: &[u8] = b"io.cncf.notary.signingAgent";
        for (name, bytes) in vectors!["ps256-chain2.jws" "ps384-chain1.cose" "es256-chain2.jws" "es256-chain3.cose"] {
            let good = facts(&integrity(media_type(name), bytes).expect(name));
            let agent = bytes.windows(AGENT.len()).position(|window| window == AGENT).expect(name);
            // The name, what stands between, and the value ("notation-go/1.3.2" and the like).
            let unsigned = agent - 2..agent + AGENT.len() + 30;
            for at in 0..bytes.len() {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << (at % 8);
                match integrity(media_type(name), &flipped) {
                    Err(_) => {}
                    Ok(signed) if unsigned.contains(&at) => assert_eq!(facts(&signed), good, "{name}: byte {at}"),
                    Ok(_) => panic!("{name}: a flip in byte {at} is not noticed"),
                }
            }
        }
    }

    // ENV-51
    #[test]
    fn every_truncation_is_refused() {
        for (name, bytes) in vectors!["es256-chain2.jws" "es256-chain3.cose" "ps256-chain1.cose"] {
            for end in 0..bytes.len() {
                let cut = integrity(media_type(name), &bytes[..end]).map(|signed| facts(&signed));
                let (code, _) = cut.expect_err(name);
                assert_eq!(code, Code::SignatureMalformed, "{name}: {end} bytes");
            }
        }
    }

    // Item 27; ENV-07, ENV-24, ENV-26
    #[test]
    fn payloads_say_what_was_signed_or_are_refused() {
        let signer = Signer::default();
        let target = |members: &str| format!(r#"{{"targetArtifact":{{{members}}}}}"#);
        let digest = format!("sha256:{}", "a".repeat(64));
        let good = format!(r#""mediaType":"m","digest":"{digest}","size":1"#);
        let twice = format!("{good},\"size\":2");
        for (name, payload, expected) in [
            ("good", target(&good), None),
            ("unknown members", target(&format!(r#"{good},"urls":["u"],"extra":{{}}"#)), None),
            ("unknown member beside", target(&good).replacen('{', r#"{"other":1,"#, 1), None),
            ("sha512", target(&good.replace(&digest, &format!("sha512:{}", "a".repeat(128)))), None),
            ("not JSON", "hello".to_owned(), Some("payload is not strict JSON")),
            ("array", "[]".to_owned(), Some("no targetArtifact")),
            ("null", "null".to_owned(), Some("no targetArtifact")),
            ("no target", "{}".to_owned(), Some("no targetArtifact")),
            ("target in another case", target(&good).replace("targetA", "targeta"), Some("no targetArtifact")),
            ("target text", r#"{"targetArtifact":"x"}"#.to_owned(), Some("no targetArtifact")),
            ("empty target", target(""), Some("malformed targetArtifact")),
            ("no digest", target(r#""mediaType":"m","size":1"#), Some("malformed targetArtifact")),
            ("other digest", target(&good.replace("sha256", "md5")), Some("malformed targetArtifact")),
            ("size text", target(&good.replace(":1", ":\"1\"")), Some("malformed targetArtifact")),
            ("size negative", target(&good.replace(":1", ":-1")), Some("malformed targetArtifact")),
            (
                "annotations of numbers",
                target(&format!(r#"{good},"annotations":{{"a":1}}"#)),
                Some("malformed targetArtifact"),
            ),
            ("duplicate", target(&twice), Some("duplicate member")),
            ("duplicate target", target(&good).replacen('{', r#"{"targetArtifact":1,"#, 1), Some("duplicate member")),
            ("trailing", format!("{} x", target(&good)), Some("payload is not strict JSON")),
            ("nested", format!("{{\"a\":{}", "[".repeat(100_000)), Some("payload is not strict JSON")),
        ] {
            let bytes = signer.jws(&protected_json().to_string(), &payload).to_string();
            let expected = expected.map(|part| (Code::SignatureMalformed, part));
            assert_integrity(name, JWS_MEDIA_TYPE, bytes.as_bytes(), expected);
        }
        let envelope = signer.jws(&protected_json().to_string(), PAYLOAD).to_string();
        let target = integrity(JWS_MEDIA_TYPE, envelope.as_bytes()).unwrap().target().clone();
        assert_eq!((target.size, target.annotations["build"].as_str()), (481, "7"));
        assert_eq!(target.digest, Digest::sha256(b""));
    }

    // Item 4; ENV-12
    #[test]
    fn the_leafs_key_decides_the_algorithm() {
        for ((name, bytes), (of_key, stated, said)) in
            vectors!["es384-chain1.jws" "ps256-chain1.jws" "ps384-chain1.jws"].into_iter().zip([
                ("ES384", "ES256", "header states algorithm ES256, the leaf's EC P-384 key demands ES384"),
                ("PS256", "PS384", "header states algorithm PS384, the leaf's RSA 2048 key demands PS256"),
                ("PS384", "PS256", "header states algorithm PS256, the leaf's RSA 3072 key demands PS384"),
            ])
        {
            let mut envelope: Json = serde_json::from_slice(bytes).unwrap();
            let protected = URL_SAFE_NO_PAD.decode(envelope["protected"].as_str().unwrap()).unwrap();
            let protected = String::from_utf8(protected).unwrap().replace(of_key, stated);
            envelope["protected"] = Json::String(URL_SAFE_NO_PAD.encode(protected));
            let refused = Some((Code::SignatureAlgorithm, said));
            assert_integrity(name, JWS_MEDIA_TYPE, envelope.to_string().as_bytes(), refused);
        }
    }

    // Item 2, item 7, item 38; ENV-21, ENV-22
    #[test]
    fn a_signature_of_another_key_or_form_is_refused() {
        let (signer, other) = (Signer::default(), Signer::default());
        let protected = protected_json().to_string();
        let mut envelope = signer.jws(&protected, PAYLOAD);
        envelope["header"] = other.jws(&protected, PAYLOAD)["header"].clone();
        let refused = Some((Code::SignatureInvalid, "ES256 signature does not verify with the EC P-256 key"));
        assert_integrity("ENV-21", JWS_MEDIA_TYPE, envelope.to_string().as_bytes(), refused);

        let good = signer.jws(&protected, PAYLOAD);
        for (name, signature, part) in [
            ("r and s zero", "A".repeat(86), "does not verify"),
            ("r and s past the order", format!("{}w", "_".repeat(85)), "does not verify"),
            ("shorter", "A".repeat(84), "has 63 bytes instead of 64"),
            ("DER", format!("MEQC{}", "A".repeat(90)), "bytes instead of 64"),
        ] {
            let mut envelope = good.clone();
            envelope["signature"] = Json::String(signature);
            let refused = Some((Code::SignatureInvalid, part));
            assert_integrity(name, JWS_MEDIA_TYPE, envelope.to_string().as_bytes(), refused);
        }
    }
}
