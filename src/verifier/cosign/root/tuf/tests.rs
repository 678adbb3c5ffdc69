//! R100: what a TUF repository, and whoever holds its cache, cannot make us believe.

use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use sigstore_tuf::Error;
use tempfile::TempDir;
use time::macros::datetime;

use super::{
    testing::{LATER, Plan, Published, envelope, key_id, key_object},
    *,
};
use crate::verifier::cosign::root::source::{RootConfig, RootSource};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);
const MUCH_LATER: OffsetDateTime = datetime!(2036-01-01 0:00 UTC);
const PAST: &str = "2026-11-21T11:59:59Z";

fn document_bytes() -> &'static [u8] {
    sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.as_bytes()
}

/// A folder with an initial root, and what is configured for it.
struct Place {
    folder: TempDir,
    source: TufSource,
}

impl Place {
    fn of(plan: &Plan) -> Self {
        Self::of_root(&plan.initial_root())
    }

    fn of_root(root: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("root.json"), root).unwrap();
        let source = source(&json!({"url": "https://tuf.example.test", "root": "root.json", "cacheDir": "cache"}));
        Self { folder, source }
    }

    fn refresh(&self, published: &Published, now: OffsetDateTime) -> Result<TrustedRoot, TufFault> {
        let session = Session::open(self.source.clone(), self.folder.path())?;
        let refreshed = session.refresh(published.clone(), now).now_or_never();
        let (archive, root) = refreshed.expect("nothing waits")?;
        session.write(&archive)?;
        Ok(root)
    }

    fn load(&self) -> Result<TrustedRoot, RootFault> {
        load(&self.source, self.folder.path())
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join(archive_path(&self.source))
    }
}

fn source(members: &Value) -> TufSource {
    let config: RootConfig = serde_json::from_value(json!({"tuf": members})).unwrap();
    match config.sources() {
        [RootSource::Tuf(tuf)] => tuf.clone(),
        other => panic!("{other:?}"),
    }
}

fn said(fault: &TufFault) -> String {
    crate::reason::chain(fault)
}

#[test]
fn what_a_repository_vouches_for_is_believed_and_kept() {
    for consistent in [true, false] {
        let plan = Plan { consistent, ..Plan::of(document_bytes()) };
        let place = Place::of(&plan);
        let fresh = place.refresh(&plan.publish(), NOW).unwrap();
        let kept = place.load().unwrap();
        let expected = Origin::Tuf {
            url: "https://tuf.example.test/".to_owned(),
            refreshed_at: NOW,
            expires: datetime!(2030-01-01 0:00 UTC),
        };
        assert_eq!((&fresh.origin, &kept.origin), (&expected, &expected));
        assert_eq!((kept.logs.len(), kept.name.as_str()), (2, "https://tuf.example.test"));
        assert_eq!(look(&place.source, place.folder.path()).unwrap(), Some(NOW));
    }
}

#[test]
fn a_target_below_a_folder_is_found() {
    let plan = Plan { target: "acme/prod/trusted_root.json", ..Plan::of(document_bytes()) };
    let mut place = Place::of(&plan);
    place.source.target = plan.target.to_owned();
    place.refresh(&plan.publish(), NOW).unwrap();
    place.load().unwrap();
}

#[test]
fn expired_metadata_are_not_taken_anew() {
    for role in 0..4 {
        let mut plan = Plan::of(document_bytes());
        plan.expires[role] = PAST;
        let place = Place::of(&plan);
        let fault = place.refresh(&plan.publish(), NOW).unwrap_err();
        let expired = matches!(&fault, TufFault::Metadata(error) if matches!(**error, Error::Expired { .. }));
        assert!(expired, "role {role}: {}", said(&fault));
        assert!(!place.cache().exists(), "role {role}: nothing is written");
        // The nearest accept: a second earlier.
        place.refresh(&plan.publish(), NOW - Duration::from_secs(2)).unwrap();
    }
}

// A mirror that repeats an old answer for ever is found out by its end, and what was believed before it stays.
#[test]
fn a_frozen_repository_stops_being_fresh_and_the_last_good_root_stays() {
    let plan = Plan::of(document_bytes());
    let place = Place::of(&plan);
    place.refresh(&plan.publish(), NOW).unwrap();
    let fault = place.refresh(&plan.publish(), MUCH_LATER).unwrap_err();
    assert!(said(&fault).contains("expired"), "{}", said(&fault));
    assert!(matches!(place.load().unwrap().origin, Origin::Tuf { refreshed_at, .. } if refreshed_at == NOW));
}

#[test]
fn versions_never_go_back() {
    for (role, versions) in [("timestamp", [1, 2, 2]), ("snapshot", [3, 1, 2]), ("targets", [3, 3, 1])] {
        let plan = Plan { versions: [2, 2, 2], ..Plan::of(document_bytes()) };
        let place = Place::of(&plan);
        place.refresh(&plan.publish(), NOW).unwrap();
        let fault = place.refresh(&Plan { versions, ..plan.clone() }.publish(), NOW).unwrap_err();
        let rollback = matches!(&fault, TufFault::Metadata(error) if matches!(**error, Error::Rollback { .. }));
        assert!(rollback, "{role}: {}", said(&fault));
        // Also from an expired cache: what has expired still says how far the versions were.
        let short = Plan { expires: [LATER, "2026-11-22T00:00:00Z", LATER, LATER], ..plan.clone() };
        let place = Place::of(&short);
        place.refresh(&short.publish(), NOW).unwrap();
        let day_after = datetime!(2026-11-23 0:00 UTC);
        assert!(place.refresh(&Plan { versions, ..plan.clone() }.publish(), day_after).is_err(), "{role}");
        place.refresh(&Plan { versions: [3, 3, 3], ..plan }.publish(), day_after).unwrap();
    }
}

#[test]
fn metadata_need_the_signatures_of_their_role() {
    for role in 0..3 {
        let mut plan = Plan::of(document_bytes());
        plan.signers[role] = Some(9);
        let fault = Place::of(&plan).refresh(&plan.publish(), NOW).unwrap_err();
        assert!(said(&fault).contains("threshold not met"), "role {role}: {}", said(&fault));
    }
    let other = Plan { owner: 9, ..Plan::of(document_bytes()) };
    let fault = Place::of(&Plan::of(document_bytes())).refresh(&other.publish(), NOW).unwrap_err();
    assert!(said(&fault).contains("threshold not met"), "another repository: {}", said(&fault));
}

// GHSA-3633-5h82-39pq and RUSTSEC-2020-0024: one key does not count twice, under whatever name.
#[test]
fn a_threshold_of_two_needs_two_keys() {
    let plan = Plan::of(document_bytes());
    let two = plan.root(1, &[1, 2], 2);
    Place::of_root(&envelope(&two, &[1, 2])).refresh(&plan.publish(), NOW).unwrap();
    let mut twice: Value = serde_json::from_slice(&envelope(&two, &[1, 1])).unwrap();
    let mut renamed = two.clone();
    renamed["keys"] = json!({key_id(1): key_object(1), key_id(2): key_object(1)});
    let renamed_signed: Value = serde_json::from_slice(&envelope(&renamed, &[1, 1])).unwrap();
    let mut renamed = renamed_signed;
    renamed["signatures"][1]["keyid"] = json!(key_id(2));
    for (name, root) in [
        ("one signature", envelope(&two, &[1])),
        ("one signature twice", serde_json::to_vec(&twice).unwrap()),
        ("one key under two names", serde_json::to_vec(&renamed).unwrap()),
    ] {
        let fault = Place::of_root(&root).refresh(&plan.publish(), NOW).unwrap_err();
        assert!(matches!(fault, TufFault::Metadata(_) | TufFault::SameKey { .. }), "{name}: {}", said(&fault));
    }
    twice["signatures"] = json!([]);
    let none = serde_json::to_vec(&twice).unwrap();
    assert!(Place::of_root(&none).refresh(&plan.publish(), NOW).is_err(), "no signature");
}

#[test]
fn a_new_root_is_signed_by_the_old_and_by_itself() {
    let plan = Plan::of(document_bytes());
    let next = plan.root(2, &[2], 1);
    let rotated = Plan { owner: 2, ..plan.clone() };
    for (name, root, taken) in [
        ("both", envelope(&next, &[1, 2]), true),
        ("only itself", envelope(&next, &[2]), false),
        ("only the old", envelope(&next, &[1]), false),
        ("version skipped", envelope(&plan.root(3, &[2], 1), &[1, 2]), false),
        ("version repeated", envelope(&plan.root(1, &[2], 1), &[1, 2]), false),
    ] {
        let place = Place::of(&plan);
        let mut published = rotated.publish();
        published.0.insert("2.root.json".to_owned(), root);
        let outcome = place.refresh(&published, NOW);
        assert_eq!(outcome.is_ok(), taken, "{name}: {outcome:?}");
        if taken {
            place.load().unwrap();
            // The chain was kept: the repository need not serve it again.
            place.refresh(&rotated.publish(), NOW).unwrap();
        }
    }
}

#[test]
fn a_target_is_what_was_signed_or_nothing() {
    let longer = [document_bytes(), b" "].concat();
    let mut altered = document_bytes().to_vec();
    altered[20] ^= 1;
    for (name, served) in [("longer", longer), ("altered", altered), ("empty", Vec::new())] {
        let plan = Plan { served: Some(served), ..Plan::of(document_bytes()) };
        let fault = Place::of(&plan).refresh(&plan.publish(), NOW).unwrap_err();
        assert!(said(&fault).contains("integrity"), "{name}: {}", said(&fault));
    }
    let plan = Plan { target: "other.json", ..Plan::of(document_bytes()) };
    let fault = Place::of(&plan).refresh(&plan.publish(), NOW).unwrap_err();
    assert!(said(&fault).contains("not listed"), "{}", said(&fault));
    for content in [&b"{}"[..], b"", b"no JSON"] {
        let plan = Plan::of(content);
        let place = Place::of(&plan);
        let fault = place.refresh(&plan.publish(), NOW).unwrap_err();
        assert!(matches!(fault, TufFault::Document(_)), "{}", said(&fault));
        assert!(!place.cache().exists());
    }
    let huge = Plan::of(&vec![b' '; super::super::parse::MAX_BYTES + 1]);
    assert!(said(&Place::of(&huge).refresh(&huge.publish(), NOW).unwrap_err()).contains("exceeds"));
}

// TOB-SIGSTORE-10: whoever can write the cache cannot say what is trusted.
#[test]
fn a_cache_is_verified_each_time_it_is_read() {
    let plan = Plan::of(document_bytes());
    let place = Place::of(&plan);
    place.refresh(&plan.publish(), NOW).unwrap();
    let good = Archive::read(&place.cache()).unwrap().unwrap();
    let names: Vec<String> = good.files.keys().cloned().collect();
    assert!(names.contains(&"timestamp.json".to_owned()) && names.len() >= 5, "{names:?}");
    for name in names {
        // Names of roots that are the initial one add nothing.
        let needed = !name.contains("root.json") || name.starts_with("targets/");
        let mut altered = good.clone();
        let file = altered.files.get_mut(&name).unwrap();
        let at = file.len() / 2;
        file[at] ^= 1;
        let mut missing = good.clone();
        missing.files.remove(&name);
        for (what, archive) in [("altered", altered), ("missing", missing)] {
            fs::write(place.cache(), archive.to_bytes().unwrap()).unwrap();
            assert_eq!(place.load().is_err(), needed, "{name} {what}");
        }
    }
    let foreign = Plan { owner: 9, ..plan.clone() };
    let other = Place::of(&foreign);
    other.refresh(&foreign.publish(), NOW).unwrap();
    fs::copy(other.cache(), place.cache()).unwrap();
    assert!(matches!(place.load(), Err(RootFault::Tuf { source: TufFault::Metadata(_), .. })), "another repository's");
    for damaged in [&b""[..], b"{}", b"[]", br#"{"refreshedAt":"2026-11-21T12:00:00Z","files":{},"files":{}}"#] {
        fs::write(place.cache(), damaged).unwrap();
        assert!(matches!(place.load(), Err(RootFault::Tuf { source: TufFault::Damaged { .. }, .. })));
        assert!(look(&place.source, place.folder.path()).is_err());
        // The next answer repairs it.
        place.refresh(&plan.publish(), NOW).unwrap();
        place.load().unwrap();
    }
    fs::write(place.cache(), vec![b' '; archive::MAX_BYTES + 1]).unwrap();
    assert!(matches!(place.load(), Err(RootFault::Tuf { source: TufFault::TooLarge, .. })));
    fs::remove_file(place.cache()).unwrap();
    fs::create_dir(place.cache()).unwrap();
    assert!(matches!(place.load(), Err(RootFault::Tuf { source: TufFault::Unreadable { .. }, .. })));
}

// R100: offline start from the cache, whatever its age; else from the embedded root, with its date; else not at all.
#[test]
fn without_a_cache_a_known_instance_starts_from_its_embedded_root_and_another_not_at_all() {
    let plan = Plan::of(document_bytes());
    let own = Place::of(&plan);
    assert!(matches!(own.load(), Err(RootFault::Tuf { source: TufFault::NoCache { .. }, .. })));

    let members = json!({"instance": "public-good", "root": "root.json", "cacheDir": "cache"});
    let known = Place { source: source(&members), ..Place::of(&plan) };
    assert_eq!(known.load().unwrap().origin, Origin::Embedded { date: Instance::EMBEDDED });
    // What was fetched before the release is older than what the release brings.
    let before = datetime!(2026-10-22 0:00 UTC);
    known.refresh(&plan.publish(), before).unwrap();
    assert_eq!(known.load().unwrap().origin, Origin::Embedded { date: Instance::EMBEDDED });
    known.refresh(&plan.publish(), NOW).unwrap();
    let root = known.load().unwrap();
    assert_eq!(root.name, "public-good");
    assert!(matches!(root.origin, Origin::Tuf { refreshed_at, .. } if refreshed_at == NOW));
    fs::write(known.cache(), b"damaged").unwrap();
    assert!(known.load().is_err(), "a damaged cache never means an older root");
}

#[test]
fn the_initial_roots_of_the_known_instances_are_genuine() {
    for instance in Instance::ALL {
        let root = instance.initial_tuf_root();
        TrustedMetadataSet::from_root(root).unwrap();
        archive::distinct_keys(&[("root.json".to_owned(), root.to_vec())].into()).unwrap();
    }
}

#[test]
fn repositories_never_share_a_cache_file() {
    let members = |url: &str, target: &str, root: &str| {
        archive_path(&source(&json!({"url": url, "target": target, "root": root, "cacheDir": "c"})))
    };
    let one = members("https://a.test", "t.json", "r");
    assert!(one.starts_with("c") && one.to_string_lossy().contains("a.test-"), "{one:?}");
    for other in
        [("https://a.test/x", "t.json", "r"), ("https://a.test", "u.json", "r"), ("https://a.test", "t.json", "s")]
    {
        assert_ne!(members(other.0, other.1, other.2), one, "{other:?}");
    }
    assert_eq!(members("https://[::1]:8443", "t.json", "r").components().count(), 2);
}
