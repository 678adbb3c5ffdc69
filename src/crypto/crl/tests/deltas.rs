use super::*;

fn freshest() -> Vec<u8> {
    plain_extension(FRESHEST, false, &points(&[point_name(&["http://crl.bench.test/delta.crl"])]))
}

/// What base and delta say together.
fn merged(pki: &Authority, base: &Draft, delta: &Draft, now: OffsetDateTime) -> Result<bool, String> {
    let verified = base.crl(&pki.root_key).verify(&pki.root);
    let merged = verified.and_then(|crl| crl.with_delta(delta.crl(&pki.root_key)));
    is_revoked(merged.and_then(|crl| crl.lookup(&Question { now, ..pki.question() }, None)))
}

// Item 95, item 96; REV-10
#[test]
fn a_delta_adds_and_takes_back() {
    let pki = authority();
    let base = Draft::good(&pki.root).with(|draft| draft.extensions.push(freshest()));
    let listed = |draft: Draft, date: &str, number: u8| {
        draft.with(|draft| draft.entries = vec![entry(&pki.leaf, date, &[reason(number)])])
    };
    let delta = Draft::delta(&pki.root);
    let held = listed(base.clone(), "300401000000Z", 6);
    for (name, base, delta, expected) in [
        ("neither", &base, &delta, false),
        ("revoked in the delta", &base, &listed(delta.clone(), "300501000000Z", 1), true),
        ("revoked in the base", &listed(base.clone(), "300401000000Z", 1), &delta, true),
        ("held in the base", &held, &delta, true),
        ("held, then removed", &held, &listed(delta.clone(), "300501000000Z", 8), false),
        ("removed before it was held", &held, &listed(delta.clone(), "300301000000Z", 8), true),
        ("held in the delta", &base, &listed(delta.clone(), "300501000000Z", 6), true),
        (
            "revoked for ever, then removed",
            &listed(base.clone(), "300401000000Z", 1),
            &listed(delta.clone(), "300501000000Z", 8),
            true,
        ),
    ] {
        assert_eq!(merged(&pki, base, delta, NOW), Ok(expected), "{name}");
    }
}

// Item 96
#[test]
fn a_delta_must_fit_its_base() {
    let (pki, other) = (authority(), authority());
    let base = Draft::good(&pki.root);
    let numbered = |own: u8, from: u8| {
        Draft::delta(&pki.root).with(|draft| draft.extensions = vec![number(NUMBER, own), number(DELTA, from)])
    };
    for (own, from) in [(11, 10), (12, 10), (12, 3), (0x7f, 0)] {
        assert_eq!(merged(&pki, &base, &numbered(own, from), NOW), Ok(false), "{own} from {from}");
    }
    let scoped = |draft: Draft, content: &[u8]| {
        draft.with(|draft| draft.extensions.push(plain_extension(SCOPE, true, &tlv(0x30, content))))
    };
    let only_users = tlv(0x81, &[0xff]);
    let both = merged(&pki, &scoped(base.clone(), &only_users), &scoped(numbered(12, 10), &only_users), NOW);
    assert_eq!(both, Ok(false), "one scope");
    for (name, delta, part) in [
        ("of the same number", numbered(10, 10), "not newer"),
        ("older", numbered(9, 3), "not newer"),
        ("from a later list", numbered(12, 11), "starts from a later list"),
        ("complete", base.clone(), "is a complete list"),
        ("of another scope", scoped(numbered(12, 10), &only_users), "another scope"),
        (
            "of another name",
            numbered(12, 10).with(|draft| draft.issuer = pki.leaf.subject().der().to_vec()),
            "CRL is of",
        ),
    ] {
        assert_refused(name, &merged(&pki, &base, &delta, NOW), part);
    }
    let foreign = base.crl(&pki.root_key).verify(&pki.root).unwrap().with_delta(numbered(12, 10).crl(&other.root_key));
    assert!(matches!(foreign, Err(CrlError::Signature(_))), "{foreign:?}");
}

// Item 96
#[test]
fn a_list_without_its_delta_only_revokes_for_ever() {
    let pki = authority();
    let with = |extension: Vec<u8>, entries: Vec<Vec<u8>>| {
        let draft = Draft::good(&pki.root).with(|draft| {
            draft.extensions.push(extension);
            draft.entries = entries;
        });
        (asked(&draft.der(&pki.root_key), &pki.question(), None), draft.crl(&pki.root_key))
    };
    let at = |number| vec![entry(&pki.leaf, "300501000000Z", &[reason(number)])];
    let (judged, crl) = with(freshest(), Vec::new());
    assert_refused("clear", &judged, "has a delta");
    assert_eq!(crl.delta_urls().unwrap()[0].as_str(), "http://crl.bench.test/delta.crl");
    assert_refused("held", &with(freshest(), at(6)).0, "has a delta");
    assert_eq!(with(freshest(), at(1)).0, Ok(true));
    let elsewhere = plain_extension(FRESHEST, false, &points(&[point_name(&["https://crl.bench.test/delta.crl"])]));
    let (judged, crl) = with(elsewhere, Vec::new());
    assert_refused("clear, delta by https", &judged, "has a delta");
    assert_eq!(crl.delta_urls(), Some(&[][..]));
    assert!(!crl.is_delta() && Draft::delta(&pki.root).crl(&pki.root_key).is_delta());
}

// D13, item 94
#[test]
fn a_stale_part_clears_nobody() {
    let pki = authority();
    let stale = |draft: Draft| draft.with(|draft| draft.next_update = Some("300601115959Z"));
    let future = |draft: Draft| draft.with(|draft| draft.this_update = "300601120001Z");
    let listed = |draft: Draft, number: u8| {
        draft.with(|draft| draft.entries = vec![entry(&pki.leaf, "300501000000Z", &[reason(number)])])
    };
    let (base, delta) = (Draft::good(&pki.root), Draft::delta(&pki.root));
    for (name, base, delta, part) in [
        ("stale delta", &base, &stale(delta.clone()), "good until"),
        ("stale base", &stale(base.clone()), &delta, "good until"),
        ("future delta", &base, &future(delta.clone()), "after"),
        ("future base", &future(base.clone()), &delta, "after"),
        ("removed by a stale delta", &listed(base.clone(), 6), &stale(listed(delta.clone(), 8)), "good until"),
        ("held by a stale delta", &base, &stale(listed(delta.clone(), 6)), "good until"),
        ("revoked by a future delta", &base, &future(listed(delta.clone(), 1)), "after"),
        ("endless delta", &base, &delta.with(|draft| draft.next_update = None), "no nextUpdate"),
    ] {
        assert_refused(name, &merged(&pki, base, delta, NOW), part);
    }
    assert_eq!(merged(&pki, &base, &stale(listed(delta.clone(), 1)), NOW), Ok(true), "revoked by a stale delta");
    let short = delta.with(|draft| draft.next_update = Some("300601123000Z"));
    let crl = base.crl(&pki.root_key).verify(&pki.root).unwrap().with_delta(short.crl(&pki.root_key)).unwrap();
    let next_update = datetime!(2030-06-01 12:30 UTC);
    assert_eq!(crl.lookup(&pki.question(), None), Ok(Listing::NotRevoked { next_update }));
    assert_eq!(crl.next_update(), Some(next_update));
}

// notation.md 3.5: `freshestCRL` only in the certificate
#[test]
fn a_delta_that_only_the_certificate_names_is_not_supported() {
    let mut params = leaf("signer");
    let value = points(&[point_name(&["http://crl.bench.test/delta.crl"])]);
    params.custom_extensions.push(extension(&[2, 5, 29, 46], &value, false));
    let pki = authority_of(params, ca("root", None), &delegate());
    let base = Draft::good(&pki.root);
    assert_refused("alone", &asked(&base.der(&pki.root_key), &pki.question(), None), "names a delta CRL");
    let both = base.with(|draft| draft.extensions.push(freshest()));
    assert_eq!(merged(&pki, &both, &Draft::delta(&pki.root), NOW), Ok(false));
    let listed = base.with(|draft| draft.entries = vec![entry(&pki.leaf, "300501000000Z", &[])]);
    assert_eq!(asked(&listed.der(&pki.root_key), &pki.question(), None), Ok(true));
    assert!(pki.leaf.revocation_addresses().unwrap().names_freshest_crl);
}
