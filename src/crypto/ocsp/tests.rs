use proptest::prelude::*;
use time::{Duration, OffsetDateTime, macros::datetime};
use url::Url;

use super::{
    testing::{
        Answer, Draft, NOW, authority, authority_of, by_key, by_name, cert_id, delegate, no_check, plain_extension,
        revoked,
    },
    *,
};
use crate::{
    crypto::{
        crl::{Reason, Revocation},
        testing::{ca, extension, leaf, tlv},
        tsp::testing::{ECDSA_SHA384, SHA256, SHA512, oid, purposes},
        x509::certificates_from_file_bytes,
    },
    reason::{Class, Code, chain},
};

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("vectors/", $name)).as_slice()
    };
}

fn one(pem: &[u8]) -> Certificate {
    let [certificate] = <[_; 1]>::try_from(certificates_from_file_bytes(pem).unwrap()).unwrap();
    certificate
}

fn said(response: &[u8], question: &Question<'_>) -> Result<Statement, String> {
    let refused = |error: OcspError| {
        assert!(error.code() == Code::RevocationUnavailable && error.code().class() == Class::Undecided, "{error}");
        chain(&error)
    };
    Response::parse(response).and_then(|response| response.verify(question)).map_err(refused)
}

fn assert_refused(name: &str, response: &[u8], question: &Question<'_>, part: &str) {
    let error = said(response, question).map(|statement| statement.status).unwrap_err();
    assert!(error.contains(part), "{name}: {error}");
}

const GOOD: Result<Status, String> = Ok(Status::Good);

// REV-02, REV-03, item 90, item 92
#[test]
fn answers_of_another_writer_verify() {
    let (root, rsa) = (one(vector!("root.pem")), one(vector!("rsa.pem")));
    let (leaf, rsa_leaf) = (one(vector!("leaf.pem")), one(vector!("rsa-leaf.pem")));
    let now = datetime!(2030-01-01 0:00 UTC);
    let since = datetime!(2026-11-01 12:00 UTC);
    let of_leaf = Question { certificate: &leaf, issuer: &root, now, signing_time: None };
    let of_rsa_leaf = Question { certificate: &rsa_leaf, issuer: &rsa, ..of_leaf };
    let is_revoked = |reason| Status::Revoked(Revocation { date: since, reason, invalidity_date: None });
    for (name, response, question, status, delegated) in [
        ("good", vector!("good.der"), &of_leaf, Status::Good, false),
        ("good-sha256-key", vector!("good-sha256-key.der"), &of_leaf, Status::Good, false),
        ("good-delegate", vector!("good-delegate.der"), &of_leaf, Status::Good, true),
        ("good-delegate-key", vector!("good-delegate-key.der"), &of_leaf, Status::Good, true),
        ("revoked", vector!("revoked.der"), &of_leaf, is_revoked(Reason::KeyCompromise), false),
        ("hold", vector!("hold.der"), &of_leaf, is_revoked(Reason::CertificateHold), false),
        ("unknown", vector!("unknown.der"), &of_leaf, Status::Unknown, false),
        ("good-rsa-sha512", vector!("good-rsa-sha512.der"), &of_rsa_leaf, Status::Good, false),
        ("good-rsa-pss", vector!("good-rsa-pss.der"), &of_rsa_leaf, Status::Good, false),
    ] {
        let statement = said(response, question).expect(name);
        assert_eq!(statement.status, status, "{name}");
        assert_eq!(statement.responder().is_some(), delegated, "{name}");
        assert!(Response::parse(response).unwrap().is_about(question.certificate, question.issuer), "{name}");
        assert!(statement.this_update() <= statement.produced_at() && statement.valid_until() > now, "{name}");
        assert_refused(
            name,
            response,
            &Question { certificate: &rsa_leaf, issuer: &root, ..of_leaf },
            "another certificate",
        );
    }
    assert_refused("by-leaf", vector!("by-leaf.der"), &of_leaf, "is not certified for OCSPSigning");
    assert_refused("good-rsa-sha1", vector!("good-rsa-sha1.der"), &of_rsa_leaf, "uses SHA-1");
    assert_eq!(Request::new(&leaf, &root).unwrap().der(), vector!("request.der"));
}

// Item 90, item 92; REV-02, REV-03, REV-04, REV-06
#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn only_a_fresh_answer_of_an_authorised_responder_counts() {
    let pki = authority();
    let question = pki.question();
    let good = pki.good();
    let root = |draft: &Draft| draft.response(&pki.root_key);
    assert_eq!(said(&root(&good), &question).map(|statement| statement.status), GOOD);
    let delegated = good.with(|draft| {
        draft.responder = by_name(&pki.delegate);
        draft.certificates = vec![pki.delegate.der().to_vec()];
    });
    let keyed = delegated.with(|draft| draft.responder = by_key(&pki.delegate));
    let late = delegated.with(|draft| draft.certificates.insert(0, pki.leaf.der().to_vec()));
    for (name, draft) in [("by name", &delegated), ("by key", &keyed), ("not first", &late)] {
        let statement = said(&draft.response(&pki.delegate_key), &question).expect(name);
        assert!(statement.status == Status::Good && statement.responder() == Some(&pki.delegate), "{name}");
    }
    let answer = |change: fn(&mut Answer)| good.with(|draft| change(&mut draft.answers[0]));
    let by_leaf = good.with(|draft| {
        draft.responder = by_name(&pki.leaf);
        draft.certificates = vec![pki.leaf.der().to_vec()];
    });
    let other = authority();
    let foreign = good.with(|draft| {
        draft.responder = by_name(&other.delegate);
        draft.certificates = vec![other.delegate.der().to_vec()];
    });
    let without = delegated.with(|draft| draft.certificates.clear());
    let many = delegated.with(|draft| draft.certificates = vec![pki.delegate.der().to_vec(); 11]);
    let nonsense = delegated.with(|draft| draft.certificates = vec![tlv(0x30, b"nonsense")]);
    let critical = |oid| vec![plain_extension(oid, true, &[5, 0])];
    for (name, response, part) in [
        ("by another key", good.response(&other.root_key), "not signed by its responder: signature (ECDSA"),
        ("delegate's name, root's key", root(&delegated), "not signed by its responder"),
        ("root's name, delegate's key", good.response(&pki.delegate_key), "not signed by its responder"),
        ("by the leaf itself", by_leaf.response(&pki.leaf_key), "not certified for OCSPSigning"),
        ("by another CA's delegate", foreign.response(&other.delegate_key), "not certified by the issuer"),
        ("delegate not in the response", without.response(&pki.delegate_key), "neither the issuer nor among"),
        ("eleven certificates", many.response(&pki.delegate_key), "malformed in its certificates"),
        ("unreadable certificate", nonsense.response(&pki.delegate_key), "malformed in its certificates"),
        ("no nextUpdate", root(&answer(|answer| answer.next_update = None)), "no nextUpdate"),
        (
            "stale",
            root(&answer(|answer| answer.next_update = Some("20300601115959Z"))),
            "good until 2030-06-01 11:59:59",
        ),
        ("future", root(&answer(|answer| answer.this_update = "20300601120001Z")), "after 2030-06-01 12:00"),
        (
            "made in the future",
            root(&good.with(|draft| draft.produced_at = "20300601120001Z")),
            "after 2030-06-01 12:00",
        ),
        ("no answers", root(&good.with(|draft| draft.answers.clear())), "another certificate"),
        ("version 2", root(&good.with(|draft| draft.version = tlv(0xa0, &[2, 1, 1]))), "malformed"),
        ("another type", root(&good.with(|draft| draft.kind = "1.3.6.1.5.5.7.48.1.2")), "type that is not supported"),
        ("another hash", root(&good.with(|draft| draft.algorithm = tlv(0x30, &oid(ECDSA_SHA384)))), "not signed by"),
        ("status", root(&answer(|answer| answer.status = tlv(0x83, &[]))), "malformed in its certificate status"),
        (
            "good with content",
            root(&answer(|answer| answer.status = tlv(0x80, &[0]))),
            "malformed in its certificate status",
        ),
        ("critical", root(&good.with(|draft| draft.extensions = critical("1.2.3.4"))), "critical extension 1.2.3.4"),
        (
            "critical on the answer",
            root(&good.with(|draft| draft.answers[0].extensions = critical("1.2.3.5"))),
            "critical extension 1.2.3.5",
        ),
        (
            "twice",
            root(&good.with(|draft| draft.extensions = vec![plain_extension("1.2.3.4", false, &[]); 2])),
            "malformed in its extensions",
        ),
    ] {
        assert_refused(name, &response, &question, part);
    }
    let v1 = good.with(|draft| {
        draft.version = tlv(0xa0, &[2, 1, 0]);
        draft.extensions = vec![plain_extension("1.2.3.4", false, &[5, 0])];
    });
    assert_eq!(said(&root(&v1), &question).map(|statement| statement.status), GOOD);
}

// REV-04, REV-05: both ends count, and nothing else bounds how old a good answer may be
#[test]
fn an_answer_counts_from_this_update_to_next_update() {
    let pki = authority();
    let response = pki.good().response(&pki.root_key);
    let at =
        |now: OffsetDateTime| said(&response, &Question { now, ..pki.question() }).map(|statement| statement.status);
    let (from, to) = (datetime!(2030-06-01 11:00 UTC), datetime!(2030-06-01 13:00 UTC));
    assert_eq!((at(from), at(to)), (GOOD, GOOD));
    assert!(at(from - Duration::NANOSECOND).unwrap_err().contains("after"));
    assert!(at(to + Duration::NANOSECOND).unwrap_err().contains("good until"));
}

// REV-04, item 92
#[test]
fn an_answer_names_its_certificate_by_serial_number_and_issuer() {
    let (pki, other) = (authority(), authority());
    let with_id = |id: Vec<u8>| pki.good().with(|draft| draft.answers[0].id = id).response(&pki.root_key);
    for hash in [SHA256, SHA512] {
        let response = with_id(cert_id(hash, &pki.leaf, &pki.root));
        assert_eq!(said(&response, &pki.question()).map(|statement| statement.status), GOOD, "{hash}");
    }
    // Equal names, other keys and serial numbers.
    let mixed = |name: &Certificate, key: &Certificate, serial: &[u8]| {
        let parts = [
            crate::crypto::tsp::testing::algorithm(&cert_id::SHA1.to_string()),
            tlv(4, cert_id::sha1(name.subject().der()).as_ref()),
            tlv(4, cert_id::sha1(key.public_key().bytes()).as_ref()),
            tlv(2, serial),
        ];
        with_id(tlv(0x30, &parts.concat()))
    };
    let serial = pki.leaf.serial_number();
    assert!(said(&mixed(&pki.root, &pki.root, serial), &pki.question()).is_ok());
    let padded = [if serial[0] < 0x80 { &[0][..] } else { &[0xff] }, serial].concat();
    assert!(said(&mixed(&pki.root, &pki.root, &padded), &pki.question()).is_ok(), "X-18");
    for (name, response) in [
        ("other serial", mixed(&pki.root, &pki.root, other.leaf.serial_number())),
        ("longer serial", mixed(&pki.root, &pki.root, &[&[1], serial].concat())),
        ("other key", mixed(&pki.root, &other.root, serial)),
        ("other name", mixed(&pki.leaf, &pki.root, serial)),
        ("unknown hash", with_id(cert_id("1.2.840.113549.2.5", &pki.leaf, &pki.root))),
    ] {
        assert_refused(name, &response, &pki.question(), "another certificate");
        assert!(!Response::parse(&response).unwrap().is_about(&pki.leaf, &pki.root), "{name}");
    }
    // The issuer in question must be the certificate's.
    let question = Question { issuer: &pki.leaf, ..pki.question() };
    assert_refused("other issuer", &pki.good().response(&pki.root_key), &question, "another certificate");
}

// Item 92, REV-03
type Change = fn(&mut rcgen::CertificateParams);

#[test]
fn a_delegate_is_certified_for_it_directly_and_now() {
    let judged = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut params = delegate();
        change(&mut params);
        let pki = authority_of(leaf("signer"), ca("root", None), &params);
        let draft = pki.good().with(|draft| {
            draft.responder = by_name(&pki.delegate);
            draft.certificates = vec![pki.delegate.der().to_vec()];
        });
        said(&draft.response(&pki.delegate_key), &pki.question()).map(|statement| statement.valid_until())
    };
    let address = || {
        let url = tlv(0x86, b"http://ocsp.bench.test");
        let description = tlv(0x30, &[oid("1.3.6.1.5.5.7.48.1"), url].concat());
        extension(&[1, 3, 6, 1, 5, 5, 7, 1, 1], &tlv(0x30, &description), false)
    };
    let next_update = datetime!(2030-06-01 13:00 UTC);
    assert_eq!(judged(&|_| {}), Ok(next_update));
    assert_eq!(judged(&|params| params.custom_extensions.clear()), Ok(next_update), "nowhere to ask after it");
    assert_eq!(judged(&|params| params.custom_extensions.push(address())), Ok(next_update), "nocheck is honoured");
    assert_eq!(judged(&|params| params.key_usages.clear()), Ok(next_update), "no keyUsage");
    assert_eq!(judged(&|params| params.not_after = NOW), Ok(NOW), "its own end counts");
    let cases: [(&str, Change, &str); 6] = [
        ("no purpose", |params| params.extended_key_usages.clear(), "not certified for OCSPSigning"),
        (
            "any purpose",
            |params| {
                params.extended_key_usages.clear();
                params.custom_extensions.push(purposes(&["2.5.29.37.0"], false));
            },
            "not certified for OCSPSigning",
        ),
        ("expired", |params| params.not_after = NOW - Duration::SECOND, "not at 2030-06-01 12:00"),
        ("not yet valid", |params| params.not_before = NOW + Duration::SECOND, "not at 2030-06-01 12:00"),
        (
            "encipherment only",
            |params| params.key_usages = vec![rcgen::KeyUsagePurpose::KeyEncipherment],
            "keyUsage without digitalSignature",
        ),
        (
            "critical extension",
            |params| params.custom_extensions.push(extension(&[1, 2, 3, 4], &[5, 0], true)),
            "critical extension 1.2.3.4",
        ),
    ];
    for (name, change, part) in cases {
        let error = judged(&change).unwrap_err();
        assert!(error.contains(part), "{name}: {error}");
    }
    let error = judged(&|params| params.custom_extensions = vec![address()]).unwrap_err();
    assert!(error.contains("may itself be revoked"), "{error}");
    assert!(no_check().content() == [5, 0]);
}

// RFC 6960 §4.2.2.2: no path, one step
#[test]
fn a_delegate_of_a_delegate_or_of_a_subordinate_is_none() {
    let top = ca("root", None);
    let pki = authority_of(ca("subordinate", Some(0)), top, &delegate());
    // The subordinate's own delegate may not speak for the root.
    let key = crate::crypto::testing::key();
    let subordinate = ca("subordinate", Some(0));
    let issuer = rcgen::Issuer::from_params(&subordinate, &pki.leaf_key);
    let below = Certificate::parse(delegate().signed_by(&key, &issuer).unwrap().der()).unwrap();
    let draft = pki.good().with(|draft| {
        draft.responder = by_name(&below);
        draft.certificates = vec![below.der().to_vec(), pki.leaf.der().to_vec()];
    });
    assert_refused("subordinate's delegate", &draft.response(&key), &pki.question(), "not certified by the issuer");
}

// REV-02, item 98
#[test]
fn a_revocation_says_when_and_why_and_spares_what_was_signed_before_the_key_was_in_doubt() {
    let pki = authority();
    let date = datetime!(2030-05-01 0:00 UTC);
    let draft = |reason| pki.good().with(|draft| draft.answers[0].status = revoked("20300501000000Z", reason));
    for (number, reason) in [
        (None, Reason::Unspecified),
        (Some(1), Reason::KeyCompromise),
        (Some(6), Reason::CertificateHold),
        (Some(8), Reason::RemoveFromCrl),
        (Some(10), Reason::AaCompromise),
        (Some(77), Reason::Other(77)),
    ] {
        let statement = said(&draft(number).response(&pki.root_key), &pki.question()).unwrap();
        assert_eq!(statement.status, Status::Revoked(Revocation { date, reason, invalidity_date: None }));
    }
    assert_refused("negative", &draft(Some(0x80)).response(&pki.root_key), &pki.question(), "certificate status");

    let invalid = tlv(0x18, b"20300401000000Z");
    let since = |critical| {
        let extension = plain_extension("2.5.29.24", critical, &invalid);
        draft(Some(1)).with(|draft| draft.answers[0].extensions = vec![extension]).response(&pki.root_key)
    };
    let signed_at = |response: &[u8], signing_time| {
        let status = said(response, &Question { signing_time, ..pki.question() }).unwrap().status;
        status == Status::Good
    };
    let april = datetime!(2030-04-01 0:00 UTC);
    for response in [since(false), since(true)] {
        assert!(signed_at(&response, Some(april - Duration::SECOND)));
        assert!(!signed_at(&response, Some(april)));
        assert!(!signed_at(&response, None), "a claimed time is no time");
    }
    assert!(!signed_at(&draft(Some(1)).response(&pki.root_key), Some(april - Duration::DAY)), "no invalidityDate");
}

#[test]
fn of_several_answers_for_the_certificate_the_worst_counts() {
    let pki = authority();
    let good = Answer::good(&pki.leaf, &pki.root);
    let with = |status: Vec<u8>| Answer { status, ..good.clone() };
    let (revoked, unknown) = (with(revoked("20300501000000Z", None)), with(tlv(0x82, &[])));
    let stale = Answer { next_update: Some("20300601113000Z"), ..good.clone() };
    let other = Answer { id: cert_id(SHA256, &pki.root, &pki.root), ..revoked.clone() };
    let judged = |answers: [&Answer; 2]| {
        [answers, [answers[1], answers[0]]].map(|answers| {
            let draft = pki.good().with(|draft| draft.answers = answers.into_iter().cloned().collect());
            said(&draft.response(&pki.root_key), &pki.question()).map(|statement| statement.status)
        })
    };
    assert_eq!(judged([&good, &other]), [GOOD, GOOD]);
    assert_eq!(judged([&good, &unknown]), [Ok(Status::Unknown), Ok(Status::Unknown)]);
    assert!(
        judged([&unknown, &stale])
            .iter()
            .all(|judged| judged.as_ref().is_err_and(|error| error.contains("good until")))
    );
    for second in [&good, &unknown, &stale] {
        assert!(judged([&revoked, second]).iter().all(|judged| matches!(judged, Ok(Status::Revoked(_)))));
    }
}

// REV-06, item 90
#[test]
fn what_is_no_answer_says_so() {
    let question_pki = authority();
    let question = question_pki.question();
    for (status, name) in [
        (1, "malformedRequest"),
        (2, "internalError"),
        (3, "tryLater"),
        (4, "status 4"),
        (5, "sigRequired"),
        (6, "unauthorized"),
    ] {
        assert_refused(name, &[0x30, 3, 0x0a, 1, status], &question, name);
    }
    let good = question_pki.good().response(&question_pki.root_key);
    let trailing = [good.as_slice(), &[0]].concat();
    for (name, junk) in [
        ("empty", &b""[..]),
        ("page", b"<html>503</html>"),
        ("successful, and nothing else", &[0x30, 3, 0x0a, 1, 0]),
        ("trailing byte", &trailing),
        ("cut", &good[..good.len() - 1]),
    ] {
        assert_refused(name, junk, &question, "malformed");
    }
    let largest = vec![0; MAX_RESPONSE_BYTES];
    assert_refused("64 KiB", &largest, &question, "malformed");
    assert_refused("more", &[&largest[..], &[0]].concat(), &question, "65537 bytes, the limit is 65536");
}

// Item 93
#[test]
fn a_request_goes_by_get_if_it_is_short() {
    let (root, leaf) = (one(vector!("root.pem")), one(vector!("leaf.pem")));
    let request = Request::new(&leaf, &root).unwrap();
    let get = |url: &str| request.get_url(&Url::parse(url).unwrap()).map(String::from);
    let url = get("http://ocsp.bench.test/r/").unwrap();
    let encoded = url.strip_prefix("http://ocsp.bench.test/r/").unwrap();
    let text = encoded.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &text).unwrap();
    assert_eq!(decoded, request.der());
    assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%'), "{encoded}");
    assert_eq!(get("http://ocsp.bench.test/r"), Some(url.clone()));
    assert_eq!(get("http://ocsp.bench.test/r#x"), Some(url.clone()));
    assert_eq!(get("http://ocsp.bench.test").unwrap(), format!("http://ocsp.bench.test/{encoded}"));
    assert_eq!(get("http://ocsp.bench.test/r?x=1"), None);

    // A serial number that makes it long.
    let long = |bytes: usize| {
        let mut params = crate::crypto::testing::leaf("long");
        params.serial_number = Some(vec![1; bytes].into());
        let pki = authority_of(params, ca("root", None), &delegate());
        let request = Request::new(&pki.leaf, &pki.root).unwrap();
        request.get_url(&Url::parse("http://ocsp.bench.test").unwrap()).is_some()
    };
    assert!(long(20) && !long(130));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_return(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(Response::parse(&bytes).is_err());
    }

    #[test]
    fn mutilated_answers_return(from in 0_usize..300, cut in 0_usize..40, insert in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = vector!("good.der").to_vec();
        let from = from.min(bytes.len());
        let to = from.saturating_add(cut).min(bytes.len());
        bytes.splice(from..to, insert);
        let (root, leaf) = (one(vector!("root.pem")), one(vector!("leaf.pem")));
        let now = datetime!(2030-01-01 0:00 UTC);
        let said = said(&bytes, &Question { certificate: &leaf, issuer: &root, now, signing_time: None });
        prop_assert!(said.is_err() || bytes == vector!("good.der"));
    }
}

#[test]
fn a_flipped_bit_leaves_no_statement() {
    let (root, leaf) = (one(vector!("root.pem")), one(vector!("leaf.pem")));
    let now = datetime!(2030-01-01 0:00 UTC);
    let question = Question { certificate: &leaf, issuer: &root, now, signing_time: None };
    for vector in [vector!("good.der"), vector!("good-delegate.der"), vector!("unknown.der"), vector!("revoked.der")] {
        assert!(said(vector, &question).is_ok());
        for at in 0..vector.len() * 8 {
            let mut bytes = vector.to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(said(&bytes, &question).is_err(), "byte {}, bit {}", at / 8, at % 8);
        }
    }
}
