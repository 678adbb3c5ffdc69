//! Signers for tests, written by hand: what they sign need not make sense.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ciborium::Value as Cbor;
use serde_json::{Value as Json, json};

use super::{
    chains::KnownChains,
    envelope::{Envelope, Limits},
    integrity::{self, Signed},
};
use crate::{
    crypto::testing::{Chain, good_chain},
    reason::{self, Code},
};

pub(crate) const PAYLOAD: &str = r#"{"targetArtifact":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":481,"annotations":{"build":"7"}}}"#;
pub(crate) const CTY: &str = "application/vnd.cncf.notary.payload.v1+json";

/// A chain and its leaf's P-256 key.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) chain: Vec<Vec<u8>>,
    key: EcdsaKeyPair,
}

impl Default for Signer {
    fn default() -> Self {
        Self::of(good_chain())
    }
}

impl Signer {
    /// Signs with the leaf's key, which must be on P-256.
    pub(crate) fn of(chain: Chain) -> Self {
        let pkcs8 = chain.keys[0].serialize_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).unwrap();
        Self { chain: chain.der, key }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    /// A flattened JWS over `protected` and `payload` as they stand.
    pub(crate) fn jws(&self, protected: &str, payload: &str) -> Json {
        let (protected, payload) = (URL_SAFE_NO_PAD.encode(protected), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(format!("{protected}.{payload}").as_bytes()));
        let chain: Vec<String> = self.chain.iter().map(|der| STANDARD.encode(der)).collect();
        json!({ "payload": payload, "protected": protected, "header": { "x5c": chain }, "signature": signature })
    }

    /// A `COSE_Sign1` over the encoded `protected` map; `unprotected` as it stands.
    pub(crate) fn cose_raw(&self, protected: &[u8], unprotected: Cbor, payload: &[u8]) -> Cbor {
        let bytes = |bytes: &[u8]| Cbor::Bytes(bytes.to_vec());
        let signed = vec![Cbor::Text("Signature1".to_owned()), bytes(protected), bytes(b""), bytes(payload)];
        let signature = self.sign(&encode(&Cbor::Array(signed)));
        let parts = vec![bytes(protected), unprotected, bytes(payload), bytes(&signature)];
        Cbor::Tag(18, Box::new(Cbor::Array(parts)))
    }

    /// A `COSE_Sign1` with the chain in its unprotected header.
    pub(crate) fn cose(&self, protected: Vec<(Cbor, Cbor)>) -> Vec<u8> {
        encode(&self.cose_raw(&encode(&Cbor::Map(protected)), self.unprotected(), PAYLOAD.as_bytes()))
    }

    /// The unprotected header of a good `COSE_Sign1`.
    pub(crate) fn unprotected(&self) -> Cbor {
        let chain = self.chain.iter().map(|der| Cbor::Bytes(der.clone())).collect();
        Cbor::Map(vec![(Cbor::from(33), Cbor::Array(chain))])
    }
}

pub(crate) fn encode(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

/// A good protected header of a JWS.
pub(crate) fn protected_json() -> Json {
    json!({
        "alg": "ES256",
        "cty": CTY,
        "crit": ["io.cncf.notary.signingScheme"],
        "io.cncf.notary.signingScheme": "notary.x509",
        "io.cncf.notary.signingTime": "2026-01-02T03:04:05Z",
    })
}

/// A good protected header of a `COSE_Sign1`.
pub(crate) fn protected_cbor() -> Vec<(Cbor, Cbor)> {
    let text = |text: &str| Cbor::Text(text.to_owned());
    vec![
        (Cbor::from(1), Cbor::from(-7)),
        (Cbor::from(2), Cbor::Array(vec![text("io.cncf.notary.signingScheme")])),
        (Cbor::from(3), text(CTY)),
        (text("io.cncf.notary.signingTime"), epoch(1_767_323_045)),
        (text("io.cncf.notary.signingScheme"), text("notary.x509")),
    ]
}

pub(crate) fn epoch(seconds: i64) -> Cbor {
    Cbor::Tag(1, Box::new(Cbor::from(seconds)))
}

/// Parses and checks: the whole integrity step.
pub(crate) fn integrity(media_type: &str, bytes: &[u8]) -> Result<Signed, (Code, String)> {
    let envelope =
        Envelope::parse(media_type, bytes, Limits::default()).map_err(|error| (error.code(), reason::chain(&error)))?;
    integrity::check(envelope, &KnownChains::default()).map_err(|error| (error.code(), reason::chain(&error)))
}

/// Asserts what the integrity step says: `None` for a yes, or the code and a part of the reason.
pub(crate) fn assert_integrity(name: &str, media_type: &str, bytes: &[u8], expected: Option<(Code, &str)>) {
    match (integrity(media_type, bytes), expected) {
        (Ok(_), None) => {}
        (Err((code, text)), Some((expected, part))) => {
            assert!(code == expected && text.contains(part), "{name}: {code} {text:?}, expected {expected} {part:?}");
        }
        (result, expected) => panic!("{name}: {result:?}, expected {expected:?}"),
    }
}
