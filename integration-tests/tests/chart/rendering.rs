//! Helm itself, where it is installed: what it renders is what the golden files have, and what cannot work is refused.

use std::{
    fs,
    io::{self, Write as _},
    process::{Command, Output},
};

use super::{NAMESPACE, Object, RELEASE, Rendered, chart, golden, names, values};

/// The namespace that a values file is rendered for.
fn namespace(name: &str) -> &str {
    if name == "other-namespace" { "image-trust" } else { NAMESPACE }
}

/// Helm with the chart; `None`, and a word on the terminal: it is not installed.
fn helm(arguments: &[&str]) -> Option<Output> {
    let ran = Command::new("helm").args(arguments).current_dir(chart()).output();
    match ran {
        Ok(output) => Some(output),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Past the test harness, which keeps what passing tests print.
            io::stderr().write_all(b"skipped: helm is not installed (the chart was not rendered anew)\n").unwrap();
            None
        }
        Err(error) => panic!("helm: {error}"),
    }
}

/// A version of Kubernetes is named, since a helm built from source believes in a very old one.
fn render(name: &str, values: &str) -> Option<Result<String, String>> {
    let output = helm(&[
        "template",
        RELEASE,
        ".",
        "--namespace",
        namespace(name),
        "--kube-version",
        "1.34.0",
        "--values",
        values,
    ])?;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Some(if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) })
}

/// Helm's order of objects of one kind is not the same in all its versions; their content is.
fn sorted(rendered: Rendered) -> Vec<Object> {
    let mut objects = rendered.objects;
    objects.sort_by_key(|object| (object.kind().to_owned(), object.namespace().to_owned(), object.name().to_owned()));
    objects
}

#[test]
fn golden_files_are_what_helm_renders() {
    for name in names(&chart().join("ci")) {
        let Some(rendered) = render(&name, &format!("ci/{name}.yaml")) else { return };
        let text = rendered.unwrap_or_else(|error| panic!("{name}: {error}"));
        let kept = fs::read_to_string(golden().join(format!("{name}.yaml"))).unwrap_or_default();
        let same = sorted(Rendered::parse(&name, &text)) == sorted(Rendered::parse(&name, &kept));
        assert!(same, "{name}: cargo test -p integration-tests -- --ignored writes_the_charts_golden_files");
    }
}

/// The one line that the README begins with, and those of older guides.
#[test]
fn certificates_come_by_every_name_that_guides_have_for_them() {
    let minimal = Rendered::named("minimal");
    let certificate = minimal.find("ConfigMap", RELEASE).unwrap().text("/data/notation-0.pem");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.pem");
    fs::write(&file, certificate).unwrap();
    let file = file.to_str().unwrap();
    for name in ["notationCerts[0]=FILE", "notationCerts={FILE}", "notationCert=FILE", "notaryCert=FILE"] {
        let argument = name.replace("FILE", file);
        let arguments =
            ["template", RELEASE, ".", "--namespace", NAMESPACE, "--kube-version", "1.34.0", "--set-file", &argument];
        let Some(output) = helm(&arguments) else { return };
        let rendered = Rendered::parse(name, &String::from_utf8(output.stdout).unwrap());
        assert_eq!(sorted(rendered), sorted(Rendered::named("minimal")), "{name}");
    }
}

#[test]
#[ignore = "writes into the source tree"]
fn writes_the_charts_golden_files() {
    for name in names(&chart().join("ci")) {
        let rendered = render(&name, &format!("ci/{name}.yaml")).expect("helm is needed");
        fs::write(golden().join(format!("{name}.yaml")), rendered.unwrap()).unwrap();
    }
}

#[test]
fn helm_lint_finds_nothing() {
    for name in names(&chart().join("ci")) {
        let values = format!("ci/{name}.yaml");
        let arguments =
            ["lint", ".", "--strict", "--namespace", namespace(&name), "--kube-version", "1.34.0", "--values", &values];
        let Some(output) = helm(&arguments) else { return };
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn helm_refuses_what_cannot_work_and_says_why() {
    for name in names(&chart().join("ci/bad")) {
        let values = format!("ci/bad/{name}.yaml");
        let Some(rendered) = render(&name, &values) else { return };
        let Err(error) = rendered else { panic!("{name} is rendered") };
        let text = fs::read_to_string(chart().join(values)).unwrap();
        let (by, words) = values::refusal(&text);
        assert_eq!(error.contains("don't meet the specifications of the schema"), by == "schema", "{name}: {error}");
        assert!(error.contains(words), "{name}: {error}");
    }
}
