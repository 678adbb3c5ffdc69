use super::*;

const ONE: &str = "http://crl.bench.test/one.crl";
const TWO: &str = "http://crl.bench.test/two.crl";

/// A leaf with one distribution point of this content.
fn pki_with(point: Vec<u8>) -> Authority {
    let mut params = leaf("signer");
    params.custom_extensions.push(extension(&[2, 5, 29, 31], &points(&[point]), false));
    authority_of(params, ca("root", None), &delegate())
}

/// What a list with a scope of this content says of the leaf, for its own distribution point.
fn judged(pki: &Authority, scope: &[u8], question: &Question<'_>) -> Result<bool, String> {
    let scope = plain_extension(SCOPE, true, &tlv(0x30, scope));
    let draft = Draft::good(&pki.root).with(|draft| draft.extensions.push(scope));
    let addresses = pki.leaf.revocation_addresses().unwrap();
    asked(&draft.der(&pki.root_key), question, addresses.points.first())
}

// Item 97, D12
#[test]
fn a_list_of_another_scope_clears_nobody() {
    let pki = pki_with(point_name(&[ONE]));
    let yes = |number: u8| tlv(0x80 | number, &[0xff]);
    let no = |number: u8| tlv(0x80 | number, &[0]);
    let reasons = tlv(0x83, &[6, 0x40]);
    // The root's own certificate stands for an authority's, below itself.
    let of_authority = Question { certificate: &pki.root, ..pki.question() };
    for (name, scope, leaf, authority) in [
        ("everything", Vec::new(), None, None),
        ("all flags off", [no(1), no(2), no(4), no(5)].concat(), None, None),
        ("end entities", yes(1), None, Some("end entities only")),
        ("authorities", yes(2), Some("authorities only"), None),
        ("some reasons", reasons, Some("some reasons only"), Some("some reasons only")),
        ("indirect", yes(4), Some("other authorities"), Some("other authorities")),
        ("attributes", yes(5), Some("attribute certificates"), Some("attribute certificates")),
        ("nobody", [yes(1), yes(2)].concat(), Some("authorities only"), Some("end entities only")),
        ("no flag", tlv(0x81, &[1]), Some("malformed"), Some("malformed")),
        ("unknown", yes(6), Some("malformed"), Some("malformed")),
        ("out of order", [yes(2), no(1)].concat(), Some("malformed"), Some("malformed")),
    ] {
        for (of, question, refused) in [("leaf", &pki.question(), leaf), ("authority", &of_authority, authority)] {
            let judged = judged(&pki, &scope, question);
            match refused {
                None => assert_eq!(judged, Ok(false), "{name} for {of}"),
                Some(part) => assert_refused(name, &judged, part),
            }
        }
    }
}

// RUSTSEC-2026-0049
#[test]
fn a_part_of_a_divided_list_does_not_stand_for_another() {
    let relative = tlv(0xa0, &tlv(0xa1, &tlv(0x30, &[])));
    for (name, point, scope, fits) in [
        ("same", point_name(&[ONE]), point_name(&[ONE]), true),
        ("one of several", point_name(&["ldap://x/y", ONE]), point_name(&[ONE, TWO]), true),
        ("not fetchable, and the same", point_name(&["ldap://x/y"]), point_name(&["ldap://x/y"]), true),
        ("list without a name", point_name(&[ONE]), Vec::new(), true),
        ("another", point_name(&[ONE]), point_name(&[TWO]), false),
        ("longer", point_name(&[ONE]), point_name(&["http://crl.bench.test/one.crl2"]), false),
        ("relative", point_name(&[ONE]), relative.clone(), false),
        ("both relative", relative.clone(), relative, false),
    ] {
        let pki = pki_with(point);
        let judged = judged(&pki, &scope, &pki.question());
        if fits {
            assert_eq!(judged, Ok(false), "{name}");
        } else {
            assert_refused(name, &judged, "another distribution point");
        }
    }
    let of_file = authority();
    let named = judged(&of_file, &point_name(&[ONE]), &of_file.question());
    assert_refused("certificate without a point", &named, "another distribution point");
}

// D12
#[test]
fn a_partial_or_indirect_distribution_point_is_not_supported() {
    let reasons = tlv(0x81, &[6, 0x40]);
    let issuer = tlv(0xa2, &tlv(0xa4, &tlv(0x30, &[])));
    for (name, rest, part) in
        [("reasons", reasons, "for some reasons only"), ("issuer", issuer, "of another authority")]
    {
        let pki = pki_with([point_name(&[ONE]), rest].concat());
        assert_refused(name, &judged(&pki, &[], &pki.question()), part);
    }
}
