//! What a fake cluster keeps: objects, who owns their fields, what happened, who watches.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    answer::Answer,
    call::{Call, Verb},
    fields::{self, Owners},
    gatekeeper::Gatekeeper,
    kinds::{self, Kind},
    selector::Selector,
    watch_stream::{Interruption, Watch},
};

/// An object's place. Plural names are unique among what is served.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) plural: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(plural: &str, namespace: &str, name: &str) -> Self {
        Self { plural: plural.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) value: Value,
    pub(super) owners: Owners,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) struct Event {
    version: u64,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub(super) change: &'static str,
    pub(super) key: Key,
    /// As it was after it.
    pub(super) object: Value,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) objects: BTreeMap<Key, Object>,
    pub(super) gatekeeper: Gatekeeper,
    version: u64,
    compacted: u64,
    history: Vec<Event>,
    watches: Vec<Watch>,
}

impl World {
    pub(super) fn answer(&mut self, call: &Call) -> Answer {
        let kinds = self.kinds();
        if call.verb == Verb::Discover {
            if call.group.is_empty() && call.version.is_empty() {
                return Answer::ok(kinds::groups(&kinds));
            }
            let found = kinds::discovery(&kinds, &call.group, &call.version);
            return found.map_or_else(nowhere, Answer::ok);
        }
        let is = |kind: &&Kind| kind.group == call.group && kind.version == call.version && kind.plural == call.plural;
        let Some(kind) = kinds.iter().find(is) else { return nowhere() };
        let key = Key::new(&kind.plural, &call.namespace, &call.name);
        match call.verb {
            Verb::Get => self
                .get(&key)
                .map_or_else(|| missing(kind, &key), |object| Answer::ok(kind.shown(object, call.metadata_only))),
            Verb::List => self.list(call, kind),
            Verb::Watch => self.watch(call, kind),
            Verb::Apply | Verb::Create | Verb::Delete | Verb::Patch | Verb::Update => {
                self.write(call, kind, key).unwrap_or_else(|refusal| refusal)
            }
            Verb::Discover | Verb::Other => {
                Answer::failure(405, "MethodNotAllowed", "the server does not allow this method")
            }
        }
    }

    pub(super) fn kinds(&self) -> Vec<Kind> {
        let definitions = self.objects.iter().filter(|(key, _)| key.plural == "customresourcedefinitions");
        kinds::core()
            .into_iter()
            .chain(definitions.flat_map(|(_, definition)| kinds::of_definition(&definition.value)))
            .collect()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key).map(|object| &object.value)
    }

    pub(super) fn all(&self, plural: &str) -> Vec<Value> {
        self.objects.iter().filter(|(key, _)| key.plural == plural).map(|(_, object)| object.value.clone()).collect()
    }

    /// Puts an object there, whatever there was.
    pub(super) fn put(&mut self, mut value: Value) -> Value {
        let kinds = self.kinds();
        let is = |kind: &&Kind| json!(kind.api_version()) == value["apiVersion"] && json!(kind.kind) == value["kind"];
        let kind = kinds.iter().find(is).unwrap_or_else(|| panic!("{} is not served", value["kind"])).clone();
        let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = Key::new(&kind.plural, &text("namespace"), &text("name"));
        assert_eq!(!key.namespace.is_empty(), kind.namespaced, "{key:?} has a namespace where it should");
        take_strings(&mut value);
        let before = self.objects.get(&key).map(|object| (&object.value, &object.owners));
        let owners = fields::after_update(before, &value, "somebody");
        self.commit(&kind, &key, value, owners)
    }

    /// Keeps an object, counts it as a change, tells who watches and lets Gatekeeper look.
    pub(super) fn commit(&mut self, kind: &Kind, key: &Key, mut value: Value, owners: Owners) -> Value {
        let before = self.objects.get(key);
        if kind.plural == "customresourcedefinitions" && value["status"].is_null() {
            value["status"] = kinds::established();
        }
        let generation = match before {
            Some(before) => {
                let count = before.value["metadata"]["generation"].as_u64().unwrap_or(1);
                if content(&before.value) == content(&value) { count } else { count.saturating_add(1) }
            }
            None => 1,
        };
        let change = if before.is_some() { "MODIFIED" } else { "ADDED" };
        let uid = before.map(|before| before.value["metadata"]["uid"].clone());
        self.version = self.version.saturating_add(1);
        let metadata = &mut value["metadata"];
        metadata["uid"] = uid.unwrap_or_else(|| json!(format!("00000000-0000-4000-8000-{:012}", self.version)));
        metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        metadata["resourceVersion"] = json!(self.version.to_string());
        metadata["managedFields"] = fields::render(&owners, &kind.api_version());
        if kind.status {
            metadata["generation"] = json!(generation);
        }
        self.objects.insert(key.clone(), Object { value: value.clone(), owners });
        self.tell(Event { version: self.version, change, key: key.clone(), object: value });
        self.reconcile(key);
        self.objects.get(key).map(|object| object.value.clone()).unwrap_or_default()
    }

    pub(super) fn remove(&mut self, key: &Key) -> bool {
        let Some(Object { mut value, .. }) = self.objects.remove(key) else { return false };
        self.version = self.version.saturating_add(1);
        value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.tell(Event { version: self.version, change: "DELETED", key: key.clone(), object: value.clone() });
        self.reconcile_removal(key, &value);
        true
    }

    fn tell(&mut self, event: Event) {
        self.watches.retain(Watch::is_open);
        for watch in &self.watches {
            watch.tell(&event);
        }
        self.history.push(event);
    }

    fn list(&self, call: &Call, kind: &Kind) -> Answer {
        let selector = Selector::of(call);
        let items: Vec<Value> = self
            .all(&kind.plural)
            .iter()
            .filter(|o| selector.picks(o))
            .map(|o| kind.shown(o, call.metadata_only))
            .collect();
        Answer::ok(json!({
            "kind": format!("{}List", kind.kind),
            "apiVersion": kind.api_version(),
            "metadata": { "resourceVersion": self.version.to_string() },
            "items": items,
        }))
    }

    fn watch(&mut self, call: &Call, kind: &Kind) -> Answer {
        let (watch, frames) = Watch::open(call, kind);
        let since = call.query.get("resourceVersion").and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
        if since == 0 {
            self.all(&kind.plural).iter().for_each(|object| watch.show(object));
            if call.says("sendInitialEvents") {
                watch.bookmark(self.version, true);
            }
        } else if since < self.compacted {
            watch.gone();
        } else {
            self.history.iter().filter(|event| event.version > since).for_each(|event| watch.tell(event));
        }
        self.watches.push(watch);
        Answer::Watch(frames)
    }

    pub(super) fn compact(&mut self) {
        // A change that nobody sees, so that what is known before it is too old.
        self.version = self.version.saturating_add(1);
        self.compacted = self.version;
        self.history.clear();
    }

    pub(super) fn interrupt(&mut self, how: Interruption) {
        for watch in &self.watches {
            watch.interrupt(how, self.version);
        }
        if how != Interruption::Bookmark {
            self.watches.clear();
        }
    }

    pub(super) fn open_watches(&self) -> usize {
        self.watches.iter().filter(|watch| watch.is_open()).count()
    }
}

/// What a generation counts the changes of.
fn content(value: &Value) -> Value {
    let mut content = value.clone();
    if let Some(members) = content.as_object_mut() {
        members.retain(|name, _| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
    }
    content
}

/// A Secret's `stringData` becomes its `data`.
pub(super) fn take_strings(value: &mut Value) {
    let Some(strings) = value.as_object_mut().and_then(|members| members.remove("stringData")) else { return };
    for (key, text) in strings.as_object().into_iter().flatten() {
        value["data"][key] = json!(STANDARD.encode(text.as_str().unwrap_or_default()));
    }
}

/// Of a group, version or resource that is not served.
fn nowhere() -> Answer {
    Answer::Raw(404, "404 page not found\n".to_owned())
}

pub(super) fn missing(kind: &Kind, key: &Key) -> Answer {
    Answer::failure(404, "NotFound", &format!("{} {:?} not found", kind.resource(), key.name))
}
