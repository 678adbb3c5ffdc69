//! What is to be done next: one change at a time, from what was found, what is remembered and the time.
//!
//! ```text
//!               Stage            MarkPublished           Switch               DropOld
//!   [signer] ──────────► [signer, next] ───────► … overlap … ──► [next, old] ───────► [next]
//!                             │  ▲ every Provider lists it            leaf: next's      every leaf of old has ended
//!                             ▼  │
//!                           Unmark: one does not any more
//! ```
//!
//! A client that trusts what Providers listed one overlap ago believes whatever is served now: a successor signs only after it
//! was listed everywhere for that long, and an authority is unlisted only when nothing that it signed is valid.
//!
//! What a Secret that was not whole has lost is known to nobody but the Providers: another replica may serve by an authority that
//! the one which writes has never seen. Whatever is written in its place is marked `unread`. While that stands no Provider loses
//! what it lists, and nothing waits; once all of them were read, Adopt takes that up among the old ones and ends it.

use time::{Duration, OffsetDateTime};

use super::{
    bundle,
    make::{MakeError, Profile},
    material::{Anchor, Material, Next, Old},
    secret::Found,
};

/// A leaf is not renewed for less than this: its authority ends soon, and a successor is under way.
const MIN_GAIN: Duration = Duration::HOUR;
/// How far ahead a moment that was written may be: the clocks of two replicas differ.
const MAX_AHEAD: Duration = Duration::HOUR;

/// Most old authorities, beside one that signs and its successor.
const MAX_OLD: usize = bundle::MAX_ANCHORS.saturating_sub(2);

/// One change of the Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// What Providers list, and could be ours, stays listed.
    Adopt,
    /// Old authorities, whose leaves have all ended, go.
    DropOld,
    /// Old authorities get an end.
    KeepOld,
    /// Nothing that is there can go on: a new authority and a leaf.
    Make,
    /// Every Provider lists the successor now.
    MarkPublished,
    /// A new leaf from the same authority.
    RenewLeaf,
    /// What this replica remembers is written back.
    Restore,
    /// What is sound is written back, without what is not.
    Rewrite,
    /// A successor of the authority, to be published.
    Stage,
    /// The successor signs from now on.
    Switch,
    /// A Provider does not list the successor any more: the overlap begins anew.
    Unmark,
}

impl Change {
    pub(super) const ALL: [Self; 11] = [
        Self::Adopt,
        Self::DropOld,
        Self::KeepOld,
        Self::Make,
        Self::MarkPublished,
        Self::RenewLeaf,
        Self::Restore,
        Self::Rewrite,
        Self::Stage,
        Self::Switch,
        Self::Unmark,
    ];

    /// For logs and metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Adopt => "listed_adopted",
            Self::DropOld => "old_dropped",
            Self::KeepOld => "old_kept",
            Self::Make => "made",
            Self::MarkPublished => "successor_published",
            Self::RenewLeaf => "leaf_renewed",
            Self::Restore => "restored",
            Self::Rewrite => "repaired",
            Self::Stage => "successor_made",
            Self::Switch => "authority_rotated",
            Self::Unmark => "successor_unpublished",
        }
    }

    /// Whether the Providers must list what will be there before it is.
    pub(super) const fn publishes_first(self) -> bool {
        match self {
            Self::Make | Self::Restore | Self::Switch => true,
            Self::Adopt
            | Self::DropOld
            | Self::KeepOld
            | Self::MarkPublished
            | Self::RenewLeaf
            | Self::Rewrite
            | Self::Stage
            | Self::Unmark => false,
        }
    }
}

/// Whether every Provider that exists lists all that is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    Everywhere,
    NotEverywhere,
}

/// When what is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) renew_before: Duration,
    pub(super) authority_renew_before: Duration,
    pub(super) overlap: Duration,
}

/// All that a decision is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) found: &'a Found,
    /// The last material that was whole, if this replica has seen one.
    pub(super) memory: Option<&'a Material>,
    pub(super) published: Published,
    /// What Providers list beside what is found, while it is `unread`; `None`: not all of them were read.
    pub(super) others: Option<&'a [Anchor]>,
    pub(super) now: OffsetDateTime,
}

impl View<'_> {
    /// The next change; `None`: all is as it should be, or waits.
    pub(super) fn plan(&self, timing: &Timing) -> Option<Change> {
        let Self { found, memory, now, .. } = *self;
        let material = &found.material;
        let is_whole = found.is_whole();
        if is_whole && material.unread && self.others.is_some() {
            return Some(Change::Adopt);
        }
        if !is_whole && memory.is_some_and(|memory| memory.serves(now)) {
            return Some(Change::Restore);
        }
        let signer = material.signer.as_ref().filter(|signer| signer.anchor.life.covers(now));
        if !material.serves(now) {
            let next = material.next.as_ref().filter(|next| next.authority.anchor.life.covers(now));
            let remembered = memory.and_then(|memory| memory.signer.as_ref()).filter(|_| !is_whole);
            return Some(match (signer, next) {
                (Some(_), _) => Change::RenewLeaf,
                (None, Some(_)) => Change::Switch,
                // Its leaf has ended: the next one is from an authority that Providers may know.
                (None, None) if remembered.is_some_and(|signer| signer.anchor.life.covers(now)) => Change::Restore,
                (None, None) => Change::Make,
            });
        }
        let ends = |end: OffsetDateTime, before: Duration| end.saturating_sub(before) <= now;
        let successor = match &material.next {
            None => {
                let in_time = signer.is_some_and(|s| !ends(s.anchor.life.until, timing.authority_renew_before));
                (!in_time || found.rotate).then_some(Change::Stage)
            }
            Some(next) if !next.authority.anchor.life.covers(now) => Some(Change::Stage),
            Some(next) => self.successor(next, timing),
        };
        let leaf = || {
            let (leaf, signer) = (material.leaf.as_ref()?, signer?);
            let gains = signer.anchor.life.until.saturating_sub(MIN_GAIN) > leaf.life.until;
            (ends(leaf.life.until, timing.renew_before) && gains).then_some(Change::RenewLeaf)
        };
        let old = || {
            let old = material.old.as_ref()?;
            match old.until {
                None => Some(Change::KeepOld),
                Some(until) if until <= now => Some(Change::DropOld),
                Some(_) => old.anchors.iter().any(|anchor| anchor.life.until <= now).then_some(Change::DropOld),
            }
        };
        successor.or_else(leaf).or_else(old).or_else(|| (!is_whole).then_some(Change::Rewrite))
    }

    fn successor(&self, next: &Next, timing: &Timing) -> Option<Change> {
        match (self.published, next.published) {
            (Published::NotEverywhere, Some(_)) => Some(Change::Unmark),
            (Published::NotEverywhere, None) => None,
            (Published::Everywhere, None) => Some(Change::MarkPublished),
            (Published::Everywhere, Some(since)) if since > self.now.saturating_add(MAX_AHEAD) => {
                Some(Change::MarkPublished)
            }
            (Published::Everywhere, Some(since)) => {
                (since.saturating_add(timing.overlap) <= self.now).then_some(Change::Switch)
            }
        }
    }

    /// What the Secret is to hold after `change`.
    pub(super) fn apply(&self, change: Change, profile: &Profile) -> Result<Material, MakeError> {
        let now = self.now;
        let mut material = self.found.material.clone();
        match change {
            Change::Adopt => self.adopt(&mut material, profile.leaf),
            Change::DropOld => {
                let until = material.old.as_ref().and_then(|old| old.until);
                let stay = until.is_some_and(|until| until > now);
                let left = material.old.take().into_iter().flat_map(|old| old.anchors);
                let left: Vec<Anchor> = left.filter(|anchor| stay && anchor.life.until > now).collect();
                material.old = (!left.is_empty()).then_some(Old { anchors: left, until });
            }
            Change::KeepOld => {
                if let Some(old) = &mut material.old {
                    old.until = Some(now.saturating_add(profile.leaf));
                }
            }
            Change::Make => material = self.make(profile)?,
            Change::MarkPublished | Change::Unmark => {
                if let Some(next) = &mut material.next {
                    next.published = (change == Change::MarkPublished).then_some(now);
                }
            }
            Change::RenewLeaf => {
                if let Some(signer) = &material.signer {
                    material.leaf = Some(profile.leaf(signer, now)?);
                }
            }
            Change::Restore => {
                if let Some(memory) = self.memory {
                    material = memory.clone();
                    // What Providers listed meanwhile is not known: the overlap begins anew.
                    material.next.iter_mut().for_each(|next| next.published = None);
                }
            }
            Change::Rewrite => {}
            Change::Stage => {
                material.next = Some(Next { authority: profile.authority(now)?, published: None });
                if let Some(old) = &mut material.old {
                    old.anchors.truncate(MAX_OLD);
                }
            }
            Change::Switch => switch(&mut material, profile, now)?,
        }
        material.unread = change != Change::Adopt && (self.found.material.unread || !self.found.is_whole());
        Ok(material)
    }

    /// They stay listed until everything that they may have signed has ended.
    fn adopt(&self, material: &mut Material, leaf: Duration) {
        let Some(others @ [_, ..]) = self.others else { return };
        let (before, until) = material.old.take().map_or((Vec::new(), None), |old| (old.anchors, old.until));
        let ends = self.now.saturating_add(leaf);
        let until = until.map_or(ends, |until| until.max(ends));
        material.old = outlived(before.into_iter().chain(others.iter().cloned()).collect(), until, self.now);
    }

    /// A new authority that signs at once; whatever is still known of earlier ones stays listed for as long as a replica may
    /// serve what they signed.
    fn make(&self, profile: &Profile) -> Result<Material, MakeError> {
        let now = self.now;
        let known = [Some(&self.found.material), self.memory].into_iter().flatten();
        let old = known.flat_map(Material::bundle).cloned().collect();
        let authority = profile.authority(now)?;
        let leaf = Some(profile.leaf(&authority, now)?);
        let old = outlived(old, now.saturating_add(profile.leaf), now);
        Ok(Material { signer: Some(authority), next: None, old, leaf, unread: false })
    }
}

/// The successor signs; its predecessor stays listed until the leaf that was served has ended: those before it ended earlier.
fn switch(material: &mut Material, profile: &Profile, now: OffsetDateTime) -> Result<(), MakeError> {
    let Some(next) = material.next.take() else { return Ok(()) };
    let ends = material.leaf.as_ref().map_or(now.saturating_add(profile.leaf), |leaf| leaf.life.until);
    let until = material.old.as_ref().and_then(|old| old.until).map_or(ends, |until| until.max(ends));
    let signer = material.signer.take().map(|signer| signer.anchor);
    let before = material.old.take().into_iter().flat_map(|old| old.anchors);
    material.old = outlived(signer.into_iter().chain(before).collect(), until, now);
    material.leaf = Some(profile.leaf(&next.authority, now)?);
    material.signer = Some(next.authority);
    Ok(())
}

/// The old authorities that are still good for something, those first that end last; at most as many as a bundle takes beside a
/// signer and its successor.
fn outlived(mut anchors: Vec<Anchor>, until: OffsetDateTime, now: OffsetDateTime) -> Option<Old> {
    anchors.retain(|anchor| anchor.life.until > now);
    anchors.sort_by_key(|anchor| std::cmp::Reverse(anchor.life.until));
    anchors.dedup();
    anchors.truncate(MAX_OLD);
    (!anchors.is_empty() && until > now).then_some(Old { anchors, until: Some(until) })
}

#[cfg(test)]
mod tests;
