//! The Helm chart: what it renders fits together, asks for no right that it does not need, and configures the product.
//!
//! ```text
//! helm/countersign/ci/NAME.yaml ──helm, where there is one──► fixtures/chart/NAME.yaml ──► objects, references, rights, …
//! ```
//!
//! Golden files are checked without helm. Where it is installed it renders them again and must get the same:
//! `cargo test -p integration-tests -- --ignored writes_the_charts_golden_files` writes them anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize as _;
use serde_json::Value;

mod configuration;
mod hardening;
mod manifests;
mod objects;
mod references;
mod rendering;
mod rights;
mod values;

/// Where the chart is installed in the golden files, but for those that say otherwise.
const NAMESPACE: &str = "gatekeeper-system";
/// The release's name in the golden files.
const RELEASE: &str = "countersign";

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../helm/countersign")
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/chart")
}

/// The names, without `.yaml`, of a folder's files.
fn names(folder: &Path) -> Vec<String> {
    let name = |path: PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".yaml")?.to_owned());
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().filter_map(|entry| name(entry.unwrap().path())).collect();
    names.sort();
    names
}

fn yaml(text: &str) -> Value {
    serde_yaml_ng::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What the chart renders of one values file.
struct Rendered {
    name: String,
    objects: Vec<Object>,
}

/// One object of it.
#[derive(Debug, Clone, PartialEq)]
struct Object(Value);

impl Rendered {
    fn parse(name: &str, text: &str) -> Self {
        let documents = serde_yaml_ng::Deserializer::from_str(text)
            .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{name}: {error}")));
        let objects = documents.filter(|document| !document.is_null()).map(Object).collect();
        Self { name: name.to_owned(), objects }
    }

    fn all() -> Vec<Self> {
        let found = names(&golden());
        assert_eq!(found, names(&chart().join("ci")), "a golden file for each values file, and no other");
        let read =
            |name: &String| Self::parse(name, &fs::read_to_string(golden().join(format!("{name}.yaml"))).unwrap());
        found.iter().map(read).collect()
    }

    fn named(name: &str) -> Self {
        Self::all().into_iter().find(|rendered| rendered.name == name).unwrap()
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(move |object| object.kind() == kind)
    }

    fn only(&self, kind: &str) -> &Object {
        let found: Vec<&Object> = self.of_kind(kind).collect();
        assert_eq!(found.len(), 1, "{}: {kind}", self.name);
        found[0]
    }

    fn find(&self, kind: &str, name: &str) -> Option<&Object> {
        self.of_kind(kind).find(|object| object.name() == name)
    }

    /// Every Pod that it makes, by the object that makes it.
    fn pods(&self) -> Vec<(&Object, &Value)> {
        let pods = self.objects.iter().filter(|object| ["Deployment", "Job"].contains(&object.kind()));
        pods.map(|object| (object, &object.0["spec"]["template"])).collect()
    }

    /// The values that it was rendered of, over the chart's own.
    fn values(&self) -> Value {
        values::effective(&fs::read_to_string(chart().join(format!("ci/{}.yaml", self.name))).unwrap())
    }
}

impl Object {
    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn kind(&self) -> &str {
        self.text("/kind")
    }

    fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    fn is_hook(&self) -> bool {
        self.0.pointer("/metadata/annotations/helm.sh~1hook").is_some()
    }

    /// The names of its data.
    fn keys(&self) -> BTreeSet<String> {
        let data = self.0["data"].as_object().into_iter().flatten();
        data.map(|(key, _)| key.clone()).collect()
    }
}

/// A map of texts: labels, a selector.
fn labels(value: &Value) -> BTreeMap<String, String> {
    let text = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or_default().to_owned());
    value.as_object().into_iter().flatten().map(text).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().filter_map(Value::as_str).collect()
}
