use bytes::Bytes;
use hyper::header::HeaderValue;

use super::{super::testing::*, *};

fn ask(method: &str, target: &str, host: Option<&str>, served: &Served) -> Response<Bytes> {
    let mut headers = HeaderMap::new();
    if let Some(host) = host {
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
    }
    answer(&method.parse().unwrap(), &target.parse().unwrap(), &headers, served)
}

fn get(target: &str, served: &Served) -> Response<Bytes> {
    ask("GET", target, None, served)
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn what_was_checked_is_served_with_its_digest_and_length() {
    let served = served("registry.example.com/shop/web");
    let base = "http://registry.example.com/v2/shop/web";
    let (subject, artifact) = (served.subject_manifest.clone(), served.manifest.clone());
    for (name, path, content, media_type) in [
        ("subject", format!("manifests/{}", subject.descriptor().digest), &subject, media_type::IMAGE_MANIFEST),
        ("artifact", format!("manifests/{}", artifact.descriptor().digest), &artifact, media_type::IMAGE_MANIFEST),
        ("blob", format!("blobs/{}", served.blobs[0].descriptor().digest), &served.blobs[0], BLOB),
        (
            "escaped",
            format!("blobs/{}", served.blobs[1].descriptor().digest).replace(':', "%3A"),
            &served.blobs[1],
            BLOB,
        ),
    ] {
        let response = get(&format!("{base}/{path}"), &served);
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(response.body(), content.bytes(), "{name}");
        assert_eq!(header(&response, "content-type"), Some(media_type), "{name}");
        assert_eq!(
            header(&response, "docker-content-digest"),
            Some(&*content.descriptor().digest.to_string()),
            "{name}"
        );
        assert_eq!(header(&response, "content-length"), Some(&*content.bytes().len().to_string()), "{name}");
        let head = ask("HEAD", &format!("{base}/{path}"), None, &served);
        assert_eq!((head.status(), head.headers()), (StatusCode::OK, response.headers()), "{name}");
    }
    let api = get("http://registry.example.com/v2/", &served);
    assert_eq!((api.status(), header(&api, "docker-distribution-api-version")), (StatusCode::OK, Some("registry/2.0")));
}

#[test]
fn nothing_but_this_artifact_of_this_subject_is_served() {
    let served = served("registry.example.com/shop/web");
    let (subject, blob) = (served.subject.digest().clone(), served.blobs[0].descriptor().digest.clone());
    let artifact = served.manifest.descriptor().digest.clone();
    let other = crate::oci::Digest::sha256(b"other");
    let here = "http://registry.example.com/v2/shop/web";
    let (no, denied) = (StatusCode::NOT_FOUND, StatusCode::FORBIDDEN);
    for (target, expected) in [
        (format!("{here}/manifests/{other}"), no),
        (format!("{here}/manifests/latest"), no),
        (format!("{here}/manifests/v1"), no),
        (format!("{here}/manifests/{blob}"), no),
        (format!("{here}/manifests/"), no),
        (format!("{here}/blobs/{other}"), no),
        (format!("{here}/blobs/{subject}"), no),
        (format!("{here}/blobs/{}", blob.hex()), no),
        (format!("{here}/blobs/{}", blob.to_string().to_uppercase()), no),
        (format!("{here}/blobs/{blob}/"), no),
        (format!("{here}/blobs/uploads/{blob}"), no),
        (format!("{here}/referrers/{artifact}"), no),
        (format!("{here}/referrers/{other}"), no),
        (format!("{here}/tags/list"), no),
        (format!("{here}/../../etc/passwd"), no),
        (here.to_owned(), no),
        (format!("http://registry.example.com/v2/shop/web2/blobs/{blob}"), no),
        (format!("http://registry.example.com/v2/shop/blobs/{blob}"), no),
        (format!("http://registry.example.com/v2/web/blobs/{blob}"), no),
        (format!("http://registry.example.com/v2//shop/web/blobs/{blob}"), no),
        (format!("http://registry.example.com/v1/shop/web/blobs/{blob}"), no),
        ("http://registry.example.com/v2/_catalog".to_owned(), no),
        ("http://registry.example.com/".to_owned(), no),
        (format!("http://registry.example.com:5000/v2/shop/web/blobs/{blob}"), denied),
        (format!("http://registry.example.com.evil.example/v2/shop/web/blobs/{blob}"), denied),
        (format!("http://user@registry.example.com/v2/shop/web/blobs/{blob}"), denied),
        (format!("http://registry-1.docker.io/v2/shop/web/blobs/{blob}"), denied),
        (format!("https://registry.example.com/v2/shop/web/blobs/{blob}"), denied),
        ("http://169.254.169.254/latest/meta-data".to_owned(), denied),
        (format!("/v2/shop/web/blobs/{blob}"), denied),
    ] {
        let response = get(&target, &served);
        assert_eq!(response.status(), expected, "{target}");
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert!(body["errors"][0]["code"].is_string(), "{target}");
    }
}

#[test]
fn only_reading_is_offered() {
    let served = served("registry.example.com/shop/web");
    let target = format!("http://registry.example.com/v2/shop/web/blobs/{}", served.blobs[0].descriptor().digest);
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PURGE"] {
        let target = if method == "CONNECT" { "registry.example.com:443" } else { &target };
        let response = ask(method, target, None, &served);
        assert_eq!(
            (response.status(), header(&response, "allow")),
            (StatusCode::METHOD_NOT_ALLOWED, Some("GET, HEAD")),
            "{method}"
        );
    }
}

#[test]
fn the_registry_is_named_by_the_target_or_else_by_host() {
    let rows = [
        ("registry.example.com/a", "http://REGISTRY.example.com./v2/", Some("other.example"), true),
        ("registry.example.com/a", "/v2/", Some("registry.example.com"), true),
        ("registry.example.com/a", "/v2/", Some("other.example"), false),
        ("registry.example.com/a", "http://other.example/v2/", Some("registry.example.com"), false),
        ("registry.example.com:5000/a", "http://registry.example.com:5000/v2/", None, true),
        ("registry.example.com:5000/a", "http://registry.example.com/v2/", None, false),
        ("nginx", "http://registry-1.docker.io/v2/", None, true),
        ("nginx", "http://index.docker.io/v2/", None, true),
        ("nginx", "http://docker.io/v2/", None, true),
        ("nginx", "http://registry-2.docker.io/v2/", None, false),
        ("10.0.0.1:5000/a", "http://10.0.0.1:5000/v2/", None, true),
    ];
    for (repository, target, host, expected) in rows {
        let status = ask("GET", target, host, &served(repository)).status();
        assert_eq!(
            status,
            if expected { StatusCode::OK } else { StatusCode::FORBIDDEN },
            "{repository} {target} {host:?}"
        );
    }
    let hub = served("nginx");
    let blob = &hub.blobs[0].descriptor().digest;
    assert_eq!(
        get(&format!("http://registry-1.docker.io/v2/library/nginx/blobs/{blob}"), &hub).status(),
        StatusCode::OK
    );
}

#[test]
fn referrers_are_this_artifact_and_a_filter_is_honoured() {
    let served = served("registry.example.com/shop/web");
    let here = format!("http://registry.example.com/v2/shop/web/referrers/{}", served.subject.digest());
    let artifact = served.manifest.descriptor().digest.to_string();
    for (query, listed, filtered) in [
        ("", true, None),
        ("?n=50", true, None),
        ("?artifactType=application%2Fspdx%2Bjson", true, Some("artifactType")),
        ("?artifactType=application/spdx%2bjson", true, Some("artifactType")),
        ("?artifactType=application/sarif%2Bjson", false, Some("artifactType")),
        ("?artifactType=", false, Some("artifactType")),
    ] {
        let response = get(&format!("{here}{query}"), &served);
        assert_eq!(
            (response.status(), header(&response, "content-type")),
            (StatusCode::OK, Some(media_type::IMAGE_INDEX))
        );
        assert_eq!(header(&response, "oci-filters-applied"), filtered, "{query}");
        let index: Value = serde_json::from_slice(response.body()).unwrap();
        let digests: Vec<_> =
            index["manifests"].as_array().unwrap().iter().map(|one| one["digest"].as_str().unwrap()).collect();
        assert_eq!(digests, if listed { vec![artifact.as_str()] } else { vec![] }, "{query}");
        if listed {
            assert_eq!(index["manifests"][0]["artifactType"], "application/spdx+json");
            assert_eq!(index["schemaVersion"], 2);
        }
    }
}

#[test]
fn a_media_type_that_is_no_header_is_not_written() {
    let mut served = served("registry.example.com/shop/web");
    let bytes = served.manifest.bytes().clone();
    let forged = Descriptor { media_type: "a/b\r\nSet-Cookie: x".to_owned(), ..served.manifest.descriptor().clone() };
    served.manifest = Content::check(forged, bytes).unwrap();
    let target = format!("http://registry.example.com/v2/shop/web/manifests/{}", served.manifest.descriptor().digest);
    let response = get(&target, &served);
    assert_eq!((response.status(), header(&response, "content-type")), (StatusCode::OK, None));
}
