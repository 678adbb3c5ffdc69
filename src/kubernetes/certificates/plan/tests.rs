use std::{ops::RangeInclusive, slice};

use k8s_openapi::api::core::v1::Secret;
use proptest::prelude::*;
use time::macros::datetime;

use super::{
    super::{
        material::{Leaf, vouches},
        secret::{self, Owner},
        testing,
    },
    *,
};

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);
const TIMING: Timing =
    Timing { renew_before: Duration::days(30), authority_renew_before: Duration::days(180), overlap: Duration::HOUR };

/// A signer and a leaf, made at [`NOW`].
fn fresh() -> Material {
    let profile = testing::profile();
    let signer = profile.authority(NOW).unwrap();
    let leaf = profile.leaf(&signer, NOW).unwrap();
    Material { signer: Some(signer), leaf: Some(leaf), ..Material::default() }
}

fn ours(material: Material) -> Found {
    Found { owner: Owner::Ours, material, faults: Vec::new(), rotate: false }
}

fn broken(material: Material) -> Found {
    Found { faults: vec![secret::SecretFault::Missing("tls.key")], ..ours(material) }
}

fn view<'a>(found: &'a Found, memory: Option<&'a Material>, published: Published, now: OffsetDateTime) -> View<'a> {
    View { found, memory, published, others: None, now }
}

fn days(count: i64) -> OffsetDateTime {
    NOW + Duration::days(count)
}

#[test]
fn each_state_has_one_next_change_and_its_neighbour_another() {
    use Published::{Everywhere, NotEverywhere};
    let whole = fresh();
    let next = |published| Material {
        next: Some(Next { authority: testing::profile().authority(NOW).unwrap(), published }),
        ..whole.clone()
    };
    let old =
        |until| Material { old: Some(Old { anchors: vec![fresh().signer.unwrap().anchor], until }), ..whole.clone() };
    let without_signer = |material: Material| Material { signer: None, ..material };
    let renewed = |at: OffsetDateTime| {
        let leaf = testing::profile().leaf(whole.signer.as_ref().unwrap(), at).unwrap();
        Material { leaf: Some(leaf), ..whole.clone() }
    };
    let rotate = Found { rotate: true, ..ours(whole.clone()) };
    let nothing = Found { owner: Owner::Nobody, ..ours(Material::default()) };
    let minute = Duration::MINUTE;
    for (name, found, published, now, expected) in [
        ("nothing there", nothing, Everywhere, NOW, Some(Change::Make)),
        ("all as it should be", ours(whole.clone()), Everywhere, NOW, None),
        ("not listed yet", ours(whole.clone()), NotEverywhere, NOW, None),
        ("leaf not due", ours(whole.clone()), Everywhere, days(60) - minute, None),
        ("leaf due", ours(whole.clone()), Everywhere, days(60), Some(Change::RenewLeaf)),
        ("leaf due, Providers away", ours(whole.clone()), NotEverywhere, days(60), Some(Change::RenewLeaf)),
        ("leaf ended", ours(whole.clone()), Everywhere, days(91), Some(Change::RenewLeaf)),
        ("leaf begins later", ours(whole.clone()), Everywhere, NOW - Duration::days(2), Some(Change::Make)),
        ("authority not due", ours(renewed(days(549))), Everywhere, days(550) - minute, None),
        ("authority due", ours(renewed(days(549))), Everywhere, days(550), Some(Change::Stage)),
        ("authority wanted anew", rotate, Everywhere, NOW, Some(Change::Stage)),
        ("all ended", ours(whole.clone()), Everywhere, days(1000), Some(Change::Make)),
        ("leaf cannot gain", ours(renewed(days(720))), NotEverywhere, days(725), Some(Change::Stage)),
        ("successor unlisted", ours(next(None)), NotEverywhere, NOW, None),
        ("successor listed", ours(next(None)), Everywhere, NOW, Some(Change::MarkPublished)),
        ("overlap not over", ours(next(Some(NOW))), Everywhere, NOW + Duration::HOUR - minute, None),
        ("overlap over", ours(next(Some(NOW))), Everywhere, NOW + Duration::HOUR, Some(Change::Switch)),
        ("unlisted again", ours(next(Some(NOW))), NotEverywhere, NOW + Duration::HOUR, Some(Change::Unmark)),
        ("a clock that is ahead", ours(next(Some(NOW + Duration::HOUR))), Everywhere, NOW, None),
        ("a moment too far ahead", ours(next(Some(days(1)))), Everywhere, NOW, Some(Change::MarkPublished)),
        ("leaf due beside a successor", ours(next(None)), NotEverywhere, days(60), Some(Change::RenewLeaf)),
        (
            "successor ended",
            ours(Material { leaf: renewed(days(700)).leaf, ..next(None) }),
            NotEverywhere,
            days(729) + Duration::days(1) - minute,
            Some(Change::Make),
        ),
        ("old without end", ours(old(None)), Everywhere, NOW, Some(Change::KeepOld)),
        ("old not over", ours(old(Some(days(9)))), Everywhere, days(9) - minute, None),
        ("old over", ours(old(Some(days(9)))), Everywhere, days(9), Some(Change::DropOld)),
        ("signer lost", ours(without_signer(whole.clone())), Everywhere, NOW, Some(Change::Stage)),
        ("signer lost, leaf ended", ours(without_signer(next(None))), NotEverywhere, days(91), Some(Change::Switch)),
        ("signer lost, leaf due", ours(without_signer(next(None))), NotEverywhere, days(61), None),
        ("leaf lost", broken(Material { leaf: None, ..whole.clone() }), Everywhere, NOW, Some(Change::RenewLeaf)),
        ("all lost", broken(Material::default()), NotEverywhere, NOW, Some(Change::Make)),
        ("something else broken", broken(whole.clone()), NotEverywhere, NOW, Some(Change::Rewrite)),
    ] {
        assert_eq!(view(&found, None, published, now).plan(&TIMING), expected, "{name}");
    }
}

#[test]
fn what_is_remembered_is_written_back_while_it_can_be_served() {
    let memory = fresh();
    let nothing = Found { owner: Owner::Nobody, ..ours(Material::default()) };
    for (name, found) in [("deleted", nothing), ("broken", broken(Material::default())), ("half", broken(fresh()))] {
        let view = view(&found, Some(&memory), Published::NotEverywhere, NOW);
        assert_eq!(view.plan(&TIMING), Some(Change::Restore), "{name}");
        let restored = view.apply(Change::Restore, &testing::profile()).unwrap();
        assert_eq!(restored, Material { unread: true, ..memory.clone() }, "{name}");
    }
    let found = broken(Material::default());
    let late = |now| view(&found, Some(&memory), Published::NotEverywhere, now);
    assert_eq!(late(days(91)).plan(&TIMING), Some(Change::Restore), "its leaf has ended, and another can be signed");
    let other = broken(Material { leaf: None, ..fresh() });
    let saved = view(&other, Some(&memory), Published::NotEverywhere, days(91));
    assert_eq!(saved.plan(&TIMING), Some(Change::RenewLeaf), "by what is there, rather");
    assert_eq!(late(days(730)).plan(&TIMING), Some(Change::Make), "its authority has ended");
    let late = late(days(91));
    let made = late.apply(Change::Make, &testing::profile()).unwrap();
    assert_eq!(made.old.unwrap().anchors, [memory.signer.unwrap().anchor], "what was listed stays listed");
}

// Who mends the Secret may have slept through a rotation, whose authority another replica serves by.
#[test]
fn what_providers_list_stays_listed_whoever_mends_the_secret() {
    let profile = testing::profile();
    let (memory, newer) = (fresh(), fresh().signer.unwrap().anchor);
    let nothing = Found { owner: Owner::Nobody, ..ours(Material::default()) };
    let cut = broken(Material { leaf: None, ..memory.clone() });
    for (name, found, memory, change) in [
        ("remembered", &nothing, Some(&memory), Change::Restore),
        ("forgotten", &nothing, None, Change::Make),
        ("saved in part", &cut, None, Change::RenewLeaf),
    ] {
        let mend = view(found, memory, Published::NotEverywhere, NOW);
        assert_eq!(mend.plan(&TIMING), Some(change), "{name}");
        let mended = ours(mend.apply(change, &profile).unwrap());
        assert!(mended.material.unread, "{name}");
        assert_eq!(view(&mended, None, Published::NotEverywhere, NOW).plan(&TIMING), None, "{name}: some are not read");
        // Nothing waits for them, and nothing but reading them ends it.
        let due = days(60);
        let unread = view(&mended, None, Published::NotEverywhere, due);
        assert_eq!(unread.plan(&TIMING), Some(Change::RenewLeaf), "{name}");
        assert!(unread.apply(Change::RenewLeaf, &profile).unwrap().unread, "{name}");

        let others = [newer.clone()];
        let read = View { others: Some(&others), ..unread };
        assert_eq!(read.plan(&TIMING), Some(Change::Adopt), "{name}");
        let adopted = read.apply(Change::Adopt, &profile).unwrap();
        let old = Old { anchors: vec![newer.clone()], until: Some(due + profile.leaf) };
        assert_eq!(adopted, Material { old: Some(old), unread: false, ..mended.material.clone() }, "{name}");

        let read = View { others: Some(&[]), ..unread };
        let adopted = read.apply(Change::Adopt, &profile).unwrap();
        assert_eq!(adopted, Material { unread: false, ..mended.material.clone() }, "{name}: nothing else is listed");
    }
    let whole = ours(memory);
    let read = View { others: Some(&[newer]), ..view(&whole, None, Published::Everywhere, NOW) };
    assert_eq!(read.plan(&TIMING), None, "nothing was lost: whatever else is listed goes");
}

#[test]
fn what_is_adopted_joins_old_ones_for_as_long_as_either_is_needed() {
    let profile = testing::profile();
    let known = fresh().signer.unwrap().anchor;
    let others: Vec<Anchor> = (0..=MAX_OLD).map(|_| fresh().signer.unwrap().anchor).collect();
    for (name, until, expected) in [
        ("without an end", None, days(90)),
        ("ends before", Some(days(9)), days(90)),
        ("ends after", Some(days(99)), days(99)),
    ] {
        let old = Some(Old { anchors: vec![known.clone()], until });
        let found = ours(Material { old, unread: true, ..fresh() });
        let read = View { others: Some(&others[..1]), ..view(&found, None, Published::Everywhere, NOW) };
        let old = read.apply(Change::Adopt, &profile).unwrap().old.unwrap();
        assert_eq!((old.anchors, old.until), (vec![known.clone(), others[0].clone()], Some(expected)), "{name}");
        let read = View { others: Some(&others), ..read };
        let old = read.apply(Change::Adopt, &profile).unwrap().old.unwrap();
        assert_eq!(
            old.anchors,
            [slice::from_ref(&known), &others[..MAX_OLD - 1]].concat(),
            "{name}: as many as there may be"
        );
    }
}

#[test]
fn a_successor_that_is_remembered_waits_for_a_whole_overlap_again() {
    let next = Next { authority: testing::profile().authority(NOW).unwrap(), published: Some(NOW) };
    let memory = Material { next: Some(next.clone()), ..fresh() };
    let nothing = Found { owner: Owner::Nobody, ..ours(Material::default()) };
    let restore = view(&nothing, Some(&memory), Published::NotEverywhere, days(1));
    let restored = restore.apply(Change::Restore, &testing::profile()).unwrap();
    assert_eq!(restored.next, Some(Next { published: None, ..next }));
}

#[test]
fn a_predecessor_stays_listed_until_its_leaf_has_ended() {
    let before = fresh();
    let next = testing::profile().authority(NOW).unwrap();
    let found = ours(Material { next: Some(Next { authority: next.clone(), published: Some(NOW) }), ..before.clone() });
    let now = NOW + Duration::HOUR;
    let after = view(&found, None, Published::Everywhere, now).apply(Change::Switch, &testing::profile()).unwrap();
    assert_eq!(after.signer.as_ref(), Some(&next));
    assert_eq!(after.next, None);
    let old = after.old.clone().unwrap();
    assert_eq!(old.anchors, [before.signer.unwrap().anchor]);
    assert_eq!(old.until, Some(before.leaf.unwrap().life.until));
    let found = ours(after);
    let dropped = view(&found, None, Published::Everywhere, days(90)).apply(Change::DropOld, &testing::profile());
    assert_eq!(dropped.unwrap().old, None);
}

/// A cluster of days: a Secret, Providers with all that they ever listed, replicas that hear of things late or never.
struct World {
    now: OffsetDateTime,
    secret: Option<Secret>,
    /// What each Provider lists, since when.
    listed: [Vec<(OffsetDateTime, Vec<Anchor>)>; 2],
    /// Which Providers can be neither read nor written.
    away: [bool; 2],
    replicas: [Replica; 2],
    profile: Profile,
}

#[derive(Default)]
struct Replica {
    memory: Option<Material>,
    served: Option<Leaf>,
}

#[derive(Debug, Clone)]
enum Event {
    /// Breaks the Secret, by the number of the way.
    Break(u8),
    Follow(usize),
    ProviderAway(usize),
    ProviderBack(usize),
    Rotate,
    /// A whole look of a writer, given up after so many changes.
    Tick(usize, usize),
}

/// How late a client may hear of what a Provider lists.
const LATE: Duration = Duration::minutes(30);
/// Short lives, so that a schedule sees several rotations.
const SHORT: Timing =
    Timing { renew_before: Duration::days(8), authority_renew_before: Duration::days(45), overlap: Duration::HOUR };

impl World {
    fn new() -> Self {
        let profile = Profile { leaf: Duration::days(20), authority: Duration::days(90), ..testing::profile() };
        Self {
            now: NOW,
            secret: None,
            listed: [Vec::new(), Vec::new()],
            away: [false; 2],
            replicas: [Replica::default(), Replica::default()],
            profile,
        }
    }

    fn read(&self) -> Found {
        secret::read(self.secret.as_ref(), &self.profile.names, &self.profile.provider)
    }

    /// As the shell takes it into use.
    fn follow(&mut self, replica: usize) -> Found {
        let found = self.read();
        if found.is_whole() {
            let Replica { memory, served } = &mut self.replicas[replica];
            let lives = |leaf: &Option<Leaf>| leaf.as_ref().is_some_and(|leaf| leaf.life.covers(self.now));
            if lives(&found.material.leaf) || !lives(served) {
                served.clone_from(&found.material.leaf);
            }
            *memory = Some(found.material.clone());
        }
        found
    }

    /// Also what they list beside, where that stays and all of them can be read.
    fn publish(&mut self, material: &Material) -> (Published, Option<Vec<Anchor>>) {
        let wanted: Vec<Anchor> = material.bundle().into_iter().cloned().collect();
        let (mut published, mut others) = (Published::Everywhere, Some(Vec::new()));
        for (listed, away) in self.listed.iter_mut().zip(self.away) {
            if away {
                (published, others) = (Published::NotEverywhere, None);
                continue;
            }
            let last = listed.last().map(|(_, anchors)| anchors.clone()).unwrap_or_default();
            if !wanted.iter().all(|anchor| last.contains(anchor)) {
                published = Published::NotEverywhere;
            }
            let mut stay = last.clone();
            stay.retain(|anchor| material.unread && !wanted.contains(anchor));
            let all = [wanted.clone(), stay.clone()].concat();
            if last != all {
                listed.push((self.now, all));
            }
            if let Some(others) = &mut others {
                stay.retain(|anchor| !others.contains(anchor));
                others.append(&mut stay);
            }
        }
        (published, others)
    }

    fn tick(&mut self, replica: usize, changes: usize) -> usize {
        for made in 0..changes {
            let found = self.follow(replica);
            let (published, others) =
                if found.is_whole() { self.publish(&found.material) } else { (Published::NotEverywhere, None) };
            let memory = self.replicas[replica].memory.clone();
            let view =
                View { found: &found, memory: memory.as_ref(), published, others: others.as_deref(), now: self.now };
            let Some(change) = view.plan(&SHORT) else { return made };
            let material = view.apply(change, &self.profile).unwrap();
            if change.publishes_first() {
                self.publish(&material);
            }
            self.secret = Some(secret::render(&material, self.secret.as_ref(), "s", "ns"));
        }
        self.follow(replica);
        changes
    }

    fn spoil(&mut self, way: u8) {
        // A Secret that is broken before anybody has seen it whole is another story.
        if self.replicas.iter().any(|replica| replica.memory.is_none()) {
            return;
        }
        let Some(Secret { data: Some(data), metadata, .. }) = &mut self.secret else { return };
        let garbage = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
        match way % 6 {
            0 => self.secret = None,
            1 => drop(data.insert("ca.key".to_owned(), garbage("garbage"))),
            2 => drop(data.remove("tls.key")),
            3 => drop(data.insert("ca.crt".to_owned(), garbage("-----BEGIN CERTIFICATE-----"))),
            4 => data.clear(),
            _ => metadata.annotations = None,
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Break(way) => self.spoil(*way),
            Event::Follow(replica) => drop(self.follow(*replica)),
            Event::ProviderAway(provider) => self.away[*provider] = true,
            Event::ProviderBack(provider) => self.away[*provider] = false,
            Event::Rotate => {
                if let Some(annotations) = self.secret.as_mut().and_then(|secret| secret.metadata.annotations.as_mut())
                {
                    annotations.insert(secret::ROTATE.to_owned(), "true".to_owned());
                }
            }
            Event::Tick(replica, changes) => drop(self.tick(*replica, *changes)),
        }
    }

    /// Whoever trusts what a Provider listed at any time since `LATE` ago believes each leaf that is served and has not ended.
    fn is_believed(&self) -> Result<(), String> {
        for (number, leaf) in
            self.replicas.iter().enumerate().filter_map(|(n, replica)| Some((n, replica.served.as_ref()?)))
        {
            if !leaf.life.covers(self.now) {
                continue;
            }
            for listed in &self.listed {
                let last_late = listed.iter().rposition(|(since, _)| *since <= self.now - LATE).unwrap_or(0);
                for (since, anchors) in &listed[last_late..] {
                    let believes = |anchor: &Anchor| {
                        anchor.life.covers(self.now)
                            && vouches(anchor, leaf.der(), leaf.life, &self.profile.names, &self.profile.provider)
                    };
                    if !anchors.iter().any(believes) {
                        return Err(format!("at {}, replica {number}, listed since {since}", self.now));
                    }
                }
            }
        }
        Ok(())
    }
}

fn event() -> impl Strategy<Value = Event> {
    let replica = 0..2_usize;
    prop_oneof![
        4 => (replica.clone(), 0..=8_usize).prop_map(|(replica, changes)| Event::Tick(replica, changes)),
        2 => replica.clone().prop_map(Event::Follow),
        1 => any::<u8>().prop_map(Event::Break),
        1 => replica.clone().prop_map(Event::ProviderAway),
        1 => replica.prop_map(Event::ProviderBack),
        1 => Just(Event::Rotate),
    ]
}

/// Minutes that pass before an event: around an overlap's length, or days.
fn pause() -> impl Strategy<Value = i64> {
    const SOON: RangeInclusive<i64> = 0..=90;
    const DAYS: RangeInclusive<i64> = 600..=3000;
    prop_oneof![SOON, DAYS]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happens_a_client_that_is_late_believes_what_is_served(
        schedule in proptest::collection::vec((pause(), event()), 30..80),
    ) {
        let mut world = World::new();
        world.tick(0, 8);
        world.follow(1);
        let mut away = 0;
        for (step, (minutes, event)) in schedule.iter().enumerate() {
            world.now += Duration::minutes(*minutes);
            // An outage of ten days at most, and a writer every sixth day at least: beyond, leaves do end.
            away = if world.away.contains(&true) { away + 1 } else { 0 };
            if away > 4 {
                world.away = [false; 2];
            }
            world.happen(event);
            if step % 3 == 0 {
                world.tick(step % 2, 8);
            }
            prop_assert_eq!(world.is_believed(), Ok(()), "step {}: {:?}", step, event);
        }
        world.away = [false; 2];
        // Whatever is due by then is done, and nothing is begun anew.
        let rests = (0..48).any(|_| {
            world.now += Duration::HOUR;
            world.tick(0, 8);
            let is_done = world.tick(0, 8) == 0;
            let Material { next, leaf, .. } = world.read().material;
            let lasts = leaf.is_some_and(|leaf| leaf.life.until - world.now > SHORT.renew_before);
            is_done && next.is_none() && lasts
        });
        prop_assert!(rests, "it comes to rest");
    }
}
