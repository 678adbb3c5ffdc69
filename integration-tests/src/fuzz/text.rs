//! What operators and registries write: configuration, references, scopes, manifests, JSON.

use std::path::Path;

use countersign::{
    config::{Config, Process},
    json as strict,
    oci::{Descriptor, MAX_REFERENCE_BYTES, Manifest, Reference, Repository, media_type, scope::Scope},
};
use serde_json::Value;

use super::{Read, refused, told};

/// The operator's YAML. Nothing is opened for it.
pub fn configuration(data: &[u8]) -> Read {
    let Ok(text) = std::str::from_utf8(data) else { return Read::Refused };
    match Config::parse(text, Path::new("/nonexistent"), &Process::default()) {
        Ok(config) => {
            assert!(!config.stores.is_empty() && !config.policies.is_empty(), "CFG-05");
            assert!(config.policies.iter().all(|policy| !policy.scopes.is_empty()));
            Read::Accepted
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused for no reason");
            let said = faults.iter().map(ToString::to_string).find(|said| said.is_empty() || said.len() > 64 * 1024);
            assert_eq!(said, None);
            Read::Refused
        }
    }
}

/// An image reference: what is printed is parsed as the same, and has no second form.
pub fn reference(data: &[u8]) -> Read {
    let Ok(text) = std::str::from_utf8(data) else { return Read::Refused };
    let reference = match Reference::parse(text) {
        Ok(reference) => reference,
        Err(error) => return refused(&error),
    };
    assert!(text.len() <= MAX_REFERENCE_BYTES && text.is_ascii(), "REF-18, REF-24");
    let printed = reference.to_string();
    let again = Reference::parse(&printed).unwrap_or_else(|error| panic!("{printed:?}: {error}"));
    assert!(again == reference && again.to_string() == printed, "{text:?} {printed:?}");
    let repository = reference.repository().to_string();
    assert_eq!(Repository::parse(&repository).as_ref(), Ok(reference.repository()), "{text:?} {repository:?}");
    assert!(reference.tag().is_some() || reference.digest().is_some(), "{text:?}: a tag is implied");
    Read::Accepted
}

/// A scope, on the first line, and a repository on the second.
pub fn scope(data: &[u8]) -> Read {
    let Ok(text) = std::str::from_utf8(data) else { return Read::Refused };
    let (scope, repository) = text.split_once('\n').unwrap_or((text, "registry.acorn.test/shop/web"));
    let scope = match Scope::parse(scope) {
        Ok(scope) => scope,
        Err(error) => return refused(&error),
    };
    let again = Scope::parse(scope.as_str()).expect("it was one");
    assert!(again.is_same(&scope) && scope.compare_specificity(&again).is_eq());
    if let Ok(repository) = Repository::parse(repository) {
        let here = scope.has(&repository);
        assert_eq!(here, again.has(&repository));
        // A literal scope is about the repository that it spells, and no other.
        if !scope.as_str().contains('*') {
            let spelt = Repository::parse(scope.as_str());
            assert!(!here || spelt.as_ref() == Ok(&repository), "{scope:?} has {repository}");
        }
    }
    Read::Accepted
}

/// A manifest under each media type that there is, and a descriptor.
pub fn manifest(data: &[u8]) -> Read {
    let mut read = Read::Refused;
    for announced in [
        media_type::IMAGE_MANIFEST,
        media_type::IMAGE_INDEX,
        media_type::ARTIFACT_MANIFEST,
        media_type::DOCKER_MANIFEST,
        media_type::DOCKER_LIST,
    ] {
        match Manifest::parse(announced, data) {
            Err(error) => told(&error),
            Ok(manifest) => {
                let _ = (manifest.effective_artifact_type(), manifest.annotations());
                assert!(manifest.subject().is_none_or(|subject| subject.size < u64::MAX));
                read = Read::Accepted;
            }
        }
    }
    if let Ok(value) = strict::parse(data, strict::DOCUMENT_DEPTH)
        && let Err(error) = Descriptor::read(&value)
    {
        told(&error);
    }
    read
}

/// Strict JSON: whatever is read is read by another parser as the same.
pub fn json(data: &[u8]) -> Read {
    match strict::parse(data, strict::REQUEST_DEPTH) {
        Err(error) => refused(&error),
        Ok(value) => {
            let other: Value = serde_json::from_slice(data).expect("it is JSON");
            assert_eq!(value, other);
            Read::Accepted
        }
    }
}
