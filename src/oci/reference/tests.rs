//! The catalogue's REF rows, as far as the grammar alone decides them.

use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> Result<String, ReferenceError> {
    Reference::parse(text).map(|reference| reference.to_string())
}

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn a_reference_has_one_canonical_form() {
    let tag = "a".repeat(128);
    let path = "a".repeat(255);
    let sha512 = format!("sha512:{}", "0".repeat(128));
    for (row, text, expected) in [
        ("REF-02", "nginx".to_owned(), "docker.io/library/nginx:latest".to_owned()),
        ("REF-02 tag", "nginx:1".into(), "docker.io/library/nginx:1".into()),
        ("REF-02 digest", format!("nginx@{DIGEST}"), format!("docker.io/library/nginx@{DIGEST}")),
        ("REF-02 user", "bitnami/redis".into(), "docker.io/bitnami/redis:latest".into()),
        ("REF-03 registry", "docker.io/nginx".into(), "docker.io/library/nginx:latest".into()),
        ("REF-03 index", "index.docker.io/library/nginx".into(), "docker.io/library/nginx:latest".into()),
        (
            "REF-03 another host",
            "registry-1.docker.io/library/nginx".into(),
            "registry-1.docker.io/library/nginx:latest".into(),
        ),
        ("REF-03 no library there", "registry-1.docker.io/nginx".into(), "registry-1.docker.io/nginx:latest".into()),
        ("REF-04 separators", "r.io/a/b__c--d.e_f".into(), "r.io/a/b__c--d.e_f:latest".into()),
        ("REF-05 128", format!("r.io/x:{tag}"), format!("r.io/x:{tag}")),
        ("REF-05 upper case", "r.io/x:_V1.0-RC".into(), "r.io/x:_V1.0-RC".into()),
        ("REF-06 255", format!("r.io/{path}"), format!("r.io/{path}:latest")),
        ("REF-07 sha256", format!("r.io/x@{DIGEST}"), format!("r.io/x@{DIGEST}")),
        ("REF-07 sha512", format!("r.io/x@{sha512}"), format!("r.io/x@{sha512}")),
        ("REF-08", format!("r.io/x:1@{DIGEST}"), format!("r.io/x:1@{DIGEST}")),
        ("REF-09", "[::1]:5000/x".into(), "[::1]:5000/x:latest".into()),
        ("REF-11 short", "127.1/x".into(), "127.0.0.1/x:latest".into()),
        ("REF-11 zero", "0/x".into(), "0.0.0.0/x:latest".into()),
        ("REF-13 decimal", "2130706433/x".into(), "127.0.0.1/x:latest".into()),
        ("REF-13 octal", "0177.0.0.1/x".into(), "127.0.0.1/x:latest".into()),
        ("REF-13 hex", "0x7f.1/x".into(), "127.0.0.1/x:latest".into()),
        ("REF-13 hex, one number", "0x7f000001:5000/x".into(), "127.0.0.1:5000/x:latest".into()),
        ("REF-13 mapped", "[::FFFF:127.0.0.1]/x".into(), "[::ffff:127.0.0.1]/x:latest".into()),
        ("REF-18 dot", "ghcr.io./x".into(), "ghcr.io/x:latest".into()),
        ("REF-18 case", "GHCR.Io:5000/x".into(), "ghcr.io:5000/x:latest".into()),
        ("REF-18 localhost", "LocalHost/x".into(), "localhost/x:latest".into()),
        ("REF-18 punycode stays", "xn--gcr-8cd.io/x".into(), "xn--gcr-8cd.io/x:latest".into()),
        ("REF-21 lowest", "r.io:1/x".into(), "r.io:1/x:latest".into()),
        ("REF-21 highest", "r.io:65535/x".into(), "r.io:65535/x:latest".into()),
    ] {
        assert_eq!(canonical(&text), Ok(expected), "{row}: {text}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_is_no_reference_is_refused_by_the_rule_that_it_breaks() {
    use ReferenceError as E;

    let hex = |n: usize| "a".repeat(n);
    let hash = |error: DigestError| E::Digest(error);
    let sha256 = || DigestError::Hex { algorithm: "sha256", expected: 64 };
    for (row, text, expected) in [
        ("REF-01", String::new(), E::Empty),
        ("REF-01", " ".into(), E::Character),
        ("REF-01", ":".into(), E::Tag),
        ("REF-01", "@".into(), hash(DigestError::Algorithm)),
        ("REF-01", "/".into(), E::Path),
        ("REF-01", ".".into(), E::Path),
        ("REF-01", "..".into(), E::Path),
        ("REF-01 one above", "../x".into(), E::Host),
        ("REF-04", "Repo/Upper:tag".into(), E::Path),
        // Both would print as what is read as a Docker Hub user's image.
        ("REF-04 an upper-case host without a dot", "Repo/upper".into(), E::Path),
        ("REF-18 a host that is one label and a dot", "ghcr./x".into(), E::Host),
        ("REF-04 name alone", "Upper".into(), E::Path),
        ("REF-04 below a registry", "r.io/Upper".into(), E::Path),
        ("REF-04", "repo//x".into(), E::Path),
        ("REF-04", "repo/.x".into(), E::Path),
        ("REF-04", "repo/x-".into(), E::Path),
        ("REF-04", "a/b__c___d".into(), E::Path),
        ("REF-04 dots", "a/b..c".into(), E::Path),
        ("REF-04 end", "r.io/".into(), E::Path),
        ("REF-05 129", format!("r.io/x:{}", "a".repeat(129)), E::Tag),
        ("REF-05 dot", "r.io/x:.x".into(), E::Tag),
        ("REF-05 minus", "r.io/x:-x".into(), E::Tag),
        ("REF-05 plus", "r.io/x:1+2".into(), E::Tag),
        ("REF-05 none", "r.io/x:".into(), E::Tag),
        ("REF-05 two", "r.io/x:a:b".into(), E::Path),
        ("REF-05 two colons", "r.io/x::a".into(), E::Path),
        ("REF-06 256", format!("r.io/{}", "a".repeat(256)), E::PathLong { size: 256 }),
        ("REF-06 with library", "a".repeat(248), E::PathLong { size: 256 }),
        ("REF-07 63", format!("x@sha256:{}", hex(63)), hash(sha256())),
        ("REF-07 65", format!("x@sha256:{}", hex(65)), hash(sha256())),
        ("REF-07 upper case", format!("x@sha256:{}", hex(64).to_uppercase()), hash(sha256())),
        ("REF-07 path", "x@sha256:../../etc/passwd".into(), hash(sha256())),
        ("REF-07 md5", format!("x@md5:{}", hex(32)), hash(DigestError::Algorithm)),
        ("REF-07 sha1", format!("x@sha1:{}", hex(40)), hash(DigestError::Algorithm)),
        (
            "REF-07 sha512",
            format!("x@sha512:{}", hex(64)),
            hash(DigestError::Hex { algorithm: "sha512", expected: 128 }),
        ),
        ("REF-07 two", format!("x@{DIGEST}@{DIGEST}"), hash(sha256())),
        ("REF-09 zone", "[fe80::1%25eth0]/x".into(), E::Host),
        ("REF-09 no address", "[a:b]/x".into(), E::Host),
        ("REF-09 open", "[::1/x".into(), E::Host),
        ("REF-18 Cyrillic", "gһcr.io/x".into(), E::Character),
        ("REF-18 full-width dot", "ghcr．io/x".into(), E::Character),
        ("REF-18 not punycode", "xn--\u{430}.io/x".into(), E::Character),
        ("REF-18 two dots", "ghcr.io../x".into(), E::Host),
        ("REF-19 userinfo", "user:pass@ghcr.io/x".into(), hash(DigestError::Algorithm)),
        ("REF-19 another host", "ghcr.io@evil.tld/x".into(), hash(DigestError::Algorithm)),
        ("REF-19 fragment", "ghcr.io#@evil/x".into(), hash(DigestError::Algorithm)),
        ("REF-19 fragment alone", "ghcr.io#evil/x".into(), E::Host),
        ("REF-19 backslash", r"ghcr.io\@evil/x".into(), hash(DigestError::Algorithm)),
        ("REF-19 backslash alone", r"ghcr.io\evil/x".into(), E::Host),
        ("REF-19 escaped", "ghcr.io%2f..%2fevil/x".into(), E::Host),
        ("REF-19 query", "ghcr.io/x?y=z".into(), E::Path),
        ("REF-20", "http://ghcr.io/x".into(), E::Scheme),
        ("REF-20", "https://ghcr.io/x".into(), E::Scheme),
        ("REF-20", "file:///etc/passwd".into(), E::Scheme),
        ("REF-20", "docker://x".into(), E::Scheme),
        ("REF-21", "host:0/x".into(), E::Port),
        ("REF-21", "host:65536/x".into(), E::Port),
        ("REF-21", "host:99999999999/x".into(), E::Port),
        ("REF-21", "host:/x".into(), E::Port),
        ("REF-21", "host:8e1/x".into(), E::Port),
        ("REF-21 sign", "host:+80/x".into(), E::Port),
        ("REF-23", "[team-a]ghcr.io/x".into(), E::Host),
        ("REF-24", "[team-a][team-b]ghcr.io/x".into(), E::Host),
        ("REF-24", "[]x".into(), E::Path),
        ("REF-25", "[kube-system]x".into(), E::Path),
    ] {
        let found = Reference::parse(&text).expect_err(&text);
        assert_eq!(found, expected, "{row}: {text}");
        assert_eq!(found.code(), Code::RefInvalid, "{row}: {text}");
    }
}

// REF-20: `oci:dir` has no `//`; it is the official image `oci` with the tag `dir`, as every client reads it, and never a
// folder.
#[test]
fn a_transport_without_slashes_is_a_name_and_its_tag() {
    assert_eq!(canonical("oci:dir").as_deref(), Ok("docker.io/library/oci:dir"));
}

// REQ-23: at the limit and one past it.
#[test]
fn a_reference_has_at_most_1024_bytes() {
    let of = |size: usize| Reference::parse(&format!("r.io/{}", "a".repeat(size - 5)));
    assert_eq!(of(1024), Err(ReferenceError::PathLong { size: 1019 }));
    assert_eq!(of(1025), Err(ReferenceError::Long { size: 1025 }));
    let host = format!("{0}.{0}.{0}.{1}", "h".repeat(63), "h".repeat(61));
    let most = format!("{host}:65535/{}:{}@sha512:{}", "a".repeat(255), "t".repeat(128), "0".repeat(128));
    assert!(most.len() <= MAX_REFERENCE_BYTES && Reference::parse(&most).is_ok(), "the longest legal one is read");
}

fn host() -> impl Strategy<Value = String> {
    let label = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,5}[a-zA-Z0-9])?";
    let name = prop::collection::vec(label, 1..4).prop_map(|labels| labels.join("."));
    let address = any::<std::net::IpAddr>().prop_map(|address| match address {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
    });
    (prop_oneof![name, address], prop::option::of(any::<u16>()), any::<bool>()).prop_map(|(host, port, dot)| {
        let dot = if dot && !host.starts_with('[') { "." } else { "" };
        port.map_or_else(|| format!("{host}{dot}"), |port| format!("{host}{dot}:{port}"))
    })
}

fn likely() -> impl Strategy<Value = String> {
    let path =
        prop::collection::vec("[a-zA-Z0-9]{1,3}([._-]{1,2}[a-z0-9]{1,3})?", 1..4).prop_map(|path| path.join("/"));
    let tag = prop::option::of("[A-Za-z0-9_.-]{1,6}");
    let digest = prop::option::of(prop_oneof!["sha256:[0-9a-f]{64}", "sha512:[0-9a-f]{128}", "sha256:[0-9a-fA-F]{64}"]);
    (prop::option::of(host()), path, tag, digest).prop_map(|(host, path, tag, digest)| {
        let mut text = host.map_or_else(String::new, |host| host + "/") + &path;
        text.extend(tag.map(|tag| format!(":{tag}")));
        text.extend(digest.map(|digest| format!("@{digest}")));
        text
    })
}

proptest! {
    // REF-02, REF-13, REF-18: what is printed is canonical: it is read as the same, and printed as the same.
    #[test]
    fn what_is_printed_is_read_as_the_same(text in likely()) {
        if let Ok(reference) = Reference::parse(&text) {
            let printed = reference.to_string();
            let again = Reference::parse(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&reference), "{} {}", text, printed);
            prop_assert_eq!(again.unwrap().to_string(), printed);
        }
    }

    // REF-01, REF-19: whatever a Pod's author writes is read or refused, and what is read holds the grammar.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}|[a-z0-9:@/._\\[\\]%#\\\\-]{0,40}") {
        if let Ok(reference) = Reference::parse(&text) {
            let path = reference.repository().path();
            prop_assert!(!path.is_empty() && path.split('/').all(is_component));
            prop_assert!(reference.tag().is_some() || reference.digest().is_some());
            prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
        }
    }

    // REF-04
    #[test]
    fn an_upper_case_repository_is_refused(before in "[a-z0-9]{0,3}", upper in "[A-Z]", after in "[a-z0-9]{0,3}") {
        for text in [format!("r.io/{before}{upper}{after}"), format!("r.io/{before}{upper}{after}/x:1")] {
            prop_assert_eq!(Reference::parse(&text), Err(ReferenceError::Path), "{}", text);
        }
    }
}
