//! Signers of Notary Project signatures: a code-signing authority, its leaves, JWS envelopes.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

const PAYLOAD_TYPE: &str = "application/vnd.cncf.notary.payload.v1+json";
const SCHEME: &str = "io.cncf.notary.signingScheme";
const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
const EXPIRY: &str = "io.cncf.notary.expiry";

/// An authority whose leaves sign.
#[derive(Debug)]
pub struct SigningAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    now: OffsetDateTime,
}

/// A leaf with its key.
#[derive(Debug)]
pub struct Signer {
    chain: Vec<Vec<u8>>,
    key: EcdsaKeyPair,
    at: OffsetDateTime,
}

impl SigningAuthority {
    /// A root with a common name, valid from the day before `now` for a year.
    pub fn new(name: &str, now: OffsetDateTime) -> Self {
        let mut params = params(name, now);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self { issuer: CertifiedIssuer::self_signed(params, new_key()).expect("an authority"), now }
    }

    /// Its certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A signer with a common name.
    pub fn signer(&self, name: &str) -> Signer {
        self.signer_valid(name, self.now)
    }

    /// A signer whose certificate is valid from the day before `from` for a year, and that signs at `from`.
    pub fn signer_valid(&self, name: &str, from: OffsetDateTime) -> Signer {
        let mut params = params(name, from);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let key = new_key();
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        let chain = vec![leaf.der().to_vec(), self.issuer.der().to_vec()];
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der()).expect("a key");
        Signer { chain, key, at: from }
    }
}

impl Signer {
    /// The signer with its key, to be made again by [`Signer::restore`].
    pub fn store(&self) -> Value {
        let chain: Vec<String> = self.chain.iter().map(|certificate| STANDARD.encode(certificate)).collect();
        let key = self.key.to_pkcs8v1().expect("a key");
        json!({ "chain": chain, "key": STANDARD.encode(key), "at": self.at.unix_timestamp() })
    }

    /// A signer that was stored.
    pub fn restore(stored: &Value) -> Option<Self> {
        let bytes = |text: &Value| STANDARD.decode(text.as_str()?).ok();
        let chain = stored["chain"].as_array()?.iter().map(bytes).collect::<Option<_>>()?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes(&stored["key"])?).ok()?;
        Some(Self { chain, key, at: OffsetDateTime::from_unix_timestamp(stored["at"].as_i64()?).ok()? })
    }

    /// A JWS envelope (ES256, `notary.x509`) about an artifact.
    pub fn sign(&self, media_type: &str, digest: &str, size: u64) -> Vec<u8> {
        self.sign_until(media_type, digest, size, None)
    }

    /// The same with an expiry.
    pub fn sign_until(&self, media_type: &str, digest: &str, size: u64, expiry: Option<OffsetDateTime>) -> Vec<u8> {
        let payload = json!({ "targetArtifact": { "mediaType": media_type, "digest": digest, "size": size } });
        let mut critical = vec![SCHEME];
        let mut header = Map::new();
        header.insert("alg".to_owned(), "ES256".into());
        header.insert("cty".to_owned(), PAYLOAD_TYPE.into());
        header.insert(SCHEME.to_owned(), "notary.x509".into());
        header.insert(SIGNING_TIME.to_owned(), rfc3339(self.at).into());
        if let Some(expiry) = expiry {
            critical.push(EXPIRY);
            header.insert(EXPIRY.to_owned(), rfc3339(expiry).into());
        }
        header.insert("crit".to_owned(), critical.into());
        let protected = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        let signed = format!("{protected}.{payload}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        let chain: Vec<String> = self.chain.iter().map(|certificate| STANDARD.encode(certificate)).collect();
        json!({
            "payload": payload,
            "protected": protected,
            "header": { "x5c": chain, "io.cncf.notary.signingAgent": "integration tests" },
            "signature": URL_SAFE_NO_PAD.encode(signature.as_ref()),
        })
        .to_string()
        .into_bytes()
    }
}

fn rfc3339(moment: OffsetDateTime) -> String {
    moment.replace_nanosecond(0).expect("zero").format(&Rfc3339).expect("a moment")
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

fn params(name: &str, from: OffsetDateTime) -> CertificateParams {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CountryName, "CH");
    subject.push(DnType::StateOrProvinceName, "Bern");
    subject.push(DnType::OrganizationName, "Tests");
    subject.push(DnType::CommonName, name);
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = from - Duration::DAY;
    params.not_after = from + Duration::days(365);
    params.use_authority_key_identifier_extension = true;
    params
}
