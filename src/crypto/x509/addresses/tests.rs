use super::*;
use crate::{
    crypto::{
        crl::testing::{point_name, points},
        testing::{ca, chain, extension, leaf, tlv},
        tsp::testing::oid,
    },
    reason::Class,
};

/// An access description list with one location a method.
fn access(locations: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let each = |(method, location): &(&str, Vec<u8>)| tlv(0x30, &[oid(method), location.clone()].concat());
    tlv(0x30, &locations.iter().flat_map(each).collect::<Vec<_>>())
}

fn responders(urls: &[&str]) -> Vec<u8> {
    access(&urls.iter().map(|url| ("1.3.6.1.5.5.7.48.1", tlv(0x86, url.as_bytes()))).collect::<Vec<_>>())
}

fn addresses(access: Option<Vec<u8>>, points: Option<Vec<u8>>) -> Result<RevocationAddresses, AddressError> {
    let mut params = leaf("signer");
    params.custom_extensions.extend(access.map(|value| extension(&[1, 3, 6, 1, 5, 5, 7, 1, 1], &value, false)));
    params.custom_extensions.extend(points.map(|value| extension(&[2, 5, 29, 31], &value, false)));
    let made = chain(&[params, ca("root", None)]);
    Certificate::parse(&made.der[0]).unwrap().revocation_addresses()
}

fn texts(urls: &[Url]) -> Vec<&str> {
    urls.iter().map(Url::as_str).collect()
}

// REV-01, item 89
#[test]
fn a_certificate_without_addresses_has_none_and_one_whose_addresses_are_useless_has_some() {
    let none = addresses(None, None).unwrap();
    assert!(none.is_empty() && none.points.is_empty() && !none.names_freshest_crl);
    let issuers = access(&[("1.3.6.1.5.5.7.48.2", tlv(0x86, b"http://bench.test/ca.cer"))]);
    assert!(addresses(Some(issuers), None).unwrap().is_empty());
    assert!(addresses(Some(tlv(0x30, &[])), None).unwrap().is_empty());

    let useless = addresses(Some(responders(&["https://ocsp.bench.test"])), None).unwrap();
    assert!(useless.ocsp == Some(Vec::new()) && !useless.is_empty());
    let useless = addresses(None, Some(points(&[point_name(&["ldap://ldap.bench.test/cn=crl"])]))).unwrap();
    assert!(useless.points.len() == 1 && useless.points[0].urls.is_empty() && !useless.is_empty());
    let nameless = addresses(None, Some(points(&[tlv(0x81, &[6, 0x40])]))).unwrap();
    assert!(nameless.points[0].urls.is_empty() && nameless.points[0].partial);
}

// REV-09, item 99, D14
#[test]
fn only_plain_http_urls_are_kept() {
    for (url, kept) in [
        ("http://ocsp.bench.test", Some("http://ocsp.bench.test/")),
        ("HTTP://OCSP.bench.test/r?x=%20#y", Some("http://ocsp.bench.test/r?x=%20#y")),
        ("http://[2001:db8::1]:8080/r", Some("http://[2001:db8::1]:8080/r")),
        // Whether an address may be asked is for the host rules to say.
        ("http://169.254.169.254/latest", Some("http://169.254.169.254/latest")),
        ("https://ocsp.bench.test", None),
        ("ldap://ocsp.bench.test", None),
        ("file:///etc/passwd", None),
        ("ftp://ocsp.bench.test", None),
        ("http:ocsp.bench.test", None),
        ("http:/ocsp.bench.test", None),
        ("http://", None),
        ("//ocsp.bench.test", None),
        ("/r", None),
        ("", None),
        ("http://user@ocsp.bench.test", None),
        ("http://user:secret@ocsp.bench.test", None),
        ("http://localhost:6379/\r\nSET x y", None),
        ("http://local\thost", None),
        (" http://ocsp.bench.test", None),
        ("http://ocsp.bench.test\\@localhost", None),
        ("http://ocsp.bench.test/\u{e9}", None),
        ("http://ocsp.bench.test/\0", None),
        ("http://ocsp.bench.test:99999", None),
    ] {
        let of_list = addresses(Some(responders(&[url])), None).unwrap().ocsp.unwrap();
        let of_point = addresses(None, Some(points(&[point_name(&[url])]))).unwrap().points.remove(0).urls;
        assert_eq!(texts(&of_list), kept.into_iter().collect::<Vec<_>>(), "{url}");
        assert_eq!(of_list, of_point, "{url}");
    }
    let long = |bytes: usize| format!("http://ocsp.bench.test/{}", "x".repeat(bytes - 23));
    assert_eq!(addresses(Some(responders(&[&long(1024)])), None).unwrap().ocsp.unwrap().len(), 1);
    assert_eq!(addresses(Some(responders(&[&long(1025)])), None).unwrap().ocsp.unwrap().len(), 0);
    let directory = access(&[("1.3.6.1.5.5.7.48.1", tlv(0xa4, &tlv(0x30, &[])))]);
    assert_eq!(addresses(Some(directory), None).unwrap().ocsp, Some(Vec::new()));
}

// REV-09: few of many, in their order; item 99: what is not fetched takes nobody's place
#[test]
fn three_urls_a_list_and_eight_a_certificate_are_kept() {
    let many = ["https://x.test", "http://1.test", "ldap://x.test", "http://2.test", "http://3.test", "http://4.test"];
    let three = ["http://1.test/", "http://2.test/", "http://3.test/"];
    let four_points = points(&[point_name(&many), point_name(&many), point_name(&many), point_name(&many)]);
    let found = addresses(Some(responders(&many)), Some(four_points.clone())).unwrap();
    assert_eq!(texts(found.ocsp.as_ref().unwrap()), three);
    let of_points = found.points.iter().map(|point| point.urls.len()).collect::<Vec<_>>();
    assert_eq!((texts(&found.points[0].urls), of_points), (three.to_vec(), vec![3, 2, 0, 0]));
    let of_points = addresses(None, Some(four_points)).unwrap().points;
    assert_eq!(of_points.iter().map(|point| point.urls.len()).collect::<Vec<_>>(), [3, 3, 2, 0]);
    assert!(of_points.iter().all(|point| point.names.len() == many.len()), "names are compared, all of them");

    let thousand = vec!["http://1.test"; 1000];
    assert_eq!(addresses(Some(responders(&thousand)), None).unwrap().ocsp.unwrap().len(), MAX_URLS_PER_LIST);
    let points_of = |count: usize| points(&vec![point_name(&["http://1.test"]); count]);
    assert_eq!(addresses(None, Some(points_of(8))).unwrap().points.len(), 8);
    assert_eq!(addresses(None, Some(points_of(9))), Err(AddressError::TooMany { count: 9, limit: 8 }));
}

#[test]
fn addresses_that_cannot_be_read_are_no_reason_to_ask_nobody() {
    let broken = [tlv(0x30, b"nonsense"), Vec::new(), tlv(0x31, &[]), [points(&[Vec::new()]), vec![0]].concat()];
    for value in broken {
        for (access, points) in [(Some(value.clone()), None), (None, Some(value.clone()))] {
            let error = addresses(access, points).unwrap_err();
            assert!(error.to_string().contains("malformed") && error.code().class() == Class::Undecided, "{error}");
        }
    }
    assert!(addresses(None, Some(tlv(0x30, &[]))).is_err(), "SIZE (1..MAX)");
    assert!(addresses(None, Some(points(&[tlv(0xa0, &tlv(0xa0, &[]))]))).is_err(), "no names");
}

#[test]
fn a_distribution_point_says_what_its_list_is_not() {
    let of = |rest: Vec<u8>| {
        let content = [point_name(&["http://1.test"]), rest].concat();
        addresses(None, Some(points(&[content]))).unwrap().points.remove(0)
    };
    let issuer = tlv(0xa2, &tlv(0xa4, &tlv(0x30, &[])));
    let reasons = tlv(0x81, &[6, 0x40]);
    for (rest, partial, indirect) in [
        (Vec::new(), false, false),
        (reasons.clone(), true, false),
        (issuer.clone(), false, true),
        ([reasons, issuer].concat(), true, true),
    ] {
        let point = of(rest);
        assert_eq!((point.partial, point.indirect, point.urls.len()), (partial, indirect, 1));
    }
}
