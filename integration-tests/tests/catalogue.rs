//! `catalogue.txt` against the truth: every number of the catalogue of bad inputs, of the Notary checklist and of Sigstore's
//! requirements is there, and is found where the line says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::RangeInclusive,
    path::Path,
};

use crate::cases::cases;

/// The numbers that there are.
const NUMBERS: [(&str, &[RangeInclusive<u16>]); 9] = [
    ("REQ-", &[1..=38]),
    ("REF-", &[1..=27]),
    ("REG-", &[1..=62]),
    ("ENV-", &[1..=8, 10..=36, 40..=41, 50..=66]),
    ("COS-", &[1..=39]),
    ("X-", &[1..=20, 30..=36]),
    ("CFG-", &[1..=25]),
    ("item ", &[1..=74, 104..=109]),
    ("R", &[1..=120]),
];

/// Those that concern what is not built yet, or what no timed test can show. Any other has a test.
const LATER: [&str; 6] = ["CFG-16", "CFG-17", "R105", "R64", "REQ-35", "X-20"];

/// Where a line says that a number is tested.
enum Place<'a> {
    /// A file of tests.
    File(&'a str),
    /// A case of the fixtures, which are all asked about.
    Fixture(&'a str),
    /// Nowhere yet, and why.
    Later(&'a str),
}

fn places(text: &str) -> Vec<Place<'_>> {
    if let Some(reason) = text.strip_prefix("later: ") {
        return vec![Place::Later(reason)];
    }
    let place = |part| match str::strip_prefix(part, "fixture ") {
        Some(case) => Place::Fixture(case),
        None => Place::File(part),
    };
    text.split(", ").map(place).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What of a file is tests: all of it, or what stands below `#[cfg(test)]`.
fn tests_of(text: &str) -> &str {
    match text.find("#[cfg(test)]") {
        Some(at) => &text[at..],
        None if ["#[test]", "#[tokio::test"].iter().any(|mark| text.contains(mark)) => text,
        None => "",
    }
}

/// Whether `id` stands in `text` as a whole: `X-1` is not in `X-10`, nor `item 7` in `item 70`.
fn mentions(text: &str, id: &str) -> bool {
    let capital = id.replacen('i', "I", 1);
    [id, &capital].iter().any(|id| {
        text.match_indices(*id).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + id.len()..].chars().next();
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(|next| next.is_ascii_digit())
        })
    })
}

#[test]
fn a_number_is_mentioned_as_a_whole() {
    for (text, id, expected) in [
        ("// X-1", "X-1", true),
        ("// X-10", "X-1", false),
        ("(\"REQ-01\", ", "REQ-01", true),
        ("// MAX-1", "X-1", false),
        ("// Item 7, item 8", "item 7", true),
        ("// item 70", "item 7", false),
        ("// R12", "R1", false),
        ("(\"R1 a tag\", ", "R1", true),
        ("// items 7", "item 7", false),
    ] {
        assert_eq!(mentions(text, id), expected, "{id} in {text}");
    }
}

#[test]
fn every_number_of_the_catalogue_is_tested_where_it_says() {
    let list = fs::read_to_string(root().join("integration-tests/catalogue.txt")).unwrap();
    let files_of_cases = ["notation.json", "cosign.json", "bundle.json"];
    let cases: BTreeSet<String> = files_of_cases.into_iter().flat_map(cases).map(|case| case.id).collect();
    let mut files: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let (mut listed, mut later, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [id, what, place] = line.split(" | ").collect::<Vec<_>>()[..] else { panic!("not three parts: {line}") };
        assert!(!what.is_empty() && !place.is_empty(), "{line}");
        listed.push(id.to_owned());
        for place in places(place) {
            match place {
                Place::Later(reason) => {
                    later.push(id);
                    assert!(reason.len() > 10, "{line}");
                }
                Place::Fixture(case) if cases.contains(case) => {}
                Place::Fixture(case) => wrong.push(format!("{id}: no case {case}")),
                Place::File(file) => {
                    let text = files.entry(file).or_insert_with(|| fs::read_to_string(root().join(file)).ok());
                    if !text.as_deref().is_some_and(|text| mentions(tests_of(text), id)) {
                        wrong.push(format!("{id}: not in the tests of {file}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all = NUMBERS.iter().flat_map(|(prefix, ranges)| {
        let width = if prefix.ends_with('-') { 2 } else { 1 };
        ranges.iter().cloned().flatten().map(move |number| format!("{prefix}{number:0width$}"))
    });
    assert_eq!(listed, all.collect::<Vec<_>>(), "every number once, in order");
    assert_eq!(later.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(LATER));
}
