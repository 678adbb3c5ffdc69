//! Tags of a layout: what `org.opencontainers.image.ref.name` may say for a reference.

use crate::oci::{Reference, Repository};

/// The annotation that names a manifest.
///
/// Rule: OCI image specification v1.1, "Image Layout", `index.json`, and "Annotations".
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// How closely an annotation names a reference; the closest one rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Closeness {
    /// `v1`: the tag alone, of whatever repository.
    Tag,
    /// `shop/web:v1`: the repository's path, of whatever registry.
    Path,
    /// `registry.example.com/shop/web:v1`, in any spelling that normalises to the reference.
    Whole,
}

/// Whether `name` names `tag` of `repository`, and how closely.
pub(super) fn closeness(name: &str, repository: &Repository, tag: &str) -> Option<Closeness> {
    if name == tag {
        return Some(Closeness::Tag);
    }
    let (path, named) = name.rsplit_once(':')?;
    if named != tag {
        return None;
    }
    let whole = Reference::parse(name).is_ok_and(|reference| reference.repository() == repository);
    if whole { Some(Closeness::Whole) } else { (path == repository.path()).then_some(Closeness::Path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_whole_reference_the_path_or_the_tag() {
        let repository = Repository::parse("registry.example.com/shop/web").unwrap();
        for (name, expected) in [
            ("v1", Some(Closeness::Tag)),
            ("shop/web:v1", Some(Closeness::Path)),
            ("registry.example.com/shop/web:v1", Some(Closeness::Whole)),
            ("REGISTRY.example.com/shop/web:v1", Some(Closeness::Whole)),
            ("v10", None),
            ("v", None),
            ("web:v1", None),
            ("shop/web:v2", None),
            ("other.example.com/shop/web:v1", None),
            ("registry.example.com/shop/web", None),
            (":v1", None),
            ("", None),
        ] {
            assert_eq!(closeness(name, &repository, "v1"), expected, "{name}");
        }
    }

    #[test]
    fn names_are_normalised_as_references_are() {
        let repository = Repository::parse("nginx").unwrap();
        assert_eq!(closeness("nginx:1", &repository, "1"), Some(Closeness::Whole));
        assert_eq!(closeness("docker.io/library/nginx:1", &repository, "1"), Some(Closeness::Whole));
    }
}
