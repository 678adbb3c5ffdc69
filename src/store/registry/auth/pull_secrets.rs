//! Credentials that a cluster keeps: image pull Secrets, by name or by a ServiceAccount that lists them.
//!
//! ```text
//! hosts.credentials ──follow──► Slot ◄──find── each call
//!                                 ▲
//!                publish ─────────┘   whoever watches the API server; this module knows none
//! ```
//! What is known is replaced whole. A Secret that is not there is not "no credential": what it would say is unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{super::origin::Origin, Credential, docker_config::DockerConfig};
use crate::oci::Digest;

/// Most entries of one Secret; a cluster's Secret for all its registries has a few dozen.
const MAX_ENTRIES: usize = 1000;
/// Largest content: Kubernetes lets the values of a Secret have 1 MiB together.
const MAX_BYTES: usize = 1 << 20;

const JSON_TYPE: (&str, &str) = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson");
const LEGACY_TYPE: (&str, &str) = ("kubernetes.io/dockercfg", ".dockercfg");

/// An object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// `None`: the namespace that we run in.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What a configuration names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// A pull Secret.
    Secret(ObjectName),
    /// All pull Secrets that a ServiceAccount lists.
    ServiceAccount(ObjectName),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "Secret {name}"),
            Self::ServiceAccount(name) => write!(f, "ServiceAccount {name}"),
        }
    }
}

/// What one Secret says about registries. Shows nothing of it.
#[derive(Clone)]
pub struct PullSecret {
    config: Arc<DockerConfig>,
    id: Digest,
}

impl PullSecret {
    /// Reads a Secret of type `kind`, with its values by key. Credential helpers that it names are not asked, as the kubelet does not.
    ///
    /// # Errors
    /// What is wrong, without repeating any of it.
    pub fn parse(kind: &str, data: &BTreeMap<String, impl AsRef<[u8]>>) -> Result<Self, String> {
        let known = [JSON_TYPE, LEGACY_TYPE].into_iter().find(|(name, _)| *name == kind);
        let (_, key) = known.ok_or_else(|| format!("is of neither type {} nor {}", JSON_TYPE.0, LEGACY_TYPE.0))?;
        let bytes = data.get(key).ok_or_else(|| format!("has no {key}"))?.as_ref();
        if bytes.len() > MAX_BYTES {
            return Err(format!("has more than {MAX_BYTES} bytes in {key}"));
        }
        let config = if key == JSON_TYPE.1 { DockerConfig::parse(bytes) } else { DockerConfig::parse_legacy(bytes) };
        let config = config.map_err(|error| format!("{key} {error}"))?;
        if config.entries() > MAX_ENTRIES {
            return Err(format!("{key} has more than {MAX_ENTRIES} entries"));
        }
        Ok(Self { config: Arc::new(config), id: Digest::sha256(bytes) })
    }
}

impl PartialEq for PullSecret {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PullSecret(…)")
    }
}

/// What is known of one object.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// It does not exist.
    Absent,
    /// It exists, and cannot be read as what it should be.
    Malformed(String),
    /// A Secret's content.
    Read(PullSecret),
    /// It has not been seen yet, and why.
    Unread(String),
}

/// What is known of the objects that one wanted thing stands for, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot(pub Vec<(Wanted, Known)>);

impl Snapshot {
    fn unread(wanted: &Wanted) -> Self {
        Self(vec![(wanted.clone(), Known::Unread("has not been read yet".to_owned()))])
    }

    /// Differs where what is known does, and tells nothing else about it.
    fn id(&self) -> Arc<str> {
        fn part((_, known): &(Wanted, Known)) -> &str {
            match known {
                Known::Absent => "absent",
                Known::Malformed(_) => "malformed",
                Known::Read(secret) => secret.id.hex(),
                Known::Unread(_) => "unread",
            }
        }
        Arc::from(self.0.iter().map(part).collect::<Vec<_>>().join(","))
    }
}

/// What a configuration in force follows; it is followed no more when the last of these is dropped.
pub(in crate::store::registry) struct Slot {
    known: ArcSwap<(Snapshot, Arc<str>)>,
    turns: watch::Sender<u64>,
}

impl Slot {
    fn put(&self, snapshot: Snapshot) {
        let id = snapshot.id();
        self.known.store(Arc::new((snapshot, id)));
    }

    pub(in crate::store::registry) fn id(&self) -> Arc<str> {
        Arc::clone(&self.known.load().1)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.turns.send_modify(|turn| *turn = turn.wrapping_add(1));
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// The credential for the repository `path` at `origin`: of all entries that lead to it the one with the longest path, of equal ones the
/// first. `Err`: there is none in what could be read, and something could not be read.
pub(super) fn find(slots: &[Arc<Slot>], origin: &Origin, path: &str) -> Result<Option<Arc<Credential>>, String> {
    let mut best: Option<(usize, Credential)> = None;
    let mut unknown = Vec::new();
    for slot in slots {
        for (wanted, known) in &slot.known.load().0.0 {
            let why = match known {
                Known::Read(secret) => {
                    if let Some((length, credential)) = secret.config.entry(origin, path)?
                        && best.as_ref().is_none_or(|(longest, _)| length > *longest)
                    {
                        best = Some((length, credential));
                    }
                    continue;
                }
                Known::Absent => "does not exist",
                Known::Malformed(why) | Known::Unread(why) => why,
            };
            unknown.push(format!("{wanted} {why}"));
        }
    }
    match best {
        Some((_, credential)) => Ok(Some(Arc::new(credential))),
        None if unknown.is_empty() => Ok(None),
        None => Err(unknown.join("; ")),
    }
}

/// Who follows what, and what is known of it. Clones are the same one.
#[derive(Clone)]
pub struct PullSecrets {
    slots: Arc<Mutex<BTreeMap<Wanted, Weak<Slot>>>>,
    turns: watch::Sender<u64>,
    settled: Arc<AtomicBool>,
}

impl Default for PullSecrets {
    fn default() -> Self {
        Self { slots: Arc::default(), turns: watch::Sender::new(0), settled: Arc::default() }
    }
}

impl fmt::Debug for PullSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullSecrets").finish_non_exhaustive()
    }
}

impl PullSecrets {
    /// Follows something, from now on.
    pub(in crate::store::registry) fn follow(&self, wanted: Wanted) -> Arc<Slot> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&wanted).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Slot { known: ArcSwap::from_pointee(Default::default()), turns: self.turns.clone() };
        slot.put(Snapshot::unread(&wanted));
        let slot = Arc::new(slot);
        slots.insert(wanted, Arc::downgrade(&slot));
        drop(slots);
        self.turns.send_modify(|turn| *turn = turn.wrapping_add(1));
        slot
    }

    /// Changes whenever something else is followed.
    pub fn turns(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// What is followed now.
    pub fn wanted(&self) -> BTreeSet<Wanted> {
        let mut slots = self.slots();
        slots.retain(|_, slot| slot.strong_count() > 0);
        slots.keys().cloned().collect()
    }

    /// Whether everything that was followed had been looked at once. Stays so: what is followed later, or can no longer be read, leaves
    /// single questions open, and taking all replicas away for that would admit what they refuse.
    pub fn is_settled(&self) -> bool {
        let is_unread =
            |slot: Arc<Slot>| slot.known.load().0.0.iter().any(|(_, known)| matches!(known, Known::Unread(_)));
        let has_unread = || self.slots().values().filter_map(Weak::upgrade).any(is_unread);
        if !self.settled.load(Ordering::Relaxed) && !has_unread() {
            self.settled.store(true, Ordering::Relaxed);
        }
        self.settled.load(Ordering::Relaxed)
    }

    /// Says what is known of something that is followed, in the place of what was known.
    pub fn publish(&self, wanted: &Wanted, snapshot: Snapshot) {
        let slot = self.slots().get(wanted).and_then(Weak::upgrade);
        if let Some(slot) = slot
            && slot.known.load().0 != snapshot
        {
            slot.put(snapshot);
        }
    }

    /// Held for a look at the map only.
    fn slots(&self) -> MutexGuard<'_, BTreeMap<Wanted, Weak<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;
    use crate::oci::Registry;

    fn secret(entries: &[(&str, &str)]) -> PullSecret {
        let auths: BTreeMap<_, _> = entries
            .iter()
            .map(|(key, user)| (*key, serde_json::json!({ "auth": STANDARD.encode(format!("{user}:p")) })))
            .collect();
        let text = serde_json::json!({ "auths": auths }).to_string();
        PullSecret::parse(JSON_TYPE.0, &BTreeMap::from([(JSON_TYPE.1.to_owned(), text)])).unwrap()
    }

    fn wanted(name: &str) -> Wanted {
        Wanted::Secret(ObjectName { namespace: Some("team".to_owned()), name: name.to_owned() })
    }

    /// The user that is found over Secrets `a`, `b`, … of these states.
    fn user(known: Vec<Known>, registry: &str, path: &str) -> Result<Option<String>, String> {
        let hub = PullSecrets::default();
        let slots: Vec<_> = ["a", "b", "c"]
            .iter()
            .zip(known)
            .map(|(name, known)| {
                let slot = hub.follow(wanted(name));
                hub.publish(&wanted(name), Snapshot(vec![(wanted(name), known)]));
                slot
            })
            .collect();
        let origin = Origin::of_registry(&Registry::parse(registry).unwrap(), false);
        Ok(find(&slots, &origin, path)?.map(|credential| match &*credential {
            Credential::Identity(_) => "<token>".to_owned(),
            Credential::Password { username, .. } => username.clone(),
        }))
    }

    #[test]
    fn of_several_secrets_the_most_specific_entry_counts_and_of_equal_ones_the_first() {
        let read = |entries: &[(&str, &str)]| Known::Read(secret(entries));
        let all = || {
            vec![
                read(&[("a.test", "first"), ("b.test", "other")]),
                read(&[("a.test", "second"), ("a.test/org", "org")]),
                read(&[("a.test/organisation", "no")]),
            ]
        };
        for (registry, path, expected) in [
            ("a.test", "x", Some("first")),
            ("a.test", "org/x", Some("org")),
            ("b.test", "org/x", Some("other")),
            ("a.test:5000", "x", None),
            ("evila.test", "x", None),
            ("a.test.evil.test", "x", None),
        ] {
            assert_eq!(user(all(), registry, path).unwrap().as_deref(), expected, "{registry}/{path}");
        }
    }

    #[test]
    fn what_could_not_be_read_is_not_none_but_does_not_undo_what_was() {
        let read = || Known::Read(secret(&[("a.test", "u")]));
        let malformed = || Known::Malformed("has no .dockerconfigjson".to_owned());
        assert_eq!(user(vec![Known::Absent, read()], "a.test", "x"), Ok(Some("u".to_owned())));
        assert_eq!(user(vec![Known::Absent, read()], "b.test", "x"), Err("Secret team/a does not exist".to_owned()));
        assert_eq!(
            user(vec![malformed(), Known::Unread("may not be read".to_owned())], "b.test", "x"),
            Err("Secret team/a has no .dockerconfigjson; Secret team/b may not be read".to_owned())
        );
        assert_eq!(user(vec![read()], "b.test", "x"), Ok(None));
        assert_eq!(user(Vec::new(), "b.test", "x"), Ok(None));
        let hub = PullSecrets::default();
        let slot = hub.follow(wanted("new"));
        let origin = Origin::of_registry(&Registry::parse("a.test").unwrap(), false);
        assert_eq!(find(&[slot], &origin, "x").unwrap_err(), "Secret team/new has not been read yet");
    }

    #[test]
    fn it_is_settled_once_everything_was_looked_at_and_stays_so() {
        let hub = PullSecrets::default();
        let slot = hub.follow(wanted("a"));
        assert!(!hub.is_settled());
        hub.publish(&wanted("a"), Snapshot(vec![(wanted("a"), Known::Unread("may not be read".to_owned()))]));
        assert!(!hub.is_settled());
        hub.publish(&wanted("a"), Snapshot(vec![(wanted("a"), Known::Absent)]));
        assert!(hub.is_settled());
        let other = hub.follow(wanted("b"));
        assert!(hub.is_settled());
        drop((slot, other));
    }

    #[test]
    fn both_types_of_secret_are_read_and_nothing_else_is() {
        let one = |key: &str, text: &str| BTreeMap::from([(key.to_owned(), text.to_owned())]);
        let (auths, bare) = (r#"{"auths":{"a.test":{"auth":"dTpw"}}}"#, r#"{"a.test":{"auth":"dTpw","email":"e"}}"#);
        let most = |count: usize| {
            let entries: Vec<String> = (0..count).map(|n| format!(r#""h{n}.test":{{"auth":"dTpw"}}"#)).collect();
            format!(r#"{{"auths":{{{}}}}}"#, entries.join(","))
        };
        for (name, kind, data, expected) in [
            ("json", JSON_TYPE.0, one(JSON_TYPE.1, auths), Ok(())),
            ("legacy", LEGACY_TYPE.0, one(LEGACY_TYPE.1, bare), Ok(())),
            ("helpers are not asked", JSON_TYPE.0, one(JSON_TYPE.1, r#"{"auths":{},"credsStore":"desktop"}"#), Ok(())),
            ("opaque", "Opaque", one(JSON_TYPE.1, auths), Err("is of neither type")),
            ("the other's key", JSON_TYPE.0, one(LEGACY_TYPE.1, bare), Err("has no .dockerconfigjson")),
            ("half written", JSON_TYPE.0, one(JSON_TYPE.1, r#"{"auths":{"a.te"#), Err("is no JSON document")),
            (
                "half an entry",
                LEGACY_TYPE.0,
                one(LEGACY_TYPE.1, r#"{"a.test":{"auth":"dT"}}"#),
                Err("malformed `auth`"),
            ),
            ("a list", JSON_TYPE.0, one(JSON_TYPE.1, "[]"), Err("is no JSON object")),
            ("most", JSON_TYPE.0, one(JSON_TYPE.1, &most(MAX_ENTRIES)), Ok(())),
            ("more", JSON_TYPE.0, one(JSON_TYPE.1, &most(MAX_ENTRIES + 1)), Err("more than 1000 entries")),
            ("too large", JSON_TYPE.0, one(JSON_TYPE.1, &" ".repeat(MAX_BYTES + 1)), Err("more than 1048576 bytes")),
        ] {
            match (PullSecret::parse(kind, &data), expected) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(part)) => assert!(error.contains(part), "{name}: {error}"),
                (found, expected) => panic!("{name}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn what_nobody_follows_any_more_is_not_wanted() {
        let hub = PullSecrets::default();
        let mut turns = hub.turns();
        let (one, same, two) = (hub.follow(wanted("a")), hub.follow(wanted("a")), hub.follow(wanted("b")));
        assert!(Arc::ptr_eq(&one, &same) && turns.has_changed().unwrap());
        assert_eq!(hub.wanted(), BTreeSet::from([wanted("a"), wanted("b")]));
        drop((one, two));
        turns.mark_unchanged();
        assert_eq!(hub.wanted(), BTreeSet::from([wanted("a")]));
        drop(same);
        assert!(turns.has_changed().unwrap() && hub.wanted().is_empty());
    }

    #[test]
    fn a_changed_secret_has_another_name_in_caches_and_shows_nothing() {
        let hub = PullSecrets::default();
        let slot = hub.follow(wanted("a"));
        let mut ids = vec![slot.id()];
        for known in [Known::Absent, Known::Read(secret(&[("a.test", "u")])), Known::Read(secret(&[("a.test", "v")]))] {
            hub.publish(&wanted("a"), Snapshot(vec![(wanted("a"), known)]));
            assert!(!ids.contains(&slot.id()));
            ids.push(slot.id());
        }
        let secret = secret(&[("a.test", "canary")]);
        assert_eq!(format!("{:?}", Known::Read(secret)), "Read(PullSecret(…))");
    }
}
