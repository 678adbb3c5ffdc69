use time::macros::datetime;

use super::{super::testing, *};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

/// Everything that a Secret can hold at once.
fn full() -> Material {
    let profile = testing::profile();
    let authority = || profile.authority(NOW).unwrap();
    let signer = authority();
    let leaf = profile.leaf(&signer, NOW).unwrap();
    Material {
        signer: Some(signer),
        next: Some(Next { authority: authority(), published: Some(NOW) }),
        old: Some(Old { anchors: vec![authority().anchor, authority().anchor], until: Some(NOW) }),
        leaf: Some(leaf),
        unread: true,
    }
}

fn read_again(secret: &Secret) -> Found {
    let profile = testing::profile();
    read(Some(secret), &profile.names, &profile.provider)
}

fn rendered(material: &Material) -> Secret {
    render(material, None, "countersign-tls", "countersign-system")
}

#[test]
fn what_is_written_is_read_again() {
    let full = full();
    for (name, material) in [
        ("all", full.clone()),
        ("without a successor", Material { next: None, ..full.clone() }),
        ("without old ones", Material { old: None, ..full.clone() }),
        ("after the Providers were read", Material { unread: false, ..full.clone() }),
        ("without a signer", Material { signer: None, old: None, leaf: None, ..full.clone() }),
    ] {
        let found = read_again(&rendered(&material));
        assert_eq!(found.material, material, "{name}");
        assert_eq!((found.owner, found.rotate), (Owner::Ours, false), "{name}");
        let expected = if material.leaf.is_some() { 0 } else { 2 };
        assert_eq!(found.faults.len(), expected, "{name}: {:?}", found.faults);
    }
}

#[test]
fn nothing_of_what_was_there_before_stays_but_its_name_and_version() {
    let before = Secret {
        data: Some([("left".to_owned(), ByteString(b"over".to_vec()))].into()),
        metadata: ObjectMeta {
            resource_version: Some("7".to_owned()),
            annotations: Some([(ROTATE.to_owned(), "true".to_owned()), ("kept".to_owned(), "x".to_owned())].into()),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let after = render(&full(), Some(&before), "any", "any");
    assert_eq!(after.metadata.resource_version.as_deref(), Some("7"));
    assert_eq!(after.type_.as_deref(), Some("Opaque"), "a Secret's type cannot be changed");
    let annotations = after.metadata.annotations.unwrap();
    assert!(annotations.contains_key("kept") && !annotations.contains_key(ROTATE));
    assert!(!after.data.unwrap().contains_key("left"));
}

#[test]
fn a_secret_is_ours_if_it_says_so_or_is_empty() {
    let marked = rendered(&full());
    let unmarked = Secret { metadata: ObjectMeta::default(), ..marked.clone() };
    let mut other_format = marked.clone();
    other_format.metadata.annotations = Some([(MARK.to_owned(), "v2".to_owned())].into());
    let profile = testing::profile();
    let owner = |secret| read(secret, &profile.names, &profile.provider).owner;
    assert_eq!(owner(None), Owner::Nobody);
    let empty = Secret::default();
    assert_eq!(owner(Some(&empty)), Owner::Nobody);
    assert_eq!(owner(Some(&marked)), Owner::Ours);
    assert_eq!(owner(Some(&unmarked)), Owner::Somebody);
    assert_eq!(owner(Some(&other_format)), Owner::Somebody);
}

/// A change of a whole Secret, and what is left of it: signer, successor, old ones, leaf.
type Row = (&'static str, fn(&mut BTreeMap<String, ByteString>), &'static str, (bool, bool, usize, bool));

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_broken_slot_is_named_and_the_others_are_kept() {
    fn put(data: &mut BTreeMap<String, ByteString>, field: &str, text: &str) {
        data.insert(field.to_owned(), ByteString(text.as_bytes().to_vec()));
    }
    let rows: [Row; 17] = [
        ("no CA", |d| drop(d.remove("ca.crt")), "ca.crt is missing", (false, false, 0, false)),
        ("no CA key", |d| drop(d.remove("ca.key")), "", (false, true, 3, true)),
        (
            "no keys",
            |d| d.retain(|k, _| k != "ca.key" && k != "next-ca.key"),
            "ca.key is missing",
            (false, false, 4, true),
        ),
        (
            "CA key is garbage",
            |d| put(d, "ca.key", "x"),
            "ca.key: a key is no ECDSA P-256 key in PKCS#8",
            (false, true, 3, true),
        ),
        (
            "CA key is the leaf's",
            |d| {
                let k = d["tls.key"].clone();
                d.insert("ca.key".to_owned(), k);
            },
            "ca.key: a key does not belong to its certificate",
            (false, true, 3, true),
        ),
        (
            "CA is the leaf",
            |d| {
                let k = d["tls.crt"].clone();
                d.insert("ca.crt".to_owned(), k);
            },
            "ca.crt: a certificate is no authority that may sign one leaf",
            (false, false, 0, false),
        ),
        (
            "CA half-written",
            |d| d.get_mut("ca.crt").unwrap().0.truncate(400),
            "ca.crt is no PEM",
            (false, false, 0, false),
        ),
        (
            "CA cut between two",
            |d| {
                let v = &mut d.get_mut("ca.crt").unwrap().0;
                let text = String::from_utf8(v.clone()).unwrap();
                v.truncate(text.match_indices("-----BEGIN").nth(2).unwrap().0);
            },
            "an old authority is missing",
            (true, true, 0, true),
        ),
        (
            "CA cut before its end",
            |d| {
                let v = &mut d.get_mut("ca.crt").unwrap().0;
                v.truncate(v.len() - 10);
            },
            "ca.crt is no PEM",
            (true, true, 1, true),
        ),
        (
            "successor's key is garbage",
            |d| put(d, "next-ca.key", "x"),
            "next-ca.key: a key is no ECDSA P-256 key in PKCS#8",
            (true, false, 3, true),
        ),
        ("no certificate", |d| drop(d.remove("tls.crt")), "tls.crt is missing", (true, true, 2, false)),
        ("no key", |d| drop(d.remove("tls.key")), "tls.key is missing", (true, true, 2, false)),
        ("certificate is garbage", |d| put(d, "tls.crt", "x"), "tls.crt is no PEM", (true, true, 2, false)),
        (
            "another's key",
            |d| {
                let k = d["ca.key"].clone();
                d.insert("tls.key".to_owned(), k);
            },
            "tls.crt: a key does not belong to its certificate",
            (true, true, 2, false),
        ),
        (
            "no UTF-8",
            |d| drop(d.insert("tls.key".to_owned(), ByteString(vec![0xff]))),
            "tls.key is no PEM",
            (true, true, 2, false),
        ),
        (
            "largest",
            |d| {
                let size: usize = d.values().map(|v| v.0.len()).sum();
                d.insert("x".to_owned(), ByteString(vec![b'x'; MAX_BYTES - size]));
            },
            "",
            (true, true, 2, true),
        ),
        (
            "too large",
            |d| {
                let size: usize = d.values().map(|v| v.0.len()).sum();
                d.insert("x".to_owned(), ByteString(vec![b'x'; MAX_BYTES - size + 1]));
            },
            "it has more than 65536 bytes",
            (false, false, 0, false),
        ),
    ];
    let whole = rendered(&full());
    for (name, change, fault, left) in rows {
        let mut secret = whole.clone();
        change(secret.data.as_mut().unwrap());
        let Found { material: m, faults, .. } = read_again(&secret);
        let said = faults.first().map(ToString::to_string).unwrap_or_default();
        assert_eq!(said, fault, "{name}: {faults:?}");
        let old = m.old.map_or(0, |old| old.anchors.len());
        assert_eq!((m.signer.is_some(), m.next.is_some(), old, m.leaf.is_some()), left, "{name}");
    }
}

#[test]
fn a_bundle_has_so_many_authorities_and_no_more() {
    let profile = testing::profile();
    let with = |count: usize| {
        let mut material = full();
        material.next = None;
        let anchors = (0..count).map(|_| profile.authority(NOW).unwrap().anchor).collect();
        material.old = Some(Old { anchors, until: Some(NOW) });
        read_again(&rendered(&material)).faults
    };
    assert_eq!(with(bundle::MAX_ANCHORS - 1), []);
    assert_eq!(with(bundle::MAX_ANCHORS), [SecretFault::TooMany]);
}

#[test]
fn a_moment_that_is_none_is_a_fault_and_no_moment() {
    for name in [PUBLISHED, OLD_UNTIL] {
        let mut secret = rendered(&full());
        secret.metadata.annotations.as_mut().unwrap().insert(name.to_owned(), "tomorrow".to_owned());
        let found = read_again(&secret);
        assert_eq!(found.faults, [SecretFault::Annotation(name)]);
        let published = found.material.next.unwrap().published;
        let until = found.material.old.unwrap().until;
        assert_eq!((published.is_none(), until.is_none()), (name == PUBLISHED, name == OLD_UNTIL));
    }
}

#[test]
fn another_services_leaf_is_not_served() {
    let profile = testing::profile();
    let names = super::super::make::names("other", "countersign-system");
    let found = read(Some(&rendered(&full())), &names, &profile.provider);
    assert_eq!(found.faults, [SecretFault::Field { field: "tls.crt", error: MaterialError::Unvouched }]);
    assert!(found.material.leaf.is_none());
}
