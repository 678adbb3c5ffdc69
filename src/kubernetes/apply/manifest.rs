//! The objects that make Gatekeeper ask us: those in this binary, or an operator's own.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::bundle::CaBundle;
use crate::{config, reason};

/// The manifests of `rego/`, as they are published.
const BUILT_IN: [(&str, &str); 8] = [
    ("provider.yaml", include_str!("../../../rego/provider.yaml")),
    ("template.yaml", include_str!("../../../rego/template.yaml")),
    ("expansion.yaml", include_str!("../../../rego/expansion.yaml")),
    ("mutation/containers.yaml", include_str!("../../../rego/mutation/containers.yaml")),
    ("mutation/ephemeral-containers.yaml", include_str!("../../../rego/mutation/ephemeral-containers.yaml")),
    ("mutation/image-volumes.yaml", include_str!("../../../rego/mutation/image-volumes.yaml")),
    ("mutation/init-containers.yaml", include_str!("../../../rego/mutation/init-containers.yaml")),
    ("constraint.yaml", include_str!("../../../rego/constraint.yaml")),
];

/// What stands for the CA bundle in a manifest that has none of its own.
const BUNDLE_PLACEHOLDER: &str = "CA_BUNDLE";
/// Largest manifest: no object in a cluster is larger.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Most files of a folder, and most objects in all.
const MAX_MANIFESTS: usize = 64;
/// Longest name of an object (RFC 1123, DNS subdomain).
const MAX_NAME_BYTES: usize = 253;

/// What an object is for, as `--only` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The `ConstraintTemplate` and its constraint.
    Constraint,
    /// Workloads judged by the Pods that they would make.
    Expansion,
    /// Tags pinned to digests: the Provider of `/mutate` and the mutators.
    Mutation,
    /// The Provider of `/verify`.
    Verify,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Constraint, Self::Expansion, Self::Mutation, Self::Verify];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constraint => "constraint",
            Self::Expansion => "expansion",
            Self::Mutation => "mutation",
            Self::Verify => "verify",
        })
    }
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|part| part.to_string() == text);
        found.ok_or_else(|| format!("one of {}", Self::ALL.map(|part| part.to_string()).join(", ")))
    }
}

/// The kinds that are applied, in this order: what is referred to comes first, what refuses comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Provider,
    ConstraintTemplate,
    ExpansionTemplate,
    Mutator,
    Constraint,
}

impl Kind {
    fn of(group: &str, kind: &str) -> Option<Self> {
        match (group, kind) {
            ("externaldata.gatekeeper.sh", "Provider") => Some(Self::Provider),
            ("templates.gatekeeper.sh", "ConstraintTemplate") => Some(Self::ConstraintTemplate),
            ("expansion.gatekeeper.sh", "ExpansionTemplate") => Some(Self::ExpansionTemplate),
            ("mutations.gatekeeper.sh", "Assign" | "AssignImage" | "AssignMetadata" | "ModifySet") => {
                Some(Self::Mutator)
            }
            (CONSTRAINTS, _) => Some(Self::Constraint),
            _ => None,
        }
    }
}

/// The group of all constraints.
pub(super) const CONSTRAINTS: &str = "constraints.gatekeeper.sh";

/// Why there are no manifests.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A file or folder cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no manifest, or one that is not ours to apply.
    #[error("{origin}: {fault}")]
    Fault {
        /// The file, and which of its documents.
        origin: String,
        /// What is wrong with it.
        fault: String,
    },
    /// Nothing is left to apply.
    #[error("there is nothing to apply")]
    Nothing,
    /// More than is applied at once.
    #[error("more than {MAX_MANIFESTS} files or objects")]
    TooMany,
}

/// An object to be applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub(super) kind: Kind,
    pub(super) part: Part,
    pub(super) group: String,
    pub(super) version: String,
    /// `Provider`, `VerifiedImages`
    pub(super) kind_name: String,
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// Without what Gatekeeper or somebody else decides: a status, a CA bundle.
    pub(super) spec: Map<String, Value>,
    /// The CA bundle that the manifest itself has.
    pub(super) bundle: Option<CaBundle>,
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind_name, self.name)
    }
}

impl Manifest {
    /// What this binary brings, in order.
    ///
    /// # Errors
    /// [`ManifestError`]: a fault of the build, which a test excludes.
    pub fn built_in() -> Result<Vec<Self>, ManifestError> {
        let mut all = Vec::new();
        for (name, text) in BUILT_IN {
            read(name, text, &mut all)?;
        }
        in_order(all)
    }

    /// What the `*.yaml`, `*.yml` and `*.json` files of some folders bring, in order. Folders in folders are not looked into.
    ///
    /// # Errors
    /// [`ManifestError`]: whatever is there and cannot be applied refuses the whole.
    pub fn of_folders(folders: &[PathBuf]) -> Result<Vec<Self>, ManifestError> {
        let mut all = Vec::new();
        for folder in folders {
            for path in files(folder)? {
                let text = read_file(&path)?;
                read(&path.display().to_string(), &text, &mut all)?;
            }
        }
        in_order(all)
    }

    /// What it is for.
    pub const fn part(&self) -> Part {
        self.part
    }

    /// The object as it is sent, with the CA bundle that is not its own.
    pub(super) fn object(&self, bundle: Option<&CaBundle>) -> Value {
        self.object_with(bundle.map(CaBundle::base64))
    }

    /// The same with a CA bundle as a Provider has it.
    pub(super) fn object_with(&self, bundle: Option<&str>) -> Value {
        let mut metadata =
            Map::from_iter([("name".to_owned(), json!(self.name)), ("labels".to_owned(), json!(self.labels))]);
        if !self.annotations.is_empty() {
            metadata.insert("annotations".to_owned(), json!(self.annotations));
        }
        let mut spec = self.spec.clone();
        if let Some(bundle) = bundle {
            spec.insert("caBundle".to_owned(), json!(bundle));
        }
        json!({ "apiVersion": self.api_version(), "kind": self.kind_name, "metadata": metadata, "spec": spec })
    }

    /// Its name and a CA bundle, and nothing else.
    pub(super) fn bundle_alone(&self, bundle: &CaBundle) -> Value {
        json!({
            "apiVersion": self.api_version(),
            "kind": self.kind_name,
            "metadata": { "name": self.name },
            "spec": { "caBundle": bundle.base64() },
        })
    }

    pub(super) fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }
}

/// The manifests as one list, for review or for other tools. Providers have the bundle that is given, or their own, or none.
pub fn to_list(manifests: &[Manifest], bundle: Option<&CaBundle>) -> Value {
    let item = |manifest: &Manifest| match manifest.kind {
        Kind::Provider => manifest.object(bundle.or(manifest.bundle.as_ref())),
        Kind::ConstraintTemplate | Kind::ExpansionTemplate | Kind::Mutator | Kind::Constraint => manifest.object(None),
    };
    json!({ "apiVersion": "v1", "kind": "List", "items": manifests.iter().map(item).collect::<Vec<_>>() })
}

fn in_order(mut all: Vec<Manifest>) -> Result<Vec<Manifest>, ManifestError> {
    if all.is_empty() {
        return Err(ManifestError::Nothing);
    }
    // Stable: within a kind as they were read.
    all.sort_by_key(|manifest| manifest.kind);
    for (index, manifest) in all.iter().enumerate() {
        let is_same = |other: &Manifest| {
            (&other.group, &other.kind_name, &other.name) == (&manifest.group, &manifest.kind_name, &manifest.name)
        };
        if all.iter().skip(index.saturating_add(1)).any(is_same) {
            return Err(ManifestError::Fault { origin: manifest.to_string(), fault: "stands twice".to_owned() });
        }
    }
    Ok(all)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    let unreadable = |source| ManifestError::File { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_named = path.extension().is_some_and(|end| ["json", "yaml", "yml"].iter().any(|known| end == *known));
        if is_named && !is_hidden && path.is_file() {
            found.push(path);
        }
        if found.len() > MAX_MANIFESTS {
            return Err(ManifestError::TooMany);
        }
    }
    found.sort();
    Ok(found)
}

fn read_file(path: &Path) -> Result<String, ManifestError> {
    let unreadable = |source| ManifestError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let open = File::open(path).map_err(unreadable)?;
    open.take(MAX_FILE_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    let fault = |fault: String| ManifestError::Fault { origin: path.display().to_string(), fault };
    if u64::try_from(bytes.len()).is_ok_and(|size| size > MAX_FILE_BYTES) {
        return Err(fault(format!("more than {MAX_FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| fault("is no UTF-8 text".to_owned()))
}

fn read(origin: &str, text: &str, all: &mut Vec<Manifest>) -> Result<(), ManifestError> {
    let fault = |fault: String| ManifestError::Fault { origin: origin.to_owned(), fault };
    for document in config::documents(text).map_err(&fault)? {
        all.push(parse(document).map_err(&fault)?);
        if all.len() > MAX_MANIFESTS {
            return Err(ManifestError::TooMany);
        }
    }
    Ok(())
}

/// Reads one object. What an API server or Gatekeeper writes into it is left out; anything else that is not known is refused.
fn parse(document: Value) -> Result<Manifest, String> {
    let Value::Object(mut members) = document else { return Err("no object".to_owned()) };
    let mut text = |name: &str| match members.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(format!("{name} is missing, or no text")),
    };
    let (api_version, kind_name) = (text("apiVersion")?, text("kind")?);
    let named = format!("{kind_name} of {api_version}");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version.as_str()));
    let kind = Kind::of(group, &kind_name)
        .ok_or_else(|| format!("{} is none of Gatekeeper's kinds that are applied", reason::printable(&named, 200)))?;
    members.remove("status");
    let metadata = members.remove("metadata").unwrap_or_default();
    let Some(Value::Object(mut spec)) = members.remove("spec") else { return Err("spec is missing".to_owned()) };
    if let Some(other) = members.keys().next() {
        return Err(format!("{} is no member of a manifest", reason::printable(other, 100)));
    }
    let Metadata { name, labels, annotations } = Metadata::parse(metadata)?;
    let bundle = match spec.remove("caBundle") {
        Some(Value::String(text)) if kind == Kind::Provider && text != BUNDLE_PLACEHOLDER => {
            Some(CaBundle::from_base64(&text).map_err(|error| format!("spec.caBundle {}", reason::chain(&error)))?)
        }
        Some(other) if kind != Kind::Provider => {
            spec.insert("caBundle".to_owned(), other);
            None
        }
        _ => None,
    };
    let part = match kind {
        Kind::Constraint | Kind::ConstraintTemplate => Part::Constraint,
        Kind::ExpansionTemplate => Part::Expansion,
        Kind::Mutator => Part::Mutation,
        Kind::Provider => {
            let url = spec.get("url").and_then(Value::as_str).ok_or("spec.url is missing")?;
            if url.ends_with("/mutate") { Part::Mutation } else { Part::Verify }
        }
    };
    let (group, version) = (group.to_owned(), version.to_owned());
    Ok(Manifest { kind, part, group, version, kind_name, name, labels, annotations, spec, bundle })
}

struct Metadata {
    name: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Metadata {
    fn parse(value: Value) -> Result<Self, String> {
        let Value::Object(mut members) = value else { return Err("metadata is missing".to_owned()) };
        let mut texts = |name: &str| match members.remove(name) {
            None => Ok(BTreeMap::new()),
            Some(map) => serde_json::from_value(map).map_err(|_| format!("metadata.{name} is no map of texts")),
        };
        let (mut labels, annotations): (BTreeMap<String, String>, _) = (texts("labels")?, texts("annotations")?);
        labels.insert("app.kubernetes.io/part-of".to_owned(), "countersign".to_owned());
        let name = members.remove("name").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(inner) {
            return Err("metadata.name is no name of an object".to_owned());
        }
        // What an API server writes: a manifest may have been read from a cluster.
        for field in ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"] {
            members.remove(field);
        }
        match members.keys().next() {
            Some(other) => Err(format!("metadata.{} is not applied", reason::printable(other, 100))),
            None => Ok(Self { name, labels, annotations }),
        }
    }
}

#[cfg(test)]
mod tests;
