//! Trees and checkpoints.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::super::{
    checkpoint::Checkpoint,
    testing::{Fixture, HOST, Kind, ORIGIN, Secret, TestLog, head, judge, root_of},
};

const INCLUSION: Option<&str> = Some("inclusion proof does not hold");

fn v1() -> Fixture {
    Fixture::keyed(Kind::Dsse)
}

fn v2() -> Fixture {
    Fixture::keyed(Kind::RecordV2)
}

/// Proves the entry anew as leaf `index` of `size`.
fn prove(fixture: &mut Fixture, index: usize, size: usize) {
    let is_v2 = fixture.kind == Kind::RecordV2;
    fixture.entry.proof = Some(fixture.log.prove(if is_v2 { HOST } else { ORIGIN }, &fixture.entry.body, index, size));
    if is_v2 {
        fixture.entry.log_index = index.try_into().unwrap();
    }
}

/// Has the log sign whatever the proof says of the tree.
fn sign_head(fixture: &mut Fixture) {
    let origin = if fixture.kind == Kind::RecordV2 { HOST } else { ORIGIN };
    let (size, root) = (fixture.proof().tree_size, fixture.proof().root_hash.clone());
    let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
    fixture.proof().checkpoint = fixture.log.note(HOST, &text);
}

#[test]
fn every_leaf_of_every_tree_up_to_64_is_proven() {
    for mut fixture in [v1(), v2()] {
        for size in 1..=64 {
            for index in 0..size {
                prove(&mut fixture, index, size);
                assert!(fixture.verify().is_ok_and(|logged| logged.is_some()), "{index} of {size}");
            }
        }
    }
}

// R84, COS-06
#[test]
fn proof_that_does_not_lead_to_the_signed_root_is_refused() {
    for make in [v1, v2] {
        judge(
            make,
            &[
                ("R84 flipped", INCLUSION, &|f| f.proof().hashes[2][31] ^= 1),
                ("R84 missing", INCLUSION, &|f| f.proof().hashes.truncate(2)),
                ("R84 extra", INCLUSION, &|f| f.proof().hashes.push([0; 32])),
                ("R84 swapped", INCLUSION, &|f| f.proof().hashes.swap(0, 1)),
                ("none", INCLUSION, &|f| f.proof().hashes.clear()),
                ("COS-06 64 hashes", INCLUSION, &|f| f.proof().hashes.resize(64, [0; 32])),
                ("COS-06 65 hashes", Some("inclusion proof, in hashes, has 65, the limit is 64"), &|f| {
                    f.proof().hashes.resize(65, [0; 32]);
                }),
                ("R84 size", Some("inclusion proof and checkpoint name another tree size"), &|f| {
                    f.proof().tree_size = 8;
                }),
                ("R84 size, signed", INCLUSION, &|f| {
                    f.proof().tree_size = 9;
                    sign_head(f);
                }),
                ("an empty tree, signed", INCLUSION, &|f| {
                    f.proof().tree_size = 0;
                    sign_head(f);
                }),
                ("COS-06 size 2^64 - 1, signed", INCLUSION, &|f| {
                    f.proof().tree_size = u64::MAX;
                    sign_head(f);
                }),
                ("R85 root", Some("inclusion proof and checkpoint name another root hash"), &|f| {
                    f.proof().root_hash[0] ^= 1;
                }),
                ("root, signed", INCLUSION, &|f| {
                    f.proof().root_hash[0] ^= 1;
                    sign_head(f);
                }),
                ("no root", Some("inclusion proof and checkpoint name another root hash"), &|f| {
                    f.proof().root_hash.clear();
                }),
            ],
        );
    }
}

// R84, COS-06
#[test]
fn proof_is_of_the_entrys_own_leaf() {
    judge(
        v1,
        &[
            ("R84 index", INCLUSION, &|f| f.proof().log_index = 3),
            ("R84 index = size", INCLUSION, &|f| f.proof().log_index = 7),
            ("COS-06 index 2^64 - 1", INCLUSION, &|f| f.proof().log_index = u64::MAX),
            ("the entry's index is another, of all shards", None, &|f| {
                f.entry.log_index = 1_000_000;
                f.promise();
            }),
        ],
    );
    let both = |f: &mut Fixture, index| (f.entry.log_index, f.proof().log_index) = (index, index);
    judge(
        v2,
        &[
            ("R84 index", INCLUSION, &|f| both(f, 3)),
            ("R84 index = size", INCLUSION, &|f| both(f, 7)),
            ("COS-06 index 2^64 - 1", INCLUSION, &|f| both(f, u64::MAX)),
            ("two indexes, the entry's wrong", Some("inclusion proof and entry name another index"), &|f| {
                f.entry.log_index = 3;
            }),
            ("two indexes, the proof's wrong", Some("inclusion proof and entry name another index"), &|f| {
                f.proof().log_index = 3;
            }),
        ],
    );
    judge(
        || {
            let mut fixture = v1();
            fixture.entry.promise = None;
            fixture
        },
        &[("another body", INCLUSION, &|f| f.entry.body.push(b' '))],
    );
}

/// Replaces the checkpoint by what `write` makes of its text and the log's line.
fn note(fixture: &mut Fixture, write: impl Fn(&str, &str) -> String) {
    let old = fixture.proof().checkpoint.clone();
    let (text, line) = old.split_once("\n\n").unwrap();
    fixture.proof().checkpoint = write(&format!("{text}\n"), line);
}

/// Has the log sign another text than the tree's.
fn sign_text(fixture: &mut Fixture, name: &str, change: impl Fn(&str) -> String) {
    let old = fixture.proof().checkpoint.clone();
    let (text, _) = old.split_once("\n\n").unwrap();
    fixture.proof().checkpoint = fixture.log.note(name, &change(&format!("{text}\n")));
}

fn witness(name: &str) -> String {
    format!("— {name} {}\n", STANDARD.encode([&[7; 4], [1; 64].as_slice()].concat()))
}

// R85, R86, COS-05, COS-10
#[test]
fn checkpoint_is_signed_by_the_log_under_its_name() {
    let unsigned = Some("checkpoint has no signature of \"rekor.example.test\" by the log's key");
    for make in [v1, v2] {
        judge(
            make,
            &[
                ("R85 witness after", None, &|f| note(f, |text, line| format!("{text}\n{line}{}", witness("w.test")))),
                ("R85 witness before", None, &|f| note(f, |text, line| format!("{text}\n{}{line}", witness("w.test")))),
                ("COS-10 two witnesses", None, &|f| {
                    note(f, |text, line| format!("{text}\n{}{line}{}", witness("w.test/a"), witness("v.test")));
                }),
                ("R85 the log twice", None, &|f| note(f, |text, line| format!("{text}\n{line}{line}"))),
                ("R85 the log twice, one bad", None, &|f| {
                    let bad = f.log.line(HOST, "another text");
                    note(f, |text, line| format!("{text}\n{bad}{line}"));
                }),
                ("R85 the log's name by another key", None, &|f| {
                    note(f, |text, line| format!("{text}\n{}{line}", witness(HOST)));
                }),
                ("COS-10 the log's bad", unsigned, &|f| {
                    let bad = f.log.line(HOST, "another text");
                    note(f, |text, _| format!("{text}\n{bad}"));
                }),
                ("COS-10 the log's bad, a witness", unsigned, &|f| {
                    let bad = f.log.line(HOST, "another text");
                    note(f, |text, _| format!("{text}\n{bad}{}", witness("w.test")));
                }),
                ("COS-05 witnesses only", unsigned, &|f| note(f, |text, _| format!("{text}\n{}", witness("w.test")))),
                ("R85 unknown hint", unsigned, &|f| {
                    let mut other = TestLog::v1(Secret::p256());
                    std::mem::swap(&mut other.secret, &mut f.log.secret);
                    note(f, |text, _| format!("{text}\n{}", other.line(HOST, text)));
                }),
                ("R86 the log under another name", unsigned, &|f| sign_text(f, "other.example.test", str::to_owned)),
                ("name in another case", unsigned, &|f| sign_text(f, "Rekor.example.test", str::to_owned)),
                ("another key with the log's hint", unsigned, &|f| {
                    let mut forged = TestLog::v1(Secret::p256());
                    forged.known.id.clone_from(&f.log.known.id);
                    note(f, |text, _| format!("{text}\n{}", forged.line(HOST, text)));
                }),
                ("R92 extension lines", None, &|f| {
                    sign_text(f, HOST, |text| format!("{text}Timestamp: 99999999999999999999\nx\n"));
                }),
                ("an extension line added", unsigned, &|f| note(f, |text, line| format!("{text}x\n\n{line}"))),
                ("a checkpoint of another size", Some("inclusion proof and checkpoint name another tree"), &|f| {
                    let root = f.proof().root_hash.clone();
                    let first = head(if f.kind == Kind::RecordV2 { HOST } else { ORIGIN }, 8, &root);
                    f.proof().checkpoint = f.log.note(HOST, &first);
                }),
                ("32 signatures", None, &|f| {
                    note(f, |text, line| format!("{text}\n{}{line}", witness("w.test").repeat(31)));
                }),
                ("33 signatures", Some("checkpoint, in signatures, has 33, the limit is 32"), &|f| {
                    note(f, |text, line| format!("{text}\n{}{line}", witness("w.test").repeat(32)));
                }),
            ],
        );
    }
}

// R85, R86, COS-05
#[test]
fn origin_is_the_logs() {
    let origin = |f: &mut Fixture, name: &str, origin: &str| {
        sign_text(f, name, |text| format!("{origin}\n{}", text.split_once('\n').unwrap().1));
    };
    judge(
        v1,
        &[
            // Rekor v1 names itself after its machine unless it is told a name.
            ("a machine's name", None, &|f| origin(f, "rekor-0-56bf7777c9-jds5x", "rekor-0-56bf7777c9-jds5x - 42")),
            ("R85 another origin than the name", Some("checkpoint has no signature of \"other.example.test\""), &|f| {
                origin(f, HOST, "other.example.test - 42");
            }),
            ("no tree", Some("checkpoint is of \"rekor.example.test\", not of \"<name> - <tree>\""), &|f| {
                origin(f, HOST, HOST);
            }),
            ("tree without digits", Some("checkpoint is of \"rekor.example.test - x\""), &|f| {
                origin(f, HOST, "rekor.example.test - x");
            }),
            ("tree with a sign", Some("checkpoint is of \"rekor.example.test - -1\""), &|f| {
                origin(f, HOST, "rekor.example.test - -1");
            }),
            ("no name", Some("checkpoint is of \" - 42\""), &|f| origin(f, HOST, " - 42")),
            ("Rekor v1 in a log that signs as Rekor v2", Some("checkpoint is of \"rekor.example.test\""), &|f| {
                let body = f.body();
                f.log = TestLog::v2();
                f.root = root_of([&f.log.known]);
                f.log(&body);
                origin(f, HOST, HOST);
            }),
        ],
    );
    judge(
        v2,
        &[
            (
                "R86 another host in the root",
                Some("checkpoint is of \"rekor.example.test\", not of \"log.other.test\""),
                &|f| {
                    f.root.logs[0].base_url = "https://log.other.test".to_owned();
                },
            ),
            ("port and path", None, &|f| f.root.logs[0].base_url = format!("https://{HOST}:8443/shard/")),
            ("R86 another origin", Some("checkpoint is of \"log.other.test\", not of \"rekor.example.test\""), &|f| {
                origin(f, HOST, "log.other.test");
            }),
            ("R86 another origin and name", Some("checkpoint is of \"log.other.test\""), &|f| {
                origin(f, "log.other.test", "log.other.test");
            }),
            ("an origin of Rekor v1", Some("checkpoint is of \"rekor.example.test - 42\""), &|f| {
                origin(f, HOST, "rekor.example.test - 42");
            }),
            ("no host in the root", Some("log nowhere of the trusted root has no host"), &|f| {
                f.root.logs[0].base_url = "nowhere".to_owned();
            }),
        ],
    );
}

/// Writes a text from its lines.
type OfLines = fn(&[&str]) -> String;
/// Writes a note from its text and the log's line.
type OfParts = fn(&str, &str) -> String;

// R85, COS-05: missing lines, and whatever two readers could read differently
#[test]
fn checkpoint_has_one_form() {
    let malformed = |part: &str| format!("checkpoint has a malformed {part}");
    let signed: [(&str, &str, OfLines); 14] = [
        ("origin missing", "tree size", |l| format!("{}\n{}\n", l[1], l[2])),
        ("size missing", "tree size", |l| format!("{}\n{}\n", l[0], l[2])),
        ("root missing", "root hash", |l| format!("{}\n{}\n", l[0], l[1])),
        ("empty origin", "origin", |l| format!("\n{}\n{}\n", l[1], l[2])),
        ("size with a sign", "tree size", |l| format!("{}\n+{}\n{}\n", l[0], l[1], l[2])),
        ("size with a zero", "tree size", |l| format!("{}\n0{}\n{}\n", l[0], l[1], l[2])),
        ("size with a space", "tree size", |l| format!("{}\n{} \n{}\n", l[0], l[1], l[2])),
        ("size past 2^64", "tree size", |l| format!("{}\n18446744073709551616\n{}\n", l[0], l[2])),
        ("root of 31 bytes", "root hash", |l| format!("{}\n{}\n{}\n", l[0], l[1], STANDARD.encode([0; 31]))),
        ("root without padding", "root hash", |l| format!("{}\n{}\n{}\n", l[0], l[1], l[2].trim_end_matches('='))),
        ("carriage returns", "character", |l| format!("{}\r\n{}\r\n{}\r\n", l[0], l[1], l[2])),
        ("tab", "character", |l| format!("{}\n{}\n{}\n\t\n", l[0], l[1], l[2])),
        ("text twice", "signature line", |l| format!("{0}\n{1}\n{2}\n\n{0}\n{1}\n{2}\n", l[0], l[1], l[2])),
        ("two blank lines", "signature line", |l| format!("{}\n{}\n{}\n\n", l[0], l[1], l[2])),
    ];
    for (name, part, change) in signed {
        judge(
            v1,
            &[(name, Some(&malformed(part)), &|f| {
                sign_text(f, HOST, |text| change(&text.lines().collect::<Vec<_>>()));
            })],
        );
    }
    let written: [(&str, &str, OfParts); 12] = [
        ("no signature", "end", |text, _| format!("{text}\n")),
        ("no blank line", "end of its text", |text, line| format!("{text}{line}")),
        ("no newline at the end", "end", |text, line| format!("{text}\n{}", line.trim_end())),
        ("newline too many", "signature line", |text, line| format!("{text}\n{line}\n")),
        ("hyphen", "signature line", |text, line| format!("{text}\n{}", line.replace('—', "-"))),
        ("no name", "signature line", |text, line| format!("{text}\n{}", line.replace(HOST, ""))),
        ("name alone", "signature line", |text, _| format!("{text}\n— {HOST}\n")),
        ("name with a plus", "signature line", |text, line| format!("{text}\n{line}{}", witness("a+b"))),
        ("hint alone", "signature line", |text, line| format!("{text}\n{line}— w.test AAAAAA==\n")),
        ("not base64", "signature line", |text, line| format!("{text}\n{line}— w.test ?\n")),
        ("words after it", "signature line", |text, line| format!("{text}\n{} x\n", line.trim_end())),
        ("a blank line alone", "origin", |_, _| "\n\n".to_owned()),
    ];
    for (name, part, change) in written {
        judge(v1, &[(name, Some(&malformed(part)), &|f| note(f, change))]);
    }
    judge(
        v2,
        &[
            ("16 KiB", None, &|f| pad(f, 16 * 1024)),
            ("16 KiB and a byte", Some("checkpoint, in bytes, has 16385, the limit is 16384"), &|f| {
                pad(f, 16 * 1024 + 1);
            }),
        ],
    );
}

/// A checkpoint of exactly `size` bytes, all of it signed. Ed25519 signatures have one length.
fn pad(fixture: &mut Fixture, size: usize) {
    let missing = size - fixture.proof().checkpoint.len() - 1;
    sign_text(fixture, HOST, |text| format!("{text}{}\n", "x".repeat(missing)));
    assert_eq!(fixture.proof().checkpoint.len(), size);
}

#[test]
fn every_bit_of_a_checkpoint_is_signed() {
    for mut fixture in [v1(), v2()] {
        let good = fixture.proof().checkpoint.clone();
        for at in 0..good.len() {
            for bit in [0x01, 0x20] {
                let mut bytes = good.clone().into_bytes();
                bytes[at] ^= bit;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                fixture.proof().checkpoint = text;
                assert!(fixture.verify().is_err(), "byte {at} of {good:?}");
            }
        }
        fixture.proof().checkpoint = good;
        assert!(fixture.verify().is_ok());
    }
}

proptest! {
    #[test]
    fn any_change_of_a_proof_is_refused(size in 2_usize..=64, index in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
        for mut fixture in [v1(), v2()] {
            prove(&mut fixture, index.index(size), size);
            let hashes = fixture.proof().hashes.len();
            let byte = at.index(hashes * 32);
            fixture.proof().hashes[byte / 32][byte % 32] ^= flip;
            prop_assert!(fixture.verify().is_err());
            fixture.proof().hashes[byte / 32][byte % 32] ^= flip;
            fixture.proof().root_hash[byte % 32] ^= flip;
            prop_assert!(fixture.verify().is_err());
            sign_head(&mut fixture);
            prop_assert!(fixture.verify().is_err());
        }
    }

    #[test]
    fn any_other_index_or_size_is_refused(size in 2_usize..=64, index in any::<prop::sample::Index>(), other in any::<u64>(), near in 0_u64..70) {
        for mut fixture in [v1(), v2()] {
            prove(&mut fixture, index.index(size), size);
            let good = fixture.proof().clone();
            for other in [other, near] {
                if other != good.log_index {
                    fixture.proof().log_index = other;
                    if fixture.kind == Kind::RecordV2 {
                        fixture.entry.log_index = other;
                    }
                    prop_assert!(fixture.verify().is_err(), "index {other}");
                    (*fixture.proof(), fixture.entry.log_index) = (good.clone(), good.log_index);
                    if fixture.kind == Kind::Dsse {
                        fixture.promise();
                    }
                }
            }
        }
    }

    #[test]
    fn no_checkpoint_panics(text in any::<String>(), lines in "(—? ?[a-z0-9 ]{0,8}[A-Za-z0-9+/]{0,12}=?\n{0,2}){0,8}") {
        let _ = Checkpoint::parse(&text);
        let _ = Checkpoint::parse(&lines);
        let _ = Checkpoint::parse(&format!("a - 1\n1\n{}\n\n{lines}", STANDARD.encode([0; 32])));
    }
}
