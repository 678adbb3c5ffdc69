//! Names of predicate types.

/// The predicate type of a signature by cosign v3 (R40).
pub const SIGN_V1: &str = "https://sigstore.dev/cosign/sign/v1";

/// What cosign's `--type` takes beside URIs, and what each stands for (`sigstore.md` §1.6).
const ALIASES: [(&str, &str); 10] = [
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("link", "https://in-toto.io/Link/v1"),
    ("openvex", "https://openvex.dev/ns"),
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
];

/// The aliases, for people.
pub fn aliases() -> impl Iterator<Item = &'static str> {
    ALIASES.iter().map(|(alias, _)| *alias)
}

/// The predicate type that `name` stands for: one of cosign's aliases, or a URI, which stands for itself. `None` is neither.
///
/// Types match exactly and never by prefix: `https://spdx.dev/Document/v2.3` is another one than `spdx`.
pub fn predicate_type_of(name: &str) -> Option<&str> {
    match ALIASES.iter().find(|(alias, _)| *alias == name) {
        Some((_, predicate_type)) => Some(predicate_type),
        None => is_uri(name).then_some(name),
    }
}

/// RFC 3986 §3: a scheme, a colon, something behind it, and no white space.
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
            && !rest.is_empty()
            && rest.chars().all(|c| !c.is_whitespace() && !c.is_control())
    })
}
