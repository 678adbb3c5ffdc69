//! What the Secret says, read slot by slot: what is good is found even where something beside it is not.
//!
//! | key | holds |
//! |---|---|
//! | `ca.crt` | every authority that clients must trust, the signing one first: ready to be a `caBundle` |
//! | `ca.key` | the signing authority's key |
//! | `next-ca.key` | while a successor is published: its key |
//! | `tls.crt`, `tls.key` | the leaf that is served, and its key |
//!
//! An authority in `ca.crt` without a key here is an old one. Annotations say since when the successor is published, until
//! when old ones stay, and that the Providers are to be read for more of them.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    bundle,
    material::{Anchor, Authority, Leaf, Material, MaterialError, Next, Old},
};

/// Most bytes of all values together: eight authorities, three keys and a leaf have less.
const MAX_BYTES: usize = 64 * 1024;

/// Says that the Secret is ours, and how it is to be read.
pub(super) const MARK: &str = "countersign.dev/certificates";
/// The one value of [`MARK`].
const FORMAT: &str = "v1";
/// Since when the successor has been seen in every Provider.
const PUBLISHED: &str = "countersign.dev/next-authority-published";
/// Until when old authorities stay.
const OLD_UNTIL: &str = "countersign.dev/old-authorities-until";
/// Present: the Secret was mended, and the Providers have not been read since.
const UNREAD: &str = "countersign.dev/providers-unread";
/// Set by an operator: the authority is to be replaced now.
pub(super) const ROTATE: &str = "countersign.dev/rotate-authority";

/// What is wrong with the Secret. Never says what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecretFault {
    #[error("annotation {0} is no moment")]
    Annotation(&'static str),
    #[error("{field}: {error}")]
    Field { field: &'static str, error: MaterialError },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is no PEM")]
    Pem(&'static str),
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("ca.crt has more than {} authorities", bundle::MAX_ANCHORS)]
    TooMany,
}

/// Whose the Secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// There is none, or it is empty: ours to fill.
    Nobody,
    /// It says that it is ours.
    Ours,
    /// It holds something, and does not say that it is ours.
    Somebody,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) owner: Owner,
    pub(super) material: Material,
    pub(super) faults: Vec<SecretFault>,
    /// An operator wants another authority.
    pub(super) rotate: bool,
}

impl Found {
    /// Whether it is ours, and nothing of it is lost.
    pub(super) fn is_whole(&self) -> bool {
        self.owner == Owner::Ours && self.faults.is_empty()
    }
}

/// Reads what is there; whatever is not sound is a fault, and left out of the material.
pub(super) fn read(secret: Option<&Secret>, names: &[String], provider: &Arc<CryptoProvider>) -> Found {
    let nothing = Secret::default();
    let secret = secret.unwrap_or(&nothing);
    let data = secret.data.as_ref().filter(|data| !data.is_empty());
    let annotations = secret.metadata.annotations.as_ref();
    let annotation = |name| annotations.and_then(|all| all.get(name)).map(String::as_str);
    let owner = match (data, annotation(MARK)) {
        (None, _) => Owner::Nobody,
        (Some(_), Some(FORMAT)) => Owner::Ours,
        (Some(_), Some(_) | None) => Owner::Somebody,
    };
    let mut found =
        Found { owner, material: Material::default(), faults: Vec::new(), rotate: annotation(ROTATE).is_some() };
    let Some(data) = data else { return found };
    let size = data.values().fold(0_usize, |sum, value| sum.saturating_add(value.0.len()));
    if size > MAX_BYTES {
        found.faults.push(SecretFault::TooLarge);
        return found;
    }
    let slots = Slots { data, names, provider };
    let faults = &mut found.faults;
    let anchors = slots.anchors(faults);
    let published = moment(annotation(PUBLISHED), PUBLISHED, faults);
    let signer = slots.authority("ca.key", &anchors, faults);
    let next = slots.authority("next-ca.key", &anchors, faults);
    if signer.is_none() && next.is_none() && !data.contains_key("ca.key") {
        faults.push(SecretFault::Missing("ca.key"));
    }
    let leaf = slots.leaf(&anchors, faults);
    let until = moment(annotation(OLD_UNTIL), OLD_UNTIL, faults);
    let has_key = |anchor: &Anchor| [&signer, &next].into_iter().flatten().any(|with_key| with_key.anchor == *anchor);
    let old: Vec<Anchor> = anchors.iter().filter(|anchor| !has_key(anchor)).cloned().collect();
    // A bundle that was cut between two certificates is still a bundle.
    if old.is_empty() && until.is_some() {
        faults.push(SecretFault::Missing("an old authority"));
    }
    found.material = Material {
        next: next.map(|authority| Next { authority, published }),
        old: (!old.is_empty()).then_some(Old { anchors: old, until }),
        signer,
        leaf,
        unread: annotation(UNREAD).is_some(),
    };
    found
}

struct Slots<'a> {
    data: &'a BTreeMap<String, ByteString>,
    names: &'a [String],
    provider: &'a Arc<CryptoProvider>,
}

impl Slots<'_> {
    fn text(&self, field: &'static str, faults: &mut Vec<SecretFault>) -> Option<&str> {
        let value = self.data.get(field)?;
        std::str::from_utf8(&value.0).map_err(|_| faults.push(SecretFault::Pem(field))).ok()
    }

    fn anchors(&self, faults: &mut Vec<SecretFault>) -> Vec<Anchor> {
        if !self.data.contains_key("ca.crt") {
            faults.push(SecretFault::Missing("ca.crt"));
        }
        let mut anchors: Vec<Anchor> = Vec::new();
        for der in certificates(self.text("ca.crt", faults).unwrap_or_default()) {
            let Ok(der) = der else {
                faults.push(SecretFault::Pem("ca.crt"));
                continue;
            };
            match Anchor::parse(der) {
                Ok(anchor) if anchors.contains(&anchor) => {}
                Ok(_) if anchors.len() >= bundle::MAX_ANCHORS => {
                    faults.push(SecretFault::TooMany);
                    break;
                }
                Ok(anchor) => anchors.push(anchor),
                Err(error) => faults.push(SecretFault::Field { field: "ca.crt", error }),
            }
        }
        anchors
    }

    fn authority(&self, field: &'static str, anchors: &[Anchor], faults: &mut Vec<SecretFault>) -> Option<Authority> {
        let key = self.text(field, faults)?;
        Authority::find(anchors, key).map_err(|error| faults.push(SecretFault::Field { field, error })).ok()
    }

    fn leaf(&self, anchors: &[Anchor], faults: &mut Vec<SecretFault>) -> Option<Leaf> {
        for field in ["tls.crt", "tls.key"] {
            if !self.data.contains_key(field) {
                faults.push(SecretFault::Missing(field));
            }
        }
        let (chain, key) = (self.text("tls.crt", faults)?, self.text("tls.key", faults)?);
        let Some(Ok(der)) = certificates(chain).next() else {
            faults.push(SecretFault::Pem("tls.crt"));
            return None;
        };
        Leaf::check(der, key, anchors, self.names, self.provider)
            .map_err(|error| faults.push(SecretFault::Field { field: "tls.crt", error }))
            .ok()
    }
}

fn certificates(pem: &str) -> impl Iterator<Item = Result<CertificateDer<'static>, ()>> + '_ {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|certificate| certificate.map_err(|_| ()))
}

fn moment(text: Option<&str>, name: &'static str, faults: &mut Vec<SecretFault>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text?, &Rfc3339).map_err(|_| faults.push(SecretFault::Annotation(name))).ok()
}

/// The Secret with this material in the place of whatever it held, under its `resourceVersion` if it had one.
pub(super) fn render(material: &Material, before: Option<&Secret>, name: &str, namespace: &str) -> Secret {
    let mut secret = before.cloned().unwrap_or_else(|| Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some([("app.kubernetes.io/managed-by".to_owned(), "countersign".to_owned())].into()),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        ..Secret::default()
    });
    let annotations = secret.metadata.annotations.get_or_insert_default();
    let moment = |moment: Option<OffsetDateTime>| moment.and_then(|moment| moment.format(&Rfc3339).ok());
    for (annotation, value) in [
        (MARK, Some(FORMAT.to_owned())),
        (PUBLISHED, moment(material.next.as_ref().and_then(|next| next.published))),
        (OLD_UNTIL, moment(material.old.as_ref().and_then(|old| old.until))),
        (UNREAD, material.unread.then(|| "true".to_owned())),
        (ROTATE, None),
    ] {
        match value {
            Some(value) => annotations.insert(annotation.to_owned(), value),
            None => annotations.remove(annotation),
        };
    }
    let key = |authority: &Authority| authority.key_pem().to_owned();
    let fields = [
        ("ca.crt", Some(bundle::pem(&material.bundle()))),
        ("ca.key", material.signer.as_ref().map(key)),
        ("next-ca.key", material.next.as_ref().map(|next| key(&next.authority))),
        ("tls.crt", material.leaf.as_ref().map(|leaf| bundle::certificate_pem(leaf.der()))),
        ("tls.key", material.leaf.as_ref().map(|leaf| leaf.key_pem().to_owned())),
    ];
    let data = fields.into_iter().filter_map(|(field, text)| Some((field.to_owned(), ByteString(text?.into_bytes()))));
    secret.data = Some(data.collect());
    secret.string_data = None;
    secret
}

#[cfg(test)]
mod tests;
