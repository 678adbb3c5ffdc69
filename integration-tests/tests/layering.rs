//! Who may know whom: `crate::` paths in `src/**` against the layer table in `src/lib.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Families whose members are plugins: a member never knows a sibling.
const FAMILIES: [&str; 3] = ["store", "verifier", "policy"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `store/registry/auth.rs` → `["store", "registry", "auth"]`.
fn module(path: &Path) -> Vec<String> {
    let relative = path.strip_prefix(source()).unwrap().with_extension("");
    relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect()
}

/// The text without comments and without what only tests see.
fn production(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// First two names of each `crate::` path, use groups unfolded one level.
fn paths(code: &str) -> BTreeSet<(String, Option<String>)> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(names(rest));
            continue;
        };
        let mut depth = 0_usize;
        let mut start = 0;
        for (index, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                ',' if depth == 0 => {
                    found.insert(names(group[start..index].trim()));
                    start = index + 1;
                }
                '}' if depth == 0 => {
                    found.insert(names(group[start..index].trim()));
                    break;
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    found.retain(|(first, _)| !first.is_empty());
    found
}

fn names(path: &str) -> (String, Option<String>) {
    let ident = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let first = ident(path);
    let second = path[first.len()..].strip_prefix("::").map(ident).filter(|name| !name.is_empty());
    (first, second)
}

/// The table of `src/lib.rs`: module or `family::*` → what it may use; `None`: all above.
fn table() -> BTreeMap<String, Option<BTreeSet<String>>> {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut table = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if cells.len() < 3 || cells[0].parse::<u8>().is_err() {
            continue;
        }
        let may = if cells[2].starts_with("all above") { None } else { Some(quoted(cells[2]).into_iter().collect()) };
        for module in quoted(cells[1]) {
            table.insert(module, may.clone());
        }
    }
    table
}

#[test]
fn every_import_is_allowed_by_the_layer_table() {
    let table = table();
    assert!(table.len() > 12, "the table was not read: {table:?}");
    let mut all = Vec::new();
    files(&source(), &mut all);
    let mut offences = Vec::new();
    for path in all {
        let module = module(&path);
        let top = module[0].as_str();
        let is_test = module.last().is_some_and(|name| name.ends_with("tests") || name.ends_with("test"));
        if matches!(top, "lib" | "main") || is_test || module.iter().any(|name| name.ends_with("tests")) {
            continue;
        }
        let member = FAMILIES.contains(&top).then(|| module.get(1)).flatten();
        let row = if member.is_some() { format!("{top}::*") } else { top.to_owned() };
        let Some(may) = table.get(&row) else {
            offences.push(format!("{}: module {row} is not in the table", path.display()));
            continue;
        };
        for (first, second) in paths(&production(&fs::read_to_string(&path).unwrap())) {
            let own = first == top;
            let allowed = may.as_ref().is_none_or(|may| own || may.contains(&first));
            let sibling = own
                && member.is_some_and(|member| {
                    second.as_ref().is_some_and(|second| {
                        second != member && source().join(top).join(format!("{second}.rs")).exists()
                    })
                });
            // `threshold` is written over `scope`: the scope grammar is the policy family's own vocabulary.
            if !allowed || (sibling && second.as_deref() != Some("scope")) {
                offences.push(format!(
                    "{}: crate::{first}{}",
                    path.display(),
                    second.map(|s| format!("::{s}")).unwrap_or_default()
                ));
            }
        }
    }
    assert!(offences.is_empty(), "imports against the table in src/lib.rs:\n{}", offences.join("\n"));
}

// Item 108, R93, R120: everything that a verdict depends on is handed in.
#[test]
fn only_those_who_may_read_the_clock_the_environment_and_the_network() {
    let mut all = Vec::new();
    files(&source(), &mut all);
    let mut seen = 0;
    for path in all {
        let module = module(&path);
        let module: Vec<&str> = module.iter().map(String::as_str).collect();
        if module.iter().any(|name| name.ends_with("tests")) {
            continue;
        }
        let code = production(&fs::read_to_string(&path).unwrap());
        for (word, allowed) in [
            ("SystemTime::now", module[0] == "time"),
            ("now_utc()", module[0] == "time"),
            ("env::var", module[0] == "config"),
            // The other ways out: traces, and TUF repositories of trusted roots, to where the operator says.
            (
                "reqwest::",
                module.starts_with(&["store", "registry"])
                    || module == ["telemetry", "trace"]
                    || module == ["app", "roots", "http"]
                    || module[0] == "demo",
            ),
            // The loopback registry of a plugin's run only answers.
            (
                "hyper::",
                module.starts_with(&["store", "registry"])
                    || module.starts_with(&["verifier", "exec", "facade"])
                    || module == ["kubernetes", "cluster"]
                    || module[0] == "demo",
            ),
            ("TcpStream", module.starts_with(&["store", "registry"]) || matches!(module[0], "demo" | "server")),
        ] {
            let found = code.contains(word);
            assert!(!found || allowed, "{word} in {}", path.display());
            seen += u32::from(found);
        }
    }
    assert!(seen >= 3, "the words are still those that the code uses");
}

#[test]
fn the_reader_of_imports_sees_groups_and_plain_paths() {
    let code = "use crate::{\n a::{b, c},\n d,\n};\nfn f() { crate::e::g(); }\n";
    let found: Vec<_> = paths(code).into_iter().map(|(first, _)| first).collect();
    assert_eq!(found, ["a", "d", "e"]);
}
