//! `trustStores` and `trustedIdentities` of a statement.

use std::collections::HashSet;

use super::{
    Identities, PolicyFaultKind as Kind, StoreName, StoreType,
    read::{Faults, Member},
};
use crate::verifier::notation::identity::Identity;

/// Most trusted identities of a statement: overlap compares them in pairs (CFG-14).
const MAX_IDENTITIES: usize = 200;
/// Most trust stores of a statement.
const MAX_STORES: usize = 100;

type Texts<'a> = Member<Vec<(String, &'a str)>>;

/// Reads `trustStores`; `None`, and a fault, where there is one. A store named twice is one store.
pub(super) fn stores(label: &str, texts: Texts<'_>, faults: &mut Faults) -> Option<Vec<StoreName>> {
    let texts = match texts {
        Member::Absent => return Some(Vec::new()),
        Member::Malformed => return None,
        Member::Present(texts) => texts,
    };
    if let (Some((path, _)), true) = (texts.first(), texts.len() > MAX_STORES) {
        faults.add(path.clone(), Kind::TooMany { what: "trust stores", count: texts.len(), limit: MAX_STORES });
        return None;
    }
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let mut whole = true;
    for (path, text) in texts {
        match read_store(label, text) {
            Ok(store) if seen.insert(store.clone()) => found.push(store),
            Ok(_) => {}
            Err(kind) => {
                faults.add(path, kind);
                whole = false;
            }
        }
    }
    whole.then_some(found)
}

fn read_store(label: &str, text: &str) -> Result<StoreName, Kind> {
    let (statement, value) = (label.to_owned(), text.to_owned());
    let Some((store_type, name)) = text.split_once(':') else {
        return Err(Kind::StoreWithoutType { statement, value });
    };
    let name = name.to_owned();
    let Some(store_type) = StoreType::parse(store_type) else {
        return Err(Kind::StoreTypeUnknown { statement, store_type: store_type.to_owned(), value });
    };
    if StoreName::is_name(&name) {
        Ok(StoreName { store_type, name })
    } else {
        Err(Kind::StoreName { statement, name, value })
    }
}

/// Reads `trustedIdentities`; `None`, and a fault, where there is one. Identities of other types than `x509.subject` are
/// allowed and match nothing (item 56).
pub(super) fn identities(label: &str, path: &str, texts: Texts<'_>, faults: &mut Faults) -> Option<Identities> {
    let texts = match texts {
        Member::Absent => return Some(Identities::Named(Vec::new())),
        Member::Malformed => return None,
        Member::Present(texts) => texts,
    };
    if texts.len() > MAX_IDENTITIES {
        let kind = Kind::TooMany { what: "trusted identities", count: texts.len(), limit: MAX_IDENTITIES };
        faults.add(path, kind);
        return None;
    }
    let any = texts.iter().any(|(_, text)| *text == "*");
    let mut whole = true;
    if any && texts.len() > 1 {
        faults.add(path, Kind::IdentityAnyWithOthers { statement: label.to_owned() });
        whole = false;
    }
    let mut found: Vec<Identity> = Vec::new();
    for (path, text) in texts.into_iter().filter(|(_, text)| *text != "*") {
        match read_identity(label, text) {
            Ok(None) => {}
            Ok(Some(identity)) => {
                if let Some(first) = found.iter().find(|known| known.overlaps(&identity)) {
                    let (first, second) = (first.to_string(), identity.to_string());
                    faults.add(path, Kind::IdentitiesOverlap { statement: label.to_owned(), first, second });
                    whole = false;
                }
                found.push(identity);
            }
            Err(kind) => {
                faults.add(path, kind);
                whole = false;
            }
        }
    }
    whole.then_some(if any { Identities::Any } else { Identities::Named(found) })
}

fn read_identity(label: &str, text: &str) -> Result<Option<Identity>, Kind> {
    let statement = label.to_owned();
    if text.is_empty() {
        return Err(Kind::IdentityEmpty { statement });
    }
    let Some((kind, name)) = text.split_once(':') else {
        return Err(Kind::IdentityWithoutType { statement, value: text.to_owned() });
    };
    if kind != "x509.subject" {
        return Ok(None);
    }
    if name.trim().is_empty() {
        return Err(Kind::IdentityWithoutValue { statement, value: text.to_owned() });
    }
    match Identity::parse(name) {
        Ok(identity) => Ok(Some(identity)),
        Err(source) => Err(Kind::IdentityName { statement, identity: text.to_owned(), source }),
    }
}
