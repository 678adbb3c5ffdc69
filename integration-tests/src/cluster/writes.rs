//! What changes objects: create, update, merge, server-side apply, delete.

use serde_json::{Value, json};

use super::{
    answer::{Answer, failure},
    call::{Call, Verb},
    fields::{self, Conflict},
    kinds::Kind,
    world::{Key, World, missing, take_strings},
};

impl World {
    /// `Err`: the refusal.
    pub(super) fn write(&mut self, call: &Call, kind: &Kind, mut key: Key) -> Result<Answer, Answer> {
        if call.verb == Verb::Delete {
            return self.delete(call, kind, &key);
        }
        let bad = |message: &str| Answer::failure(400, "BadRequest", message);
        let mut body = call.body.clone().ok_or_else(|| bad("the body of the request is no JSON"))?;
        if call.verb == Verb::Create {
            body["metadata"]["name"].as_str().unwrap_or_default().clone_into(&mut key.name);
        }
        if key.name.is_empty() {
            return Err(bad("name is required"));
        }
        if key.namespace.is_empty() == kind.namespaced {
            return Err(bad("an object's namespace and its kind's scope do not fit"));
        }
        if body["metadata"]["name"].as_str().is_some_and(|name| name != key.name) {
            return Err(bad("the name of the object does not match the name on the URL"));
        }
        if kind.plural == "secrets" {
            take_strings(&mut body);
        }
        let live = self.objects.get(&key);
        match (call.verb, live) {
            (Verb::Create, Some(_)) => {
                let message = format!("{} {:?} already exists", kind.resource(), key.name);
                return Err(Answer::failure(409, "AlreadyExists", &message));
            }
            (Verb::Patch | Verb::Update, None) => return Err(missing(kind, &key)),
            _ => {}
        }
        if let Some(live) = live
            && let Some(version) = body["metadata"]["resourceVersion"].as_str()
            && live.value["metadata"]["resourceVersion"] != version
        {
            let message = format!(
                "Operation cannot be fulfilled on {} {:?}: the object has been modified; please apply your changes to the latest version and try again",
                kind.resource(),
                key.name
            );
            return Err(Answer::failure(409, "Conflict", &message));
        }
        let is_new = live.is_none();
        let object = self.change(call, kind, &key, &body)?;
        Ok(Answer::Json(if is_new { 201 } else { 200 }, kind.shown(&object, call.metadata_only)))
    }

    #[expect(clippy::too_many_lines, reason = "the steps of one write, in their order")]
    fn change(&mut self, call: &Call, kind: &Kind, key: &Key, body: &Value) -> Result<Value, Answer> {
        let live = self.objects.get(key);
        let before = live.map(|live| (&live.value, &live.owners));
        let (mut next, owners) = match call.verb {
            Verb::Apply => {
                if call.query.get("fieldManager").is_none_or(String::is_empty) {
                    return Err(Answer::failure(400, "BadRequest", "fieldManager is required for apply patch"));
                }
                fields::apply(before, body, &call.manager(), call.says("force"))
                    .map_err(|conflicts| conflict(kind, &conflicts))?
            }
            Verb::Patch => {
                let mut next = live.map(|live| live.value.clone()).unwrap_or_default();
                merge(&mut next, body);
                let owners = fields::after_update(before, &next, &call.manager());
                (next, owners)
            }
            Verb::Create
            | Verb::Delete
            | Verb::Discover
            | Verb::Get
            | Verb::List
            | Verb::Other
            | Verb::Update
            | Verb::Watch => (body.clone(), fields::after_update(before, body, &call.manager())),
        };
        if let Some(live) = live {
            keep_system_fields(&live.value, &mut next);
            if call.subresource == "status" {
                let status = next["status"].take();
                next = live.value.clone();
                next["status"] = status;
            } else if kind.status {
                next["status"] = live.value["status"].clone();
            }
            if next == live.value && owners == live.owners {
                return Ok(next);
            }
        } else if kind.status
            && let Some(members) = next.as_object_mut()
        {
            members.remove("status");
        }
        if next["status"].is_null()
            && let Some(members) = next.as_object_mut()
        {
            members.remove("status");
        }
        next["metadata"]["name"] = json!(key.name);
        if kind.namespaced {
            next["metadata"]["namespace"] = json!(key.namespace);
        }
        next["apiVersion"] = json!(kind.api_version());
        next["kind"] = json!(kind.kind);
        self.admit(kind, &next)?;
        if call.query.get("dryRun").is_some_and(|run| run == "All") {
            return Ok(next);
        }
        let owners = match (live, call.subresource.as_str()) {
            (Some(live), "status") => live.owners.clone(),
            _ => owners,
        };
        Ok(self.commit(kind, key, next, owners))
    }

    fn delete(&mut self, call: &Call, kind: &Kind, key: &Key) -> Result<Answer, Answer> {
        let live = self.get(key).ok_or_else(|| missing(kind, key))?;
        let wanted = call.body.as_ref().map(|body| body["preconditions"].clone()).unwrap_or_default();
        for field in ["uid", "resourceVersion"] {
            if !wanted[field].is_null() && wanted[field] != live["metadata"][field] {
                return Err(Answer::failure(409, "Conflict", "Precondition failed"));
            }
        }
        self.remove(key);
        Ok(Answer::ok(
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 200 }),
        ))
    }
}

/// What no writer decides.
fn keep_system_fields(live: &Value, next: &mut Value) {
    for field in ["uid", "creationTimestamp", "generation", "resourceVersion", "managedFields"] {
        next["metadata"][field] = live["metadata"][field].clone();
    }
    if let Some(metadata) = next["metadata"].as_object_mut() {
        metadata.retain(|_, value| !value.is_null());
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Some(members) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in members {
        if value.is_null() {
            target.as_object_mut().map(|target| target.remove(name));
        } else {
            merge(&mut target[name.as_str()], value);
        }
    }
}

fn conflict(kind: &Kind, conflicts: &[Conflict]) -> Answer {
    let version = kind.api_version();
    let parts: Vec<String> = conflicts
        .iter()
        .map(|conflict| format!("conflict with {:?} using {version}: {}", conflict.manager, conflict.field()))
        .collect();
    let noun = if parts.len() == 1 { "conflict" } else { "conflicts" };
    let message = format!("Apply failed with {} {noun}: {}", parts.len(), parts.join(", "));
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|conflict| {
            json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {:?} using {version}", conflict.manager),
                "field": conflict.field(),
            })
        })
        .collect();
    let mut body = failure(409, "Conflict", &message);
    body["details"] = json!({ "causes": causes });
    Answer::Json(409, body)
}
