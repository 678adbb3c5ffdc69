//! `catalogue.txt` against the truth: every number of the catalogue of bad inputs, of the Notary checklist and of Sigstore's
//! requirements is there, and is found where the line says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::RangeInclusive,
    path::Path,
};

use integration_tests::load::scenarios::ALL;

use crate::cases::cases;

/// The numbers that there are.
const NUMBERS: &[(&str, &[RangeInclusive<u16>])] = &[
    ("REQ-", &[1..=38]),
    ("REF-", &[1..=27]),
    ("REG-", &[1..=62]),
    ("ENV-", &[1..=8, 10..=36, 40..=41, 50..=66]),
    ("COS-", &[1..=39]),
    ("X-", &[1..=20, 30..=36]),
    ("REV-", &[1..=15]),
    ("CFG-", &[1..=25]),
    ("PLG-", &[1..=14]),
    ("item ", &[1..=110]),
    ("R", &[1..=120]),
    ("TLS-", &[1..=11, 20..=21]),
    ("CCH-", &[1..=14]),
    ("TEN-", &[1..=9]),
    ("OPS-", &[1..=16]),
    ("ART-", &[1..=16]),
];

/// Rows of the catalogue of bad inputs, in all its tables; `item` and `R` are none of them.
const BAD_INPUTS: usize = 369;

/// Those that concern what is not built yet, or what no timed test can show. Any other has a test.
const LATER: &[&str] = &[
    "ART-01", "ART-02", "ART-04", "ART-05", "ART-06", "ART-07", "ART-08", "ART-09", "ART-10", "ART-11", "ART-12",
    "ART-13", "ART-14", "ART-15", "ART-16", "CCH-01", "CCH-02", "CCH-04", "CCH-11", "CFG-16", "CFG-17", "OPS-08",
    "OPS-10", "OPS-16", "R105", "R64", "TEN-02", "TEN-03", "TEN-05", "TEN-07",
];

/// Where a line says that a number is tested.
enum Place<'a> {
    /// A file of tests.
    File(&'a str),
    /// A case of the fixtures, which are all asked about.
    Fixture(&'a str),
    /// Nowhere yet, and why.
    Later(&'a str),
    /// A scenario of the load program's smoke set.
    Load(&'a str),
}

fn places<'a>(text: &'a str) -> Vec<Place<'a>> {
    if let Some(reason) = text.strip_prefix("later: ") {
        return vec![Place::Later(reason)];
    }
    let place = |part: &'a str| match (part.strip_prefix("fixture "), part.strip_prefix("load ")) {
        (Some(case), _) => Place::Fixture(case),
        (None, Some(scenario)) => Place::Load(scenario),
        (None, None) => Place::File(part),
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
                Place::Load(name) if ALL.iter().any(|scenario| scenario.name == name && scenario.smoke) => {}
                Place::Load(name) => wrong.push(format!("{id}: no scenario {name} in the smoke set")),
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
    assert_eq!(later.into_iter().collect::<BTreeSet<_>>(), LATER.iter().copied().collect());
}

/// Rows of a table: all, and those that are tested. What is tested and listed here is so in this same run of tests; a bad input that is
/// let in fails its test.
#[test]
fn bad_inputs_are_counted_by_table() {
    let list = fs::read_to_string(root().join("integration-tests/catalogue.txt")).unwrap();
    let mut tables: BTreeMap<&str, (usize, usize, Vec<&str>)> = BTreeMap::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let [id, _, place] = line.split(" | ").collect::<Vec<_>>()[..] else { continue };
        let Some((table, _)) = id.split_once('-') else { continue };
        let (rows, tested, later) = tables.entry(table).or_default();
        *rows += 1;
        if place.starts_with("later: ") {
            later.push(id);
        } else {
            *tested += 1;
        }
    }
    println!("| table | rows | tested | later |\n|---|---|---|---|");
    for (table, (rows, tested, later)) in &tables {
        println!("| {table} | {rows} | {tested} | {} |", later.join(" "));
    }
    let rows: usize = tables.values().map(|(rows, ..)| rows).sum();
    let tested: usize = tables.values().map(|(_, tested, _)| tested).sum();
    println!("{rows} of {BAD_INPUTS} rows are listed; {tested} are tested, each refused as it should be; fail-open: 0");
    assert!(rows <= BAD_INPUTS && tables["REQ"].0 == 38 && tables["REG"].0 == 62, "{rows} rows");
}

/// The tests of a file by name, each with its attributes, the comment above it, and its body.
fn tests_by_name(text: &str) -> Vec<(&str, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_above = |line: &str| ["//", "#["].iter().any(|mark| line.trim_start().starts_with(mark));
    let marks = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| ["#[test]", "#[tokio::test"].iter().any(|mark| line.trim_start().starts_with(mark)));
    let read = |(mark, _): (usize, &&str)| {
        let above = lines[..mark].iter().rev().take_while(|line| is_above(line)).count();
        let head = mark + lines[mark..].iter().position(|line| line.contains("fn "))?;
        let name = lines[head].split_once("fn ")?.1.split('(').next()?;
        let indent = &lines[head][..lines[head].len() - lines[head].trim_start().len()];
        let foot = head + lines[head..].iter().position(|line| *line == format!("{indent}}}"))?;
        Some((name, lines[mark - above..=foot].join("\n")))
    };
    marks.filter_map(read).collect()
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
            Place::Fixture(_) | Place::Later(_) | Place::Load(_) => None,
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
