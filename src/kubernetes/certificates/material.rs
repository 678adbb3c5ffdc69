//! Authorities and leaves: read strictly, and known by what was checked.
//!
//! An [`Anchor`] signed itself and may sign one leaf below itself; an [`Authority`] has its key beside it; a [`Leaf`] has its own
//! key, the service's names, and an anchor of the same [`Material`] above it. None of these can be had otherwise.

use std::{fmt, sync::Arc};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use der::{Decode as _, Encode as _};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret as _, SecretString};
use time::{Duration, OffsetDateTime};
use x509_cert::{
    Certificate,
    ext::pkix::{BasicConstraints, KeyUsage},
};

/// Ends a little earlier for us than for others, so that nobody is served what ends on its way.
pub(super) const ABOUT_TO_END: Duration = Duration::MINUTE;

/// Why a certificate or key is not taken. Says nothing of what is in a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MaterialError {
    #[error("a certificate is malformed")]
    Certificate,
    #[error("a certificate is no authority that may sign one leaf")]
    NoAuthority,
    #[error("an authority did not sign itself with an ECDSA P-256 key")]
    NotSelfSigned,
    #[error("a key is no ECDSA P-256 key in PKCS#8")]
    Key,
    #[error("a key does not belong to its certificate")]
    Mismatch,
    #[error("the leaf has no authority here that vouches for it and for the service's names")]
    Unvouched,
}

/// From when to when a certificate is valid, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) from: OffsetDateTime,
    pub(super) until: OffsetDateTime,
}

impl Life {
    fn of(certificate: &Certificate) -> Result<Self, MaterialError> {
        let moment = |time: x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| MaterialError::Certificate)?;
            OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| MaterialError::Certificate)
        };
        let validity = certificate.tbs_certificate.validity;
        Ok(Self { from: moment(validity.not_before)?, until: moment(validity.not_after)? })
    }

    /// Whether others can believe it now, and for some time still.
    pub(super) fn covers(&self, now: OffsetDateTime) -> bool {
        self.from <= now && now.saturating_add(ABOUT_TO_END) < self.until
    }
}

/// A certificate of an authority of ours, with or without its key: what Providers list in their `caBundle`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    der: CertificateDer<'static>,
    pub(super) life: Life,
    public_key: Vec<u8>,
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchor").field("life", &self.life).finish_non_exhaustive()
    }
}

impl Anchor {
    pub(super) fn parse(der: CertificateDer<'static>) -> Result<Self, MaterialError> {
        let certificate = Certificate::from_der(&der).map_err(|_| MaterialError::Certificate)?;
        let tbs = &certificate.tbs_certificate;
        let constraints = tbs.get::<BasicConstraints>().map_err(|_| MaterialError::Certificate)?;
        let usage = tbs.get::<KeyUsage>().map_err(|_| MaterialError::Certificate)?;
        let one_below = matches!(constraints, Some((_, BasicConstraints { ca: true, path_len_constraint: Some(0) })));
        if !one_below || !usage.is_some_and(|(_, usage)| usage.key_cert_sign()) || tbs.subject != tbs.issuer {
            return Err(MaterialError::NoAuthority);
        }
        let public_key = tbs.subject_public_key_info.to_der().map_err(|_| MaterialError::Certificate)?;
        let point = tbs.subject_public_key_info.subject_public_key.raw_bytes();
        let signed = tbs.to_der().map_err(|_| MaterialError::Certificate)?;
        // RFC 5280 §4.1.1.2: both say the same; only the inner one is signed.
        let signature = certificate.signature.as_bytes().filter(|_| certificate.signature_algorithm == tbs.signature);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(&signed, signature.ok_or(MaterialError::NotSelfSigned)?)
            .map_err(|_| MaterialError::NotSelfSigned)?;
        Ok(Self { life: Life::of(&certificate)?, public_key, der })
    }

    pub(super) const fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

/// An authority that can sign.
#[derive(Clone)]
pub(super) struct Authority {
    pub(super) anchor: Anchor,
    key: SecretString,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("anchor", &self.anchor).finish_non_exhaustive()
    }
}

impl PartialEq for Authority {
    /// By certificate: one certificate has one key.
    fn eq(&self, other: &Self) -> bool {
        self.anchor == other.anchor
    }
}

impl Authority {
    /// The anchor among `anchors` that `key` belongs to.
    pub(super) fn find(anchors: &[Anchor], key: &str) -> Result<Self, MaterialError> {
        let public_key = self::key(key)?.subject_public_key_info();
        let anchor = anchors.iter().find(|anchor| anchor.public_key == public_key).ok_or(MaterialError::Mismatch)?;
        Ok(Self { anchor: anchor.clone(), key: SecretString::from(key) })
    }

    /// The key, to sign or to write it.
    pub(super) fn key_pem(&self) -> &str {
        self.key.expose_secret()
    }
}

/// Reads a key in PEM: PKCS#8, ECDSA P-256, as we write it.
pub(super) fn key(pem: &str) -> Result<KeyPair, MaterialError> {
    KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_ECDSA_P256_SHA256).map_err(|_| MaterialError::Key)
}

/// What is served.
#[derive(Clone)]
pub(super) struct Leaf {
    der: CertificateDer<'static>,
    pub(super) life: Life,
    key: SecretString,
    certified: Arc<CertifiedKey>,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").field("life", &self.life).finish_non_exhaustive()
    }
}

impl PartialEq for Leaf {
    /// By certificate: one certificate has one key.
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Leaf {
    /// Checks that `key` is the certificate's, and that one of `anchors` vouches for each of `names`. Whether it is valid now is
    /// another question.
    pub(super) fn check(
        der: CertificateDer<'static>,
        key: &str,
        anchors: &[Anchor],
        names: &[String],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, MaterialError> {
        let certificate = Certificate::from_der(&der).map_err(|_| MaterialError::Certificate)?;
        let life = Life::of(&certificate)?;
        let pair = self::key(key)?;
        let of_certificate = certificate.tbs_certificate.subject_public_key_info.to_der();
        if of_certificate.map_err(|_| MaterialError::Certificate)? != pair.subject_public_key_info() {
            return Err(MaterialError::Mismatch);
        }
        if !anchors.iter().any(|anchor| vouches(anchor, &der, life, names, provider)) {
            return Err(MaterialError::Unvouched);
        }
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let signer = provider.key_provider.load_private_key(private).map_err(|_| MaterialError::Key)?;
        let certified = Arc::new(CertifiedKey::new(vec![der.clone()], signer));
        certified.keys_match().map_err(|_| MaterialError::Mismatch)?;
        Ok(Self { der, life, key: SecretString::from(key), certified })
    }

    pub(super) const fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The key, to write it.
    pub(super) fn key_pem(&self) -> &str {
        self.key.expose_secret()
    }

    /// As rustls serves it.
    pub(super) const fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }
}

/// Whether a client that trusts `anchor` alone believes the leaf for every name, while both are valid: as Gatekeeper will.
pub(super) fn vouches(
    anchor: &Anchor,
    leaf: &CertificateDer<'_>,
    life: Life,
    names: &[String],
    provider: &Arc<CryptoProvider>,
) -> bool {
    let mut roots = RootCertStore::empty();
    if roots.add(anchor.der.clone()).is_err() {
        return false;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    let (Ok(verifier), Some(at)) = (verifier, unix_time(life.from.max(anchor.life.from))) else { return false };
    !names.is_empty()
        && names.iter().all(|name| {
            ServerName::try_from(name.as_str())
                .is_ok_and(|name| verifier.verify_server_cert(leaf, &[], &name, &[], at).is_ok())
        })
}

fn unix_time(moment: OffsetDateTime) -> Option<UnixTime> {
    let seconds = u64::try_from(moment.unix_timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
}

/// A successor of the signing authority.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Next {
    pub(super) authority: Authority,
    /// Since when every Provider has been seen to list it; `None`: not yet, or not any more.
    pub(super) published: Option<OffsetDateTime>,
}

/// Authorities that sign no more, but whose leaves may still be served by a replica that hears of nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Old {
    /// At least one.
    pub(super) anchors: Vec<Anchor>,
    /// When the last of their leaves has ended; `None`: that is not written any more.
    pub(super) until: Option<OffsetDateTime>,
}

/// All that the Secret holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Material {
    /// Signs leaves. Lost: a successor takes over.
    pub(super) signer: Option<Authority>,
    pub(super) next: Option<Next>,
    pub(super) old: Option<Old>,
    pub(super) leaf: Option<Leaf>,
    /// The Secret was not whole when it was last mended: Providers may list authorities that are served by and missing here.
    pub(super) unread: bool,
}

impl Material {
    /// What clients must trust: the signer first, since Gatekeeper looks at the first one only when a Provider is applied.
    pub(super) fn bundle(&self) -> Vec<&Anchor> {
        let signer = self.signer.iter().map(|authority| &authority.anchor);
        let next = self.next.iter().map(|next| &next.authority.anchor);
        let old = self.old.iter().flat_map(|old| &old.anchors);
        signer.chain(next).chain(old).collect()
    }

    /// Whether it holds a leaf that others can believe now.
    pub(super) fn serves(&self, now: OffsetDateTime) -> bool {
        self.leaf.as_ref().is_some_and(|leaf| leaf.life.covers(now))
    }
}
