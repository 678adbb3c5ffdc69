//! What the README shows is true: its configuration is valid, the files that it names exist.

use std::{fs, path::Path};

use countersign::config::{Config, Process};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The blocks of a language, without the indentation of the list that they stand in.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start() == format!("```{language}") {
            let block = lines.by_ref().take_while(|line| line.trim_start() != "```");
            blocks.push(block.map(|line| line.get(indent..).unwrap_or_default()).collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

#[test]
fn configurations_in_the_readme_are_valid() {
    let blocks = blocks(&readme(), "yaml");
    assert!(!blocks.is_empty());
    for block in blocks {
        let parsed = Config::parse(&block, Path::new("."), &Process::default());
        assert!(parsed.is_ok(), "{block}\n{:?}", parsed.err());
    }
}

#[test]
fn files_that_the_readme_names_exist() {
    let readme = readme();
    let named: Vec<&str> = readme
        .split(|c: char| c.is_whitespace() || matches!(c, '`' | '(' | ')' | ',' | ';'))
        .filter(|word| {
            ["rego/", "config/", "helm/", "src/", "integration-tests/"].iter().any(|folder| word.starts_with(folder))
        })
        .map(|word| word.trim_end_matches(['.', ':']))
        .collect();
    assert!(named.len() > 8, "{named:?}");
    for path in named {
        assert!(root().join(path).exists(), "{path}");
    }
}
