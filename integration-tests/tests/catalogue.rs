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
const NUMBERS: [(&str, &[RangeInclusive<u16>]); 10] = [
    ("REQ-", &[1..=38]),
    ("REF-", &[1..=27]),
    ("REG-", &[1..=62]),
    ("ENV-", &[1..=8, 10..=36, 40..=41, 50..=66]),
    ("COS-", &[1..=39]),
    ("X-", &[1..=20, 30..=36]),
    ("REV-", &[1..=15]),
    ("CFG-", &[1..=25]),
    ("item ", &[1..=110]),
    ("R", &[1..=120]),
];

/// Those that concern what is not built yet, or what no timed test can show. Any other has a test.
const LATER: [&str; 5] = ["CFG-16", "CFG-17", "R105", "R64", "REQ-35"];

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

/// The tests of a file by name, each with its attributes, the comment above it, and its body.
fn tests_by_name(text: &str) -> Vec<(&str, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_above = |line: &str| ["//", "#["].iter().any(|mark| line.trim_start().starts_with(mark));
    let marks = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| ["#[test]", "#[tokio::test"].iter().any(|mark| line.trim_start().starts_with(mark)));
    let test = |(mark, _): (usize, &&str)| {
        let above = lines[..mark].iter().rev().take_while(|line| is_above(line)).count();
        let head = mark + lines[mark..].iter().position(|line| line.contains("fn "))?;
        let name = lines[head].split_once("fn ")?.1.split('(').next()?;
        let indent = &lines[head][..lines[head].len() - lines[head].trim_start().len()];
        let foot = head + lines[head..].iter().position(|line| *line == format!("{indent}}}"))?;
        Some((name, lines[mark - above..=foot].join("\n")))
    };
    marks.filter_map(test).collect()
}

#[test]
fn tests_are_found_with_what_they_say() {
    let text = "// item 1\n#[test]\nfn one() {\n    body\n}\n\nproptest! {\n    // item 2\n    #[test]\n    fn two(a in any()) {\n        b\n    }\n}\n\nfn three() {}\n";
    let found = tests_by_name(text);
    let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["one", "two"]);
    assert!(mentions(&found[0].1, "item 1") && !mentions(&found[0].1, "item 2") && found[0].1.contains("body"));
}

// The table of the Notary checklist in the README: each item, and tests that show it.
#[test]
fn each_item_of_the_checklist_is_shown_by_a_test_of_the_readme_s_table() {
    let list = fs::read_to_string(root().join("integration-tests/catalogue.txt")).unwrap();
    let mut places_of: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in list.lines().filter(|line| line.starts_with("item ")) {
        let [id, _, place] = line.split(" | ").collect::<Vec<_>>()[..] else { panic!("{line}") };
        let files = places(place).into_iter().filter_map(|place| match place {
            Place::File(file) => Some(fs::read_to_string(root().join(file)).unwrap()),
            Place::Fixture(_) | Place::Later(_) => None,
        });
        places_of.insert(id, files.collect());
    }
    let readme = fs::read_to_string(root().join("integration-tests/README.md")).unwrap();
    let (_, table) = readme.split_once("\n| item | is shown by |\n|---|---|\n").expect("the table");
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for row in table.lines().take_while(|line| line.starts_with("| ")) {
        let (number, names) = row.trim_matches(['|', ' ']).split_once(" | ").unwrap();
        let id = format!("item {number}");
        let files = places_of.get(id.as_str()).unwrap_or_else(|| panic!("{id} is not in the catalogue"));
        let tests: Vec<_> = files.iter().flat_map(|text| tests_by_name(text)).collect();
        for name in names.split(", ") {
            let name = name.trim_matches('`');
            if !tests.iter().any(|(known, says)| *known == name && mentions(says, &id)) {
                wrong.push(format!("{id}: no test {name} that names it"));
            }
        }
        rows.push(number.to_owned());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(rows, (1..=110).map(|number: u16| number.to_string()).collect::<Vec<_>>(), "each once, in order");
}
