use std::{sync::Arc, time::Duration};

use rcgen::CustomExtension;
use time::{OffsetDateTime, macros::datetime};
use tokio::sync::Barrier;

use super::{
    testing::{CRL, OCSP, Pki, Reply, Web, ask, ask_at, distribution, online, outside, responders},
    *,
};
use crate::{
    crypto::{
        crl::testing as lists,
        ocsp::testing::{self as responses, NOW},
        testing::{ca, extension, leaf, tlv},
    },
    reason::Code,
};

mod cache;
mod files;

/// What a word of the tables stands for, about the leaf.
fn body(pki: &Pki, word: &str) -> Reply {
    let (leaf, key) = (&pki.chain[0], &pki.keys[1]);
    let response = pki.response(0);
    let crl = pki.crl(1);
    let entry = |extensions: &[Vec<u8>]| lists::entry(leaf, "300601100000Z", extensions);
    let status = |status: Vec<u8>| response.with(|draft| draft.answers[0].status = status).response(key);
    let other = Pki::naming(Vec::new());
    Reply::Body(match word {
        "good" => response.response(key),
        "revoked" => status(responses::revoked("20300601100000Z", None)),
        "unknown" => status(tlv(0x82, &[])),
        "tryLater" => tlv(0x30, &tlv(10, &[3])),
        "stale" => response.with(|draft| draft.answers[0].next_update = Some("20300601113000Z")).response(key),
        "future" => response.with(|draft| draft.answers[0].this_update = "20300601123000Z").response(key),
        "other signer" => response.response(&other.keys[1]),
        "by the leaf" => response.response(&pki.keys[0]),
        "good crl" => crl.der(key),
        "revoked crl" => crl.with(|draft| draft.entries = vec![entry(&[])]).der(key),
        "hold crl" => crl.with(|draft| draft.entries = vec![entry(&[lists::reason(6)])]).der(key),
        "expired crl" => crl.with(|draft| draft.next_update = Some("300601113000Z")).der(key),
        "expired revoked crl" => crl
            .with(|draft| {
                draft.next_update = Some("300601113000Z");
                draft.entries = vec![entry(&[])];
            })
            .der(key),
        "expired hold crl" => crl
            .with(|draft| {
                draft.next_update = Some("300601113000Z");
                draft.entries = vec![entry(&[lists::reason(6)])];
            })
            .der(key),
        "future crl" => crl.with(|draft| draft.this_update = "300601123000Z").der(key),
        "crl of another" => other.crl(1).der(&other.keys[1]),
        "crl by another" => crl.der(&other.keys[1]),
        "junk" => b"<html></html>".to_vec(),
        "404" => return Reply::Fails(RevocationClientError::Status(404)),
        "204" => return Reply::Fails(RevocationClientError::Status(204)),
        "too large" => return Reply::Fails(RevocationClientError::TooLarge(1)),
        "denied" => return Reply::Fails(RevocationClientError::Denied("a loopback address".to_owned())),
        "timeout" => return Reply::Fails(RevocationClientError::Timeout),
        other => panic!("{other}"),
    })
}

fn code(found: &ChainRevocation) -> Option<Code> {
    found.judge().err().map(|trouble| trouble.code)
}

const REVOKED: Option<Code> = Some(Code::Revoked);
const UNKNOWN: Option<Code> = Some(Code::RevocationUnknown);
const OPEN: Option<Code> = Some(Code::RevocationUnavailable);

// Item 90, item 91, item 92, item 94; REV-02, REV-03, REV-04, REV-06, REV-07, REV-08
#[tokio::test]
async fn each_answer_of_responder_and_list_has_its_outcome() {
    for (ocsp, crl, expected, asked) in [
        ("good", "revoked crl", None, 1),
        ("revoked", "good crl", REVOKED, 1),
        ("unknown", "good crl", None, 2),
        ("unknown", "revoked crl", REVOKED, 2),
        ("unknown", "404", UNKNOWN, 2),
        ("unknown", "", UNKNOWN, 1),
        ("404", "good crl", None, 2),
        ("404", "revoked crl", REVOKED, 2),
        ("404", "404", OPEN, 2),
        ("404", "", OPEN, 1),
        ("timeout", "good crl", None, 2),
        ("too large", "good crl", None, 2),
        ("denied", "good crl", None, 2),
        ("junk", "good crl", None, 2),
        ("tryLater", "good crl", None, 2),
        ("tryLater", "", OPEN, 1),
        ("stale", "", OPEN, 1),
        ("future", "", OPEN, 1),
        ("other signer", "", OPEN, 1),
        ("by the leaf", "", OPEN, 1),
        ("stale", "good crl", None, 2),
        ("", "good crl", None, 1),
        ("", "revoked crl", REVOKED, 1),
        ("", "hold crl", REVOKED, 1),
        ("", "expired crl", OPEN, 1),
        ("", "expired revoked crl", REVOKED, 1),
        ("", "expired hold crl", OPEN, 1),
        ("", "future crl", OPEN, 1),
        ("", "crl of another", OPEN, 1),
        ("", "crl by another", OPEN, 1),
        ("", "junk", OPEN, 1),
        ("", "204", OPEN, 1),
        ("", "404", OPEN, 1),
        ("", "too large", OPEN, 1),
        ("", "timeout", OPEN, 1),
        ("", "", None, 0),
    ] {
        let mut named = Vec::new();
        if !ocsp.is_empty() {
            named.push(responders(&[OCSP]));
        }
        if !crl.is_empty() {
            named.push(distribution(&[&[CRL]]));
        }
        let (pki, web) = (Pki::naming(named), Arc::new(Web::default()));
        for (url, word) in [(OCSP, ocsp), (CRL, crl)] {
            if !word.is_empty() {
                web.set(url, body(&pki, word));
            }
        }
        let revocation = online(&web, &RevocationConfig::default());
        let found = revocation.check(&pki.chain, ask()).await;
        assert_eq!(code(&found), expected, "{ocsp:?} {crl:?}: {found:?}");
        assert_eq!(web.taken().len(), asked, "{ocsp:?} {crl:?}");
        // D13 and the rest of REV-07: no answer at all is better than nobody asked, and no worse.
        let offline = Revocation::default().check(&pki.chain, ask()).await;
        assert_eq!(code(&offline), if asked == 0 { None } else { OPEN }, "{ocsp:?} {crl:?}");
    }
}

// Item 89; REV-01, REV-11
#[tokio::test]
async fn each_certificate_but_the_root_is_asked_about() {
    let with = |mut params: rcgen::CertificateParams, url: &str| {
        params.custom_extensions.push(distribution(&[&[url]]));
        params
    };
    let places = ["http://pki.test/middle.crl", "http://pki.test/root.crl", "http://pki.test/self.crl"];
    let pki = Pki::of(&[
        with(leaf("signer"), places[0]),
        with(ca("intermediate", Some(0)), places[1]),
        with(ca("root", None), places[2]),
    ]);
    let web = Arc::new(Web::default());
    web.serve(places[0], pki.crl(1).der(&pki.keys[1]));
    let listed = |certificate: usize| {
        let entry = lists::entry(&pki.chain[certificate], "300601100000Z", &[]);
        pki.crl(2).with(|draft| draft.entries = vec![entry]).der(&pki.keys[2])
    };
    // The root, listed by itself, says nothing.
    web.serve(places[1], listed(2));
    let found = online(&web, &RevocationConfig::default()).check(&pki.chain, ask()).await;
    assert_eq!(code(&found), None, "{found:?}");
    let mut taken = web.taken();
    taken.sort();
    assert_eq!(taken, places[..2], "the root is never asked about");
    // A good leaf under a revoked intermediate.
    web.serve(places[1], listed(1));
    let found = online(&web, &RevocationConfig::default()).check(&pki.chain, ask()).await;
    assert_eq!(code(&found), REVOKED);
    assert!(found.judge().unwrap_err().reason.contains("certificate 1"));
    // Self-signed: its own root.
    let lone = Pki::of(&[with(leaf("lone"), CRL)]);
    assert_eq!(code(&online(&web, &RevocationConfig::default()).check(&lone.chain, ask()).await), None);
    assert!(web.taken().iter().all(|url| url != CRL));
}

/// What a certificate names, what is there, what comes of it, and who was asked.
type Row<'a> = (&'a str, Vec<CustomExtension>, &'a [(&'a str, &'a str)], Option<Code>, &'a [&'a str]);

// Item 93, item 99; REV-09, D9, D14
#[tokio::test]
async fn only_plain_addresses_are_asked_and_as_many_as_are_needed() {
    const OTHER: &str = "http://pki.test/other.crl";
    let four = ["http://a.test/ocsp", "http://b.test/ocsp", "http://c.test/ocsp", "http://d.test/ocsp"];
    let ldap = "ldap://pki.test/cn=ca";
    let https = "https://pki.test/ca.crl";
    let rows: [Row<'_>; 10] = [
        ("until one answers", vec![responders(&four[..2])], &[(four[0], "404"), (four[1], "good")], None, &four[..2]),
        ("a definite unknown ends it", vec![responders(&four[..2])], &[(four[0], "unknown")], UNKNOWN, &four[..1]),
        ("three at most", vec![responders(&four)], &[(four[3], "good")], OPEN, &four[..3]),
        ("https responders are not asked", vec![responders(&["https://pki.test/ocsp"])], &[], OPEN, &[]),
        ("ldap and http in one point", vec![distribution(&[&[ldap, CRL]])], &[(CRL, "good crl")], None, &[CRL]),
        ("ldap alone", vec![distribution(&[&[ldap]])], &[], OPEN, &[]),
        ("https alone", vec![distribution(&[&[https]])], &[], OPEN, &[]),
        (
            "addresses of one point are alternatives",
            vec![distribution(&[&[OTHER, CRL]])],
            &[(OTHER, "404"), (CRL, "good crl")],
            None,
            &[OTHER, CRL],
        ),
        (
            "each point is to answer",
            vec![distribution(&[&[OTHER], &[CRL]])],
            &[(OTHER, "404"), (CRL, "good crl")],
            OPEN,
            &[OTHER, CRL],
        ),
        (
            "one point that says revoked suffices",
            vec![distribution(&[&[OTHER], &[CRL]])],
            &[(OTHER, "404"), (CRL, "revoked crl")],
            REVOKED,
            &[OTHER, CRL],
        ),
    ];
    for (name, named, replies, expected, asked) in rows {
        let (pki, web) = (Pki::naming(named), Arc::new(Web::default()));
        for (url, word) in replies {
            web.set(url, body(&pki, word));
        }
        let found = online(&web, &RevocationConfig::default()).check(&pki.chain, ask()).await;
        assert_eq!(code(&found), expected, "{name}: {found:?}");
        let places: Vec<String> = web.asked().into_iter().map(|request| request.url).collect();
        assert_eq!(places.len(), asked.len(), "{name}: {places:?}");
        assert!(asked.iter().all(|url| places.iter().any(|place| place.starts_with(url))), "{name}: {places:?}");
    }
}

// Item 93
#[tokio::test]
async fn a_short_request_is_a_get_and_a_long_one_is_posted() {
    let web = Arc::new(Web::default());
    let short = Pki::naming(vec![responders(&[OCSP])]);
    let mut long = leaf("signer");
    long.serial_number = Some(rcgen::SerialNumber::from(vec![1; 120]));
    long.custom_extensions = vec![responders(&[OCSP])];
    let long = Pki::of(&[long, ca("root", None)]);
    for (pki, posted) in [(short, false), (long, true)] {
        web.set(OCSP, body(&pki, "good"));
        assert_eq!(code(&online(&web, &RevocationConfig::default()).check(&pki.chain, ask()).await), None);
        let request = web.asked().pop().unwrap();
        assert_eq!((request.url == OCSP, request.body.is_some()), (posted, posted), "{}", request.url);
        assert_eq!((request.limit_bytes, request.accept), (65_536, "application/ocsp-response"));
    }
}

// Item 95, item 96; REV-10
#[tokio::test]
async fn a_delta_is_fetched_with_its_base_and_missed_where_it_cannot_be_had() {
    const DELTA: &str = "http://pki.test/delta.crl";
    let pki = Pki::naming(vec![distribution(&[&[CRL]])]);
    let key = &pki.keys[1];
    let freshest = responses::plain_extension(lists::FRESHEST, false, &lists::points(&[lists::point_name(&[DELTA])]));
    let entry = |date: &str, reason: u8| lists::entry(&pki.chain[0], date, &[lists::reason(reason)]);
    let held = vec![entry("300601090000Z", 6)];
    for (name, base, delta, expected) in [
        ("nothing listed", vec![], Some(vec![]), None),
        ("the delta revokes", vec![], Some(vec![entry("300601100000Z", 1)]), REVOKED),
        ("a hold that the delta takes back", held.clone(), Some(vec![entry("300601100000Z", 8)]), None),
        ("a hold alone", held.clone(), Some(vec![]), REVOKED),
        ("no delta to be had", vec![], None, OPEN),
        ("revoked for good, and no delta", vec![entry("300601090000Z", 1)], None, REVOKED),
    ] {
        let web = Arc::new(Web::default());
        let base = pki.crl(1).with(|draft| {
            draft.extensions.push(freshest.clone());
            draft.entries = base;
        });
        web.serve(CRL, base.der(key));
        if let Some(entries) = delta {
            web.serve(DELTA, lists::Draft::delta(&pki.chain[1]).with(|draft| draft.entries = entries).der(key));
        }
        let revocation = online(&web, &RevocationConfig::default());
        assert_eq!(code(&revocation.check(&pki.chain, ask()).await), expected, "{name}");
        assert_eq!(web.taken(), [CRL, DELTA], "{name}");
    }
}

// Item 98; D10
#[tokio::test]
async fn an_invalidity_date_after_the_authentic_signing_time_spares_what_was_signed() {
    let pki = Pki::naming(vec![distribution(&[&[CRL]])]);
    let web = Arc::new(Web::default());
    let entry = lists::entry(&pki.chain[0], "300601100000Z", &[lists::invalidity_date("20300601090000Z")]);
    web.serve(CRL, pki.crl(1).with(|draft| draft.entries = vec![entry]).der(&pki.keys[1]));
    let revocation = online(&web, &RevocationConfig::default());
    for (signing_time, expected) in [
        (None, REVOKED),
        (Some(datetime!(2030-06-01 08:59:59 UTC)), None),
        (Some(datetime!(2030-06-01 09:00 UTC)), REVOKED),
    ] {
        let found = revocation.check(&pki.chain, Ask { signing_time, ..ask() }).await;
        assert_eq!(code(&found), expected, "{signing_time:?}");
    }
}

// Item 103
#[tokio::test]
async fn certificates_are_asked_about_together_and_each_fetch_has_its_own_time() {
    let with = |mut params: rcgen::CertificateParams, url: &str| {
        params.custom_extensions.push(distribution(&[&[url]]));
        params
    };
    let places = ["http://pki.test/1.crl", "http://pki.test/2.crl"];
    let pki =
        Pki::of(&[with(leaf("signer"), places[0]), with(ca("intermediate", Some(0)), places[1]), ca("root", None)]);
    let (web, both) = (Arc::new(Web::default()), Arc::new(Barrier::new(2)));
    for (position, url) in places.iter().enumerate() {
        let list = pki.crl(position + 1).der(&pki.keys[position + 1]);
        web.set(url, Reply::Together(Arc::clone(&both), list));
    }
    let began = Instant::now();
    let found = online(&web, &RevocationConfig::default()).check(&pki.chain, ask()).await;
    assert_eq!(code(&found), None, "neither waits for the other");
    let second = Duration::from_secs(1);
    assert!(web.asked().iter().all(|request| (second..3 * second).contains(&(request.deadline - began))));
    // A third of what is left, where that is less; then the question stays open, in time.
    web.taken();
    web.set(places[0], Reply::Never);
    web.set(places[1], Reply::Never);
    let hurried = Ask { deadline: Instant::now() + Duration::from_millis(90), ..ask() };
    let found = online(&web, &RevocationConfig::default()).check(&pki.chain, hurried).await;
    assert_eq!(code(&found), OPEN);
    let last = web.asked().pop().unwrap().deadline;
    assert!(last.saturating_duration_since(web.last()) <= (hurried.deadline - last) / 2 + Duration::from_millis(1));
}

#[tokio::test]
async fn it_holds_until_the_evidence_ends_or_is_asked_for_again() {
    let pki = Pki::naming(vec![distribution(&[&[CRL]])]);
    let web = Arc::new(Web::default());
    web.set(CRL, body(&pki, "good crl"));
    let until = |found: ChainRevocation| found.valid_until().unwrap();
    let found = until(online(&web, &RevocationConfig::default()).check(&pki.chain, ask()).await);
    assert!(found > NOW + time::Duration::minutes(9) && found <= NOW + time::Duration::minutes(10), "{found}");
    let patient = RevocationConfig { refresh_interval: Duration::from_hours(5), ..RevocationConfig::default() };
    let end: OffsetDateTime = datetime!(2030-06-01 13:00 UTC);
    assert_eq!(until(online(&web, &patient).check(&pki.chain, ask()).await), end);
    // A past moment has no use for what is published now.
    let past = ask_at(datetime!(2029-06-01 12:00 UTC));
    assert_eq!(code(&online(&web, &patient).check(&pki.chain, past).await), OPEN);
}

#[tokio::test]
async fn addresses_that_cannot_be_read_leave_it_open() {
    let malformed = extension(&[2, 5, 29, 31], &[0x30, 0x00], false);
    let pki = Pki::naming(vec![malformed]);
    let web = Arc::new(Web::default());
    let found = online(&web, &RevocationConfig::default()).check(&pki.chain, ask()).await;
    assert_eq!((code(&found), web.taken().len()), (OPEN, 0));
}
