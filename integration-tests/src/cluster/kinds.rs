//! What a fake cluster serves.

use serde_json::{Value, json};

/// A resource at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the API's own word")]
pub(super) struct Kind {
    /// Empty: the core.
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) kind: String,
    pub(super) namespaced: bool,
    /// Whether it has a status of its own, and a generation.
    pub(super) status: bool,
}

impl Kind {
    /// `group/version`, or the version alone.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// An object as this version shows it, or its metadata alone.
    pub(super) fn shown(&self, object: &Value, metadata_only: bool) -> Value {
        if metadata_only {
            return json!({
                "apiVersion": "meta.k8s.io/v1",
                "kind": "PartialObjectMetadata",
                "metadata": object["metadata"],
            });
        }
        let mut shown = object.clone();
        shown["apiVersion"] = json!(self.api_version());
        shown["kind"] = json!(self.kind);
        shown
    }

    /// `secrets`, `providers.externaldata.gatekeeper.sh`
    pub(super) fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }
}

const CORE: [(&str, &str, &str, &str, bool); 8] = [
    ("", "v1", "configmaps", "ConfigMap", true),
    ("", "v1", "events", "Event", true),
    ("", "v1", "namespaces", "Namespace", false),
    ("", "v1", "pods", "Pod", true),
    ("", "v1", "secrets", "Secret", true),
    ("", "v1", "serviceaccounts", "ServiceAccount", true),
    ("coordination.k8s.io", "v1", "leases", "Lease", true),
    ("events.k8s.io", "v1", "events", "Event", true),
];

/// What every cluster serves; of the rest of the core only what anything of ours asks for.
pub(super) fn core() -> Vec<Kind> {
    let kind = |(group, version, plural, kind, namespaced): (&str, &str, &str, &str, bool)| Kind {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        kind: kind.to_owned(),
        namespaced,
        status: false,
    };
    let definitions = Kind {
        status: true,
        ..kind(("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false))
    };
    CORE.into_iter().map(kind).chain([definitions]).collect()
}

/// What a definition adds, once it is established: a resource for each version that is served.
pub(super) fn of_definition(definition: &Value) -> Vec<Kind> {
    let is_established = definition["status"]["conditions"]
        .as_array()
        .is_some_and(|all| all.iter().any(|c| c["type"] == "Established" && c["status"] == "True"));
    if !is_established {
        return Vec::new();
    }
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let versions = spec["versions"].as_array().cloned().unwrap_or_default();
    let served = versions.iter().filter(|version| version["served"] != false);
    let kind = |version: &Value| Kind {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        plural: text(&spec["names"]["plural"]),
        kind: text(&spec["names"]["kind"]),
        namespaced: spec["scope"] == "Namespaced",
        status: true,
    };
    served.map(kind).collect()
}

/// A definition of one resource, as its maker sends it.
pub(super) fn definition(group: &str, versions: &[&str], kind: &str, plural: &str) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .enumerate()
        .map(|(index, name)| json!({ "name": name, "served": true, "storage": index == 0 }))
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group,
            "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
            "scope": "Cluster",
            "versions": versions,
        },
    })
}

/// What becomes of a definition that is accepted.
pub(super) fn established() -> Value {
    let condition = |name: &str| json!({ "type": name, "status": "True", "reason": name, "message": "" });
    json!({ "conditions": [condition("NamesAccepted"), condition("Established")] })
}

/// The resources of a group's version; `None`: there is no such thing.
pub(super) fn discovery(kinds: &[Kind], group: &str, version: &str) -> Option<Value> {
    let here: Vec<&Kind> = kinds.iter().filter(|kind| kind.group == group && kind.version == version).collect();
    let first = here.first()?;
    let mut resources = Vec::new();
    for kind in &here {
        let resource = |name: String| {
            json!({
                "name": name,
                "singularName": kind.kind.to_lowercase(),
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            })
        };
        resources.push(resource(kind.plural.clone()));
        if kind.status {
            resources.push(resource(format!("{}/status", kind.plural)));
        }
    }
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": first.api_version(),
        "resources": resources,
    }))
}

/// The groups, and their versions.
pub(super) fn groups(kinds: &[Kind]) -> Value {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for kind in kinds.iter().filter(|kind| !kind.group.is_empty()) {
        match groups.iter_mut().find(|(group, _)| *group == kind.group) {
            Some((_, versions)) if versions.contains(&kind.version) => {}
            Some((_, versions)) => versions.push(kind.version.clone()),
            None => groups.push((kind.group.clone(), vec![kind.version.clone()])),
        }
    }
    let group = |(name, versions): (String, Vec<String>)| {
        let version = |version: &String| json!({ "groupVersion": format!("{name}/{version}"), "version": version });
        let versions: Vec<Value> = versions.iter().map(version).collect();
        json!({ "name": name, "versions": versions, "preferredVersion": versions[0] })
    };
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups.into_iter().map(group).collect::<Vec<_>>() })
}
