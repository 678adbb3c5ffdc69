//! From JSON to a document, with every fault that can be found in one reading.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{
    Checked, PolicyFault, PolicyFaultKind as Kind, Statement, TrustPolicyDocument, Verification, VerifyTimestamp,
    scope::{self, ScopeText},
    trust,
};
use crate::verifier::notation::level::{Action, Actions, Level, Validation};

/// Most statements of a document (CFG-14).
const MAX_STATEMENTS: usize = 1000;

/// Where a reader stands, and what it found wrong.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<PolicyFault>);

impl Faults {
    pub(super) fn add(&mut self, path: impl Into<String>, kind: Kind) {
        self.0.push(PolicyFault { path: path.into(), kind });
    }
}

/// A member of an object: not there, there with another type, or there.
pub(super) enum Member<T> {
    Absent,
    Malformed,
    Present(T),
}

/// An object and its path.
pub(super) struct Object<'a> {
    path: String,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// `None`, and a fault, where `value` is no object; a fault for each member that is not in `known`.
    fn open(path: &str, value: &'a Value, known: &[&str], faults: &mut Faults) -> Option<Self> {
        let Value::Object(members) = value else {
            faults.add(path, Kind::MemberType { expected: "an object" });
            return None;
        };
        let object = Self { path: path.to_owned(), members };
        for member in members.keys().filter(|member| !known.contains(&member.as_str())) {
            faults.add(object.at(member), Kind::MemberUnknown { member: member.clone() });
        }
        Some(object)
    }

    pub(super) fn at(&self, member: &str) -> String {
        if self.path.is_empty() { member.to_owned() } else { format!("{}.{member}", self.path) }
    }

    fn text(&self, member: &str, faults: &mut Faults) -> Member<&'a str> {
        match self.members.get(member) {
            None => Member::Absent,
            Some(Value::String(text)) => Member::Present(text),
            Some(_) => {
                faults.add(self.at(member), Kind::MemberType { expected: "a string" });
                Member::Malformed
            }
        }
    }

    fn array(&self, member: &str, faults: &mut Faults) -> Member<&'a [Value]> {
        match self.members.get(member) {
            None => Member::Absent,
            Some(Value::Array(items)) => Member::Present(items),
            Some(_) => {
                faults.add(self.at(member), Kind::MemberType { expected: "an array" });
                Member::Malformed
            }
        }
    }

    /// An array of strings, each with its path. An absent one is `Absent`, whatever is no string is a fault.
    pub(super) fn texts(&self, member: &str, faults: &mut Faults) -> Member<Vec<(String, &'a str)>> {
        let items = match self.array(member, faults) {
            Member::Absent => return Member::Absent,
            Member::Malformed => return Member::Malformed,
            Member::Present(items) => items,
        };
        let mut texts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", self.at(member));
            match item.as_str() {
                Some(text) => texts.push((path, text)),
                None => faults.add(path, Kind::MemberType { expected: "a string" }),
            }
        }
        if texts.len() == items.len() { Member::Present(texts) } else { Member::Malformed }
    }
}

/// Reads a whole document.
pub(super) fn document(value: &Value) -> Result<TrustPolicyDocument, Vec<PolicyFault>> {
    let mut faults = Faults::default();
    let mut found = Vec::new();
    if let Some(document) = Object::open("", value, &["version", "trustPolicies"], &mut faults) {
        match document.text("version", &mut faults) {
            Member::Absent | Member::Present("") => faults.add("version", Kind::VersionMissing),
            Member::Present("1.0") | Member::Malformed => {}
            Member::Present(version) => {
                faults.add("version", Kind::VersionUnsupported { version: version.to_owned() });
            }
        }
        match document.array("trustPolicies", &mut faults) {
            Member::Absent => faults.add("trustPolicies", Kind::StatementsMissing),
            Member::Malformed => {}
            Member::Present(items) => found = read_statements(items, &mut faults),
        }
    }
    conclude(found, faults)
}

/// Reads the statements alone.
pub(super) fn statements(items: &[Value]) -> Result<TrustPolicyDocument, Vec<PolicyFault>> {
    let mut faults = Faults::default();
    let found = read_statements(items, &mut faults);
    conclude(found, faults)
}

/// A statement and its scopes; the statement is `None` where it has a fault.
struct Found {
    scopes: Vec<(String, String)>,
    label: String,
    statement: Option<Statement>,
}

fn read_statements(items: &[Value], faults: &mut Faults) -> Vec<Found> {
    if items.is_empty() {
        faults.add("trustPolicies", Kind::StatementsMissing);
    }
    if items.len() > MAX_STATEMENTS {
        let kind = Kind::TooMany { what: "statements", count: items.len(), limit: MAX_STATEMENTS };
        faults.add("trustPolicies", kind);
        return Vec::new();
    }
    items.iter().enumerate().filter_map(|(index, item)| read_statement(index, item, faults)).collect()
}

/// What spans statements: names and scopes are each used once.
fn conclude(found: Vec<Found>, mut faults: Faults) -> Result<TrustPolicyDocument, Vec<PolicyFault>> {
    let mut names: HashSet<&str> = HashSet::new();
    let mut owners: HashMap<&str, (usize, &str)> = HashMap::new();
    for (index, one) in found.iter().enumerate() {
        if !names.insert(&one.label) {
            faults.add(format!("trustPolicies[{index}].name"), Kind::NameRepeated { name: one.label.clone() });
        }
        for (path, scope) in &one.scopes {
            match owners.get(scope.as_str()) {
                Some((_, first)) => {
                    let (first, second) = ((*first).to_owned(), one.label.clone());
                    faults.add(path.clone(), Kind::ScopeRepeated { first, scope: scope.clone(), second });
                }
                None => _ = owners.insert(scope, (index, &one.label)),
            }
        }
    }
    if !faults.0.is_empty() {
        return Err(faults.0);
    }
    let any = owners.get("*").map(|(index, _)| *index);
    let exact = owners.iter().filter(|(scope, _)| **scope != "*");
    let by_scope = exact.map(|(scope, (index, _))| ((*scope).to_owned(), *index)).collect();
    // Without faults each entry has its statement, so that indexes stay.
    let statements = found.into_iter().filter_map(|one| one.statement).collect();
    Ok(TrustPolicyDocument { statements, by_scope, any })
}

const MEMBERS: [&str; 6] =
    ["name", "registryScopes", "signatureVerification", "trustStores", "trustedIdentities", "globalPolicy"];

fn read_statement(index: usize, value: &Value, faults: &mut Faults) -> Option<Found> {
    let path = format!("trustPolicies[{index}]");
    let object = Object::open(&path, value, &MEMBERS, faults)?;
    let (label, name) = match object.text("name", faults) {
        Member::Present(name) if !name.is_empty() => (name.to_owned(), Some(name.to_owned())),
        Member::Malformed => (format!("#{index}"), None),
        Member::Absent | Member::Present(_) => {
            faults.add(object.at("name"), Kind::NameMissing { index });
            (format!("#{index}"), None)
        }
    };
    let blob = object.members.contains_key("globalPolicy");
    if blob {
        faults.add(object.at("globalPolicy"), Kind::BlobPolicy { statement: label.clone() });
    }
    let scopes = read_scopes(&object, &label, blob, faults);
    let verification = read_verification(&object, &label, faults);
    if matches!(verification, Some(Verification::Skip)) && scopes.iter().any(|(_, scope)| scope == "*") {
        faults.add(object.at("registryScopes"), Kind::SkipEverywhere { statement: label.clone() });
    }
    let statement = name.zip(verification).map(|(name, verification)| Statement { name, verification });
    Some(Found { scopes, label, statement })
}

fn read_scopes(object: &Object<'_>, label: &str, blob: bool, faults: &mut Faults) -> Vec<(String, String)> {
    let statement = label.to_owned();
    let scopes = match object.texts("registryScopes", faults) {
        Member::Present(scopes) if !scopes.is_empty() => scopes,
        Member::Malformed => return Vec::new(),
        Member::Absent | Member::Present(_) => {
            if !blob {
                faults.add(object.at("registryScopes"), Kind::ScopesMissing { statement });
            }
            return Vec::new();
        }
    };
    if scopes.len() > 1 && scopes.iter().any(|(_, scope)| *scope == "*") {
        faults.add(object.at("registryScopes"), Kind::ScopeAnyWithOthers { statement: statement.clone() });
    }
    for (path, text) in &scopes {
        let (statement, scope) = (statement.clone(), (*text).to_owned());
        match scope::kind(text) {
            ScopeText::Any | ScopeText::Exact => {}
            ScopeText::Malformed => faults.add(path.clone(), Kind::ScopeMalformed { statement, scope }),
            ScopeText::Short => faults.add(path.clone(), Kind::ScopeShort { statement, scope }),
            ScopeText::Wildcard => faults.add(path.clone(), Kind::ScopeWildcard { statement, scope }),
        }
    }
    scopes.into_iter().map(|(path, scope)| (path, scope.to_owned())).collect()
}

/// `signatureVerification`, and the trust that its level asks for. `None`, and a fault, where there is one.
fn read_verification(object: &Object<'_>, label: &str, faults: &mut Faults) -> Option<Verification> {
    let (level, details) = read_level(object, label, faults);
    let (stores, identities) = (object.texts("trustStores", faults), object.texts("trustedIdentities", faults));
    let is_empty = |texts: &Member<Vec<_>>| match texts {
        Member::Absent => true,
        Member::Malformed => false,
        Member::Present(texts) => texts.is_empty(),
    };
    if level == Some(Level::Skip) {
        if !is_empty(&stores) || !is_empty(&identities) {
            faults.add(object.at("signatureVerification.level"), Kind::SkipWithTrust { statement: label.to_owned() });
        }
    } else {
        for (member, missing) in [("trustStores", is_empty(&stores)), ("trustedIdentities", is_empty(&identities))] {
            if missing {
                faults.add(object.at(member), Kind::TrustMissing { statement: label.to_owned(), member });
            }
        }
    }
    let stores = trust::stores(label, stores, faults);
    let identities = trust::identities(label, &object.at("trustedIdentities"), identities, faults);
    let details = details?;
    // Without a level the rest is read as under `strict`, only for its faults.
    let actions = read_override(&details, label, level.unwrap_or(Level::Strict), faults);
    let verify_timestamp = read_verify_timestamp(&details, label, faults);
    let (_, actions, verify_timestamp) = (level?, actions?, verify_timestamp?);
    match actions {
        Overridden::Skip => Some(Verification::Skip),
        Overridden::Actions(actions) => {
            Some(Verification::Checked(Checked { actions, verify_timestamp, stores: stores?, identities: identities? }))
        }
    }
}

fn read_level<'a>(object: &Object<'a>, label: &str, faults: &mut Faults) -> (Option<Level>, Option<Object<'a>>) {
    let statement = label.to_owned();
    let path = object.at("signatureVerification");
    let Some(value) = object.members.get("signatureVerification") else {
        faults.add(path, Kind::LevelMissing { statement });
        return (None, None);
    };
    let Some(details) = Object::open(&path, value, &["level", "override", "verifyTimestamp"], faults) else {
        return (None, None);
    };
    let level = match details.text("level", faults) {
        Member::Malformed => None,
        Member::Absent | Member::Present("") => {
            faults.add(details.at("level"), Kind::LevelMissing { statement });
            None
        }
        Member::Present(text) => {
            let level = Level::parse(text);
            if level.is_none() {
                faults.add(details.at("level"), Kind::LevelUnknown { statement, level: text.to_owned() });
            }
            level
        }
    };
    (level, Some(details))
}

/// What a level and its overrides come to.
enum Overridden {
    Actions(Actions),
    Skip,
}

/// `None`, and a fault, where there is one.
fn read_override(details: &Object<'_>, label: &str, level: Level, faults: &mut Faults) -> Option<Overridden> {
    let path = details.at("override");
    let overrides = match details.members.get("override") {
        None => return Some(Actions::of(level).map_or(Overridden::Skip, Overridden::Actions)),
        Some(Value::Object(overrides)) => overrides,
        Some(_) => {
            faults.add(path, Kind::MemberType { expected: "an object" });
            return None;
        }
    };
    let Some(mut actions) = Actions::of(level) else {
        if overrides.is_empty() {
            return Some(Overridden::Skip);
        }
        faults.add(path, Kind::OverrideOfSkip { statement: label.to_owned() });
        return None;
    };
    let mut whole = true;
    for (name, value) in overrides {
        match read_one_override(actions, label, name, value) {
            Ok(changed) => actions = changed,
            Err(kind) => {
                faults.add(format!("{path}.{name}"), kind);
                whole = false;
            }
        }
    }
    whole.then_some(Overridden::Actions(actions))
}

fn read_one_override(actions: Actions, label: &str, name: &str, value: &Value) -> Result<Actions, Kind> {
    let statement = label.to_owned();
    let Some(validation) = Validation::parse(name) else {
        return Err(Kind::OverrideUnknown { statement, validation: name.to_owned() });
    };
    if validation == Validation::Integrity {
        return Err(Kind::OverrideIntegrity { statement });
    }
    let text = value.as_str().ok_or(Kind::MemberType { expected: "a string" })?;
    let Some(action) = Action::parse(text) else {
        return Err(Kind::OverrideAction { statement, action: text.to_owned() });
    };
    actions.with(validation, action).ok_or(Kind::OverrideToSkip { statement, validation })
}

fn read_verify_timestamp(details: &Object<'_>, label: &str, faults: &mut Faults) -> Option<VerifyTimestamp> {
    match details.text("verifyTimestamp", faults) {
        Member::Absent | Member::Present("always") => Some(VerifyTimestamp::Always),
        Member::Present("afterCertExpiry") => Some(VerifyTimestamp::AfterCertExpiry),
        Member::Malformed => None,
        Member::Present(value) => {
            let kind = Kind::VerifyTimestamp { statement: label.to_owned(), value: value.to_owned() };
            faults.add(details.at("verifyTimestamp"), kind);
            None
        }
    }
}
