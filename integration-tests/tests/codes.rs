//! The README's table of reason codes is the code's.

use std::{fmt::Write as _, fs, path::Path};

use countersign::reason::{Class, Code};

fn table() -> String {
    let mut table = String::from("| code | class | means | remedy |\n|---|---|---|---|\n");
    for code in Code::ALL {
        let class = match code.class() {
            Class::Yes => "yes",
            Class::No => "no",
            Class::Undecided => "don't know",
            Class::Broken => "broken",
        };
        writeln!(table, "| `{code}` | {class} | {} | {} |", code.meaning(), code.remedy()).unwrap();
    }
    table
}

// R112
#[test]
fn the_readme_lists_every_code_with_its_remedy() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let table = table();
    assert!(readme.contains(&table), "README.md's table of reason codes differs; it should be:\n\n{table}");
}
