//! Who owns which field: what server-side apply needs to know. A list is one field, as it is in a resource whose schema says nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// The names that lead to a field.
pub(super) type Path = Vec<String>;

/// Who wrote, and how: one name has one set of fields for its applies and another for its updates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) applies: bool,
}

/// Which fields each manager owns. A field may have several.
pub(super) type Owners = BTreeMap<Manager, BTreeSet<Path>>;

/// A field that somebody else owns with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) manager: String,
    pub(super) path: Path,
}

impl Conflict {
    /// `.spec.caBundle`
    pub(super) fn field(&self) -> String {
        self.path.iter().fold(String::new(), |text, name| format!("{text}.{name}"))
    }
}

/// The fields that somebody may own, with their values.
pub(super) fn leaves(object: &Value) -> BTreeMap<Path, Value> {
    let mut found = BTreeMap::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                for part in ["annotations", "labels", "finalizers", "ownerReferences"] {
                    if let Some(value) = value.get(part) {
                        collect(vec![name.clone(), part.to_owned()], value, &mut found);
                    }
                }
            }
            _ => collect(vec![name.clone()], value, &mut found),
        }
    }
    found
}

fn collect(path: Path, value: &Value, found: &mut BTreeMap<Path, Value>) {
    match value.as_object() {
        Some(members) if !members.is_empty() => {
            for (name, member) in members {
                let mut below = path.clone();
                below.push(name.clone());
                collect(below, member, found);
            }
        }
        _ => drop(found.insert(path, value.clone())),
    }
}

/// Who owns what after `after` was written over `before`: what changed is the writer's alone.
pub(super) fn after_update(before: Option<(&Value, &Owners)>, after: &Value, name: &str) -> Owners {
    let (old, mut owners) = before.map_or_else(Default::default, |(value, owners)| (leaves(value), owners.clone()));
    let new = leaves(after);
    let changed: BTreeSet<Path> =
        new.iter().filter(|(path, value)| old.get(*path) != Some(*value)).map(|(path, _)| path.clone()).collect();
    for owned in owners.values_mut() {
        owned.retain(|path| new.contains_key(path) && !changed.contains(path));
    }
    if !changed.is_empty() {
        let writer = Manager { name: name.to_owned(), applies: false };
        owners.entry(writer).or_default().extend(changed);
    }
    owners.retain(|_, owned| !owned.is_empty());
    owners
}

/// What becomes of an object when `manager` applies `wanted`: its fields are set, and those that it once applied and no longer names, and nobody
/// else owns, are taken away.
pub(super) fn apply(
    live: Option<(&Value, &Owners)>,
    wanted: &Value,
    name: &str,
    force: bool,
) -> Result<(Value, Owners), Vec<Conflict>> {
    let manager = Manager { name: name.to_owned(), applies: true };
    let Some((live, owners)) = live else {
        let owned = leaves(wanted).into_keys().collect();
        return Ok((wanted.clone(), BTreeMap::from([(manager, owned)])));
    };
    let (mut object, mut owners) = (live.clone(), owners.clone());
    let (old, new) = (leaves(live), leaves(wanted));
    let differs = |path: &Path| old.get(path) != new.get(path);
    let conflicts: Vec<Conflict> = owners
        .iter()
        .filter(|(other, _)| **other != manager)
        .flat_map(|(other, owned)| owned.iter().map(|path| (other.name.clone(), path.clone())))
        .filter(|(_, path)| new.contains_key(path) && differs(path))
        .map(|(manager, path)| Conflict { manager, path })
        .collect();
    if !conflicts.is_empty() && !force {
        return Err(conflicts);
    }
    for conflict in &conflicts {
        for owned in owners.values_mut() {
            owned.remove(&conflict.path);
        }
    }
    let before = owners.remove(&manager).unwrap_or_default();
    for path in before.iter().filter(|path| !new.contains_key(*path)) {
        if !owners.values().any(|owned| owned.contains(path)) {
            take(&mut object, path);
        }
    }
    for (path, value) in &new {
        set(&mut object, path, value.clone());
    }
    owners.insert(manager, new.into_keys().collect());
    owners.retain(|_, owned| !owned.is_empty());
    Ok((object, owners))
}

fn set(object: &mut Value, path: &[String], value: Value) {
    let mut place = object;
    for name in path {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name.as_str()];
    }
    *place = value;
}

/// Takes a field away, and what it leaves empty.
fn take(object: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    let Some(members) = object.as_object_mut() else { return };
    if rest.is_empty() {
        members.remove(first);
    } else if let Some(below) = members.get_mut(first) {
        take(below, rest);
        if below.as_object().is_some_and(Map::is_empty) {
            members.remove(first);
        }
    }
}

/// As `metadata.managedFields` shows it.
pub(super) fn render(owners: &Owners, api_version: &str) -> Value {
    let entry = |(manager, owned): (&Manager, &BTreeSet<Path>)| {
        let mut fields = json!({});
        for path in owned {
            let marked: Vec<String> = path.iter().map(|name| format!("f:{name}")).collect();
            set(&mut fields, &marked, json!({}));
        }
        json!({
            "manager": manager.name,
            "operation": if manager.applies { "Apply" } else { "Update" },
            "apiVersion": api_version,
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        })
    };
    owners.iter().map(entry).collect()
}
