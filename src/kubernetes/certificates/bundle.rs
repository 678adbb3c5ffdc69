//! A `caBundle`: authorities as PEM, and PEM in base64 as a Provider has it.

use std::{collections::BTreeSet, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::material::Anchor;

/// Most authorities that are published at once: one that signs, one that will, and old ones.
pub(super) const MAX_ANCHORS: usize = 8;
/// Longest `caBundle` that is read.
const MAX_BASE64_BYTES: usize = 256 * 1024;

/// Certificates in PEM, one after the other.
pub(super) fn pem(anchors: &[&Anchor]) -> String {
    anchors.iter().map(|anchor| certificate_pem(anchor.der())).collect()
}

/// One certificate in PEM (RFC 7468).
pub(super) fn certificate_pem(der: &CertificateDer<'_>) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let body = STANDARD.encode(der);
    for line in body.as_bytes().chunks(64) {
        let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// As a Provider has it.
pub(super) fn render(anchors: &[&Anchor]) -> String {
    STANDARD.encode(pem(anchors))
}

/// Whether a Provider's text lists exactly these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// All of them, and nothing else.
    Equal,
    /// All of them, and something else, or the same twice.
    More,
    /// Not all of them, or nothing that can be read.
    Missing,
}

/// Compares a Provider's text with what it should list.
pub(super) fn compare(text: &str, wanted: &[&Anchor]) -> Comparison {
    let listed = listed(text).unwrap_or_default();
    let as_set: BTreeSet<&[u8]> = listed.iter().map(AsRef::as_ref).collect();
    let wanted: BTreeSet<&[u8]> = wanted.iter().map(|anchor| anchor.der().as_ref()).collect();
    if !wanted.is_subset(&as_set) {
        Comparison::Missing
    } else if wanted.len() == listed.len() {
        Comparison::Equal
    } else {
        Comparison::More
    }
}

/// What a Provider's text lists beside `wanted`, each once, as far as it could be ours; the first [`MAX_ANCHORS`].
pub(super) fn others(text: &str, wanted: &[&Anchor]) -> Vec<Anchor> {
    let mut others: Vec<Anchor> = Vec::new();
    for anchor in listed(text).unwrap_or_default().into_iter().filter_map(|der| Anchor::parse(der).ok()) {
        if others.len() < MAX_ANCHORS && !wanted.contains(&&anchor) && !others.contains(&anchor) {
            others.push(anchor);
        }
    }
    others
}

fn listed(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    if text.len() > MAX_BASE64_BYTES {
        return None;
    }
    let pem = STANDARD.decode(text).ok()?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::{super::testing, *};

    #[test]
    fn a_bundle_is_compared_by_what_it_lists() {
        let now = datetime!(2026-11-21 12:00 UTC);
        let make = || testing::profile().authority(now).unwrap().anchor;
        let (one, two) = (make(), make());
        let both = render(&[&one, &two]);
        for (name, text, expected) in [
            ("the same", both.clone(), Comparison::Equal),
            ("in another order", render(&[&two, &one]), Comparison::Equal),
            ("one", render(&[&one]), Comparison::Missing),
            ("three", render(&[&one, &two, &make()]), Comparison::More),
            ("one twice", render(&[&one, &two, &one]), Comparison::More),
            ("nothing", String::new(), Comparison::Missing),
            ("no base64", format!("{both}!"), Comparison::Missing),
            ("no PEM", STANDARD.encode("CA_BUNDLE"), Comparison::Missing),
            ("too long", "A".repeat(MAX_BASE64_BYTES + 4), Comparison::Missing),
        ] {
            assert_eq!(compare(&text, &[&one, &two]), expected, "{name}");
        }
    }

    #[test]
    fn what_else_is_listed_is_told_once_and_as_far_as_it_could_be_ours() {
        let now = datetime!(2026-11-21 12:00 UTC);
        let authority = testing::profile().authority(now).unwrap();
        let leaf = certificate_pem(testing::profile().leaf(&authority, now).unwrap().der());
        let one = authority.anchor;
        let more: Vec<Anchor> = (0..=MAX_ANCHORS).map(|_| testing::profile().authority(now).unwrap().anchor).collect();
        let all: Vec<&Anchor> = [&one].into_iter().chain(&more).collect();
        for (name, text, expected) in [
            ("what is wanted", render(&[&one]), 0..0),
            ("one more, twice", render(&[&more[0], &one, &more[0]]), 0..1),
            ("no authority", STANDARD.encode(pem(&[&one]) + &leaf), 0..0),
            ("no PEM", STANDARD.encode("CA_BUNDLE"), 0..0),
            ("as many as there may be", render(&all[..=MAX_ANCHORS]), 0..MAX_ANCHORS),
            ("one more than that", render(&all), 0..MAX_ANCHORS),
        ] {
            assert_eq!(others(&text, &[&one]), more[expected], "{name}");
        }
    }
}
