use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::verifier::cosign::wire::testing::{members, name, twice, with, without};

fn digest(of: &str) -> Digest {
    Digest::sha256(of.as_bytes())
}

fn good() -> Value {
    json!({
        "critical": {
            "identity": { "docker-reference": "registry.acorn.test/shop/web" },
            "image": { "docker-manifest-digest": digest("image").to_string() },
            "type": "cosign container image signature",
        },
        "optional": { "build": "42" },
    })
}

fn fault(bytes: &[u8]) -> PayloadFault {
    read(bytes).unwrap_err()
}

fn payload(pointer: &str, value: Value) -> Payload {
    read(&with(&good(), pointer, value)).unwrap()
}

#[test]
fn a_payload_is_read() {
    let read = read(good().to_string().as_bytes()).unwrap();
    read.check_type().unwrap();
    read.binds(&digest("image")).unwrap();
    assert_eq!(read.docker_reference(), Some("registry.acorn.test/shop/web"));
    assert_eq!(read.annotations().unwrap()["build"], "42");
}

// R29, R30, COS-18
#[test]
fn a_payload_of_another_image_or_another_type_is_refused() {
    let moved = read(good().to_string().as_bytes()).unwrap().binds(&digest("another image")).unwrap_err();
    assert!(matches!(&moved, PayloadFault::Subject { found, .. } if *found == digest("image")));
    assert_eq!(moved.code(), Code::SubjectMismatch);
    let sha512 = Digest::of(crate::oci::Algorithm::Sha512, b"image");
    let longer = payload("/critical/image/docker-manifest-digest", json!(sha512.to_string()));
    assert!(longer.binds(&sha512).is_ok() && longer.binds(&digest("image")).is_err());
    for other in
        ["atomic container signature", "", "Cosign container image signature", "cosign container image signature "]
    {
        let fault = payload("/critical/type", json!(other)).check_type().unwrap_err();
        assert!(matches!(&fault, PayloadFault::Type { found } if found == other));
        assert_eq!(fault.code(), Code::PayloadMalformed);
    }
}

// COS-18
#[test]
fn what_is_no_payload_is_refused() {
    let text = good().to_string();
    for (what, bytes) in [
        ("not JSON", b"not json".to_vec()),
        ("nothing", vec![]),
        ("something behind", format!("{text}{{}}").into_bytes()),
        ("duplicate critical", twice(&good(), "/critical", "critical")),
        ("duplicate digest", twice(&good(), "/critical/image/docker-manifest-digest", "docker-manifest-digest")),
        ("duplicate annotation", twice(&good(), "/optional/build", "build")),
        ("deep", format!(r#"{{"x":{}{}}}"#, "[".repeat(64), "]".repeat(64)).into_bytes()),
    ] {
        assert!(matches!(fault(&bytes), PayloadFault::Json(_)), "{what}");
    }
    for pointer in members(&good()) {
        assert!(matches!(fault(&twice(&good(), &pointer, name(&pointer))), PayloadFault::Json(_)), "{pointer} twice");
        let is_optional = pointer.starts_with("/optional") || pointer.starts_with("/critical/identity");
        for bytes in [without(&good(), &pointer), with(&good(), &pointer, Value::Null)] {
            assert_eq!(read(&bytes).is_ok(), is_optional, "without {pointer}");
        }
        let number = read(&with(&good(), &pointer, json!(1)));
        assert_eq!(number.is_ok(), pointer == "/optional/build", "{pointer} as a number");
    }
    for other in ["image", "sha256:", &digest("image").to_string().to_uppercase(), digest("image").hex(), "sha1:0000"] {
        let fault = fault(&with(&good(), "/critical/image/docker-manifest-digest", json!(other)));
        assert!(matches!(fault, PayloadFault::Digest(_)), "{other}");
    }
    for document in ["[]", "null", "1", r#""critical""#] {
        assert!(matches!(fault(document.as_bytes()), PayloadFault::Member { member: "critical" }), "{document}");
    }
}

#[test]
fn members_that_are_not_known_are_ignored() {
    assert!(read(&with(&good(), "/extra", json!(1))).is_ok());
    assert!(read(&with(&good(), "/critical/extra", json!([]))).is_ok());
}

// COS-18
#[test]
fn a_payload_is_read_up_to_its_limit() {
    let padded = |size: usize| {
        let mut document = good();
        document["optional"]["padding"] = json!("x".repeat(size - good().to_string().len() - r#","padding":"""#.len()));
        let bytes = document.to_string().into_bytes();
        assert_eq!(bytes.len(), size);
        read(&bytes)
    };
    assert!(padded(MAX_PAYLOAD_BYTES).is_ok());
    let fault = padded(MAX_PAYLOAD_BYTES + 1).unwrap_err();
    assert!(matches!(fault, PayloadFault::TooLarge { .. }) && fault.code() == Code::LimitExceeded);
}

// R31, COS-18
#[test]
fn the_name_that_was_signed_is_ignored_unless_it_must_be_the_repository() {
    let repository = Repository::parse("registry.acorn.test/shop/web").unwrap();
    let named = |name: Value| payload("/critical/identity/docker-reference", name);
    for same in [
        "registry.acorn.test/shop/web".to_owned(),
        "registry.acorn.test/shop/web:v1".to_owned(),
        format!("registry.acorn.test/shop/web@{}", digest("image")),
    ] {
        assert!(named(json!(same)).check_repository(&repository).is_ok(), "{same}");
    }
    for other in [
        "registry.acorn.test/shop/web2",
        "registry.acorn.test/shop",
        "registry.acorn.test/shop/web/",
        "registry.acorn.test:443/shop/web",
        "evil.test/registry.acorn.test/shop/web",
        "https://registry.acorn.test/shop/web",
        "shop/web",
        "",
    ] {
        let payload = named(json!(other));
        payload.binds(&digest("image")).unwrap();
        let fault = payload.check_repository(&repository).unwrap_err();
        assert!(matches!(&fault, PayloadFault::Repository { found, .. } if found == other), "{other}");
        assert_eq!(fault.code(), Code::SubjectMismatch);
    }
    let nameless = read(&without(&good(), "/critical/identity")).unwrap();
    assert!(nameless.check_repository(&repository).is_err() && nameless.docker_reference().is_none());
    let hub = Repository::parse("nginx").unwrap();
    assert!(named(json!("index.docker.io/library/nginx")).check_repository(&hub).is_ok());
}

// R32, COS-36
#[test]
fn annotations_that_are_wanted_are_signed_with_this_text() {
    let have = json!({"build": "42", "number": 42, "list": ["x"], "null": null, "empty": "", "yes": true});
    let check = |wanted: &[(&str, &str)]| {
        let wanted = wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check_annotations(have.as_object(), &wanted)
    };
    for wanted in [&[][..], &[("build", "42")], &[("build", "42"), ("empty", "")]] {
        assert_eq!(check(wanted), Ok(()), "{wanted:?}");
    }
    for (wanted, says) in [
        (("build", "43"), r#"annotation "build" is "42", expected "43""#),
        (("Build", "42"), r#"annotation "Build" is missing, expected "42""#),
        (("number", "42"), r#"annotation "number" is 42, expected "42""#),
        (("list", "x"), r#"annotation "list" is ["x"], expected "x""#),
        (("list", r#"["x"]"#), r#"annotation "list" is ["x"], expected "[\"x\"]""#),
        (("null", "null"), r#"annotation "null" is null, expected "null""#),
        (("null", ""), r#"annotation "null" is null, expected """#),
        (("yes", "true"), r#"annotation "yes" is true, expected "true""#),
        (("absent", ""), r#"annotation "absent" is missing, expected """#),
    ] {
        let fault = check(&[("empty", ""), wanted]).unwrap_err();
        assert_eq!(fault.to_string(), says);
        assert_eq!(fault.code(), Code::AnnotationMismatch);
    }
    let several = check(&[("absent", "a"), ("build", "43"), ("empty", "")]).unwrap_err();
    assert_eq!(several.differing.len(), 2);
    let wanted: BTreeMap<String, String> = [("build".to_owned(), "42".to_owned())].into();
    assert!(check_annotations(None, &wanted).is_err());
    assert!(check_annotations(None, &BTreeMap::new()).is_ok());
}

// R116
proptest! {
    #[test]
    fn any_bytes_return(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn a_payload_with_any_bytes_replaced_returns(at in any::<prop::sample::Index>(), with in proptest::collection::vec(any::<u8>(), 0..8)) {
        let mut bytes = good().to_string().into_bytes();
        let at = at.index(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        if let Ok(payload) = read(&bytes) {
            let _ = (payload.check_type(), payload.binds(&digest("image")));
        }
    }
}
