//! Gatekeeper, as far as its objects show it: definitions, its webhook's word on Providers, what its pods report.

use serde_json::{Value, json};

use super::{
    answer::Answer,
    kinds::{self, Kind},
    world::{Key, World},
};

/// What Gatekeeper does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Gatekeeper {
    /// It is not installed: its kinds do not exist.
    #[default]
    Absent,
    /// One of its pods reports, the other is one generation behind.
    Behind,
    /// Its pods report this error.
    Complaining(String),
    /// Its kinds exist and its webhook answers; its pods report nothing.
    Idle,
    /// Its pods do what they should.
    Working,
}

/// Group, versions with the stored one first, kind, plural. Gatekeeper's mutators have no plural forms.
const DEFINITIONS: [(&str, &[&str], &str, &str); 7] = [
    ("expansion.gatekeeper.sh", &["v1beta1", "v1alpha1"], "ExpansionTemplate", "expansiontemplate"),
    ("externaldata.gatekeeper.sh", &["v1beta1", "v1alpha1"], "Provider", "providers"),
    ("mutations.gatekeeper.sh", &["v1", "v1beta1", "v1alpha1"], "Assign", "assign"),
    ("mutations.gatekeeper.sh", &["v1alpha1"], "AssignImage", "assignimage"),
    ("mutations.gatekeeper.sh", &["v1", "v1beta1", "v1alpha1"], "AssignMetadata", "assignmetadata"),
    ("mutations.gatekeeper.sh", &["v1", "v1beta1", "v1alpha1"], "ModifySet", "modifyset"),
    ("templates.gatekeeper.sh", &["v1", "v1beta1", "v1alpha1"], "ConstraintTemplate", "constrainttemplates"),
];

const CONSTRAINTS: &str = "constraints.gatekeeper.sh";

/// The pods that report.
const PODS: [&str; 2] = ["gatekeeper-audit-0", "gatekeeper-controller-manager-0"];

impl World {
    pub(super) fn set_gatekeeper(&mut self, gatekeeper: Gatekeeper) {
        if gatekeeper != Gatekeeper::Absent {
            for (group, versions, kind, plural) in DEFINITIONS {
                if self.get(&Key::new("customresourcedefinitions", "", &format!("{plural}.{group}"))).is_none() {
                    self.put(kinds::definition(group, versions, kind, plural));
                }
            }
        }
        self.gatekeeper = gatekeeper;
        let keys: Vec<Key> = self.objects.keys().cloned().collect();
        for key in &keys {
            self.reconcile(key);
        }
    }

    /// The validating webhook's word.
    pub(super) fn admit(&self, kind: &Kind, object: &Value) -> Result<(), Answer> {
        if self.gatekeeper == Gatekeeper::Absent || kind.plural != "providers" {
            return Ok(());
        }
        let spec = &object["spec"];
        let refusal = if !spec["url"].as_str().is_some_and(|url| url.starts_with("https://")) {
            "only HTTPS scheme is supported for Providers"
        } else if spec["caBundle"].as_str().is_none_or(str::is_empty) {
            "caBundle should be set for HTTPS scheme"
        } else {
            return Ok(());
        };
        let message = format!("admission webhook \"validation.gatekeeper.sh\" denied the request: {refusal}");
        Err(Answer::failure(422, "Invalid", &message))
    }

    /// Looks at an object that changed, as Gatekeeper's controllers do.
    pub(super) fn reconcile(&mut self, key: &Key) {
        let Some(value) = self.get(key).cloned() else { return };
        let group = value["apiVersion"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
        if !group.ends_with(".gatekeeper.sh") {
            return;
        }
        let generation = value["metadata"]["generation"].as_u64().unwrap_or(1);
        let (good, flag) = match key.plural.as_str() {
            "constrainttemplates" | "expansiontemplate" => (json!({}), None),
            "providers" => (json!({}), Some("active")),
            _ => (json!({}), Some("enforced")),
        };
        let pod = |name: &str, generation: u64| {
            let mut pod = good.clone();
            pod["id"] = json!(name);
            pod["observedGeneration"] = json!(generation);
            if let Some(flag) = flag {
                pod[flag] = json!(true);
            }
            pod
        };
        let mut status = match &self.gatekeeper {
            Gatekeeper::Absent | Gatekeeper::Idle => return,
            Gatekeeper::Behind => {
                json!({ "byPod": [pod(PODS[0], generation), pod(PODS[1], generation.saturating_sub(1))] })
            }
            Gatekeeper::Complaining(message) => {
                let fault = |name: &&str| {
                    json!({
                        "id": name,
                        "observedGeneration": generation,
                        "errors": [{ "code": "ingest_error", "type": "UpsertCache", "message": message }],
                    })
                };
                json!({ "byPod": PODS.iter().map(fault).collect::<Vec<_>>() })
            }
            Gatekeeper::Working => json!({ "byPod": PODS.map(|name| pod(name, generation)) }),
        };
        if key.plural == "constrainttemplates" {
            let created = !matches!(self.gatekeeper, Gatekeeper::Complaining(_));
            status["created"] = json!(created);
            if created {
                self.define_constraint(&value);
            }
        }
        self.report(key, status);
    }

    fn define_constraint(&mut self, template: &Value) {
        let kind = template["spec"]["crd"]["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
        let plural = kind.to_lowercase();
        if self.get(&Key::new("customresourcedefinitions", "", &format!("{plural}.{CONSTRAINTS}"))).is_none() {
            self.put(kinds::definition(CONSTRAINTS, &["v1beta1"], &kind, &plural));
        }
    }

    /// Takes a template's definition away with it, and with that its constraints.
    pub(super) fn reconcile_removal(&mut self, key: &Key, value: &Value) {
        if key.plural != "constrainttemplates" || self.gatekeeper == Gatekeeper::Absent {
            return;
        }
        let kind = value["spec"]["crd"]["spec"]["names"]["kind"].as_str().unwrap_or_default().to_lowercase();
        let constraints: Vec<Key> = self.objects.keys().filter(|key| key.plural == kind).cloned().collect();
        for key in &constraints {
            self.remove(key);
        }
        self.remove(&Key::new("customresourcedefinitions", "", &format!("{kind}.{CONSTRAINTS}")));
    }

    fn report(&mut self, key: &Key, status: Value) {
        let Some(object) = self.objects.get(key).cloned() else { return };
        if object.value["status"] == status {
            return;
        }
        let kinds = self.kinds();
        let Some(kind) = kinds.into_iter().find(|kind| kind.plural == key.plural) else { return };
        let mut value = object.value;
        value["status"] = status;
        self.commit(&kind, key, value, object.owners);
    }
}
