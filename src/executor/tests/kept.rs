//! What the verdict cache keeps, for how long, and what it never does.

use std::{
    collections::HashMap as Map,
    hash::{BuildHasherDefault, Hasher},
};

use super::*;

fn key(number: usize) -> VerdictKey {
    let reference = Reference::parse(&format!("r.io/app/{number}:1")).unwrap();
    VerdictKey::new(&Tenant::Cluster, reference.repository(), &Digest::sha256(&number.to_be_bytes()))
}

async fn yes() -> Answer {
    let (store, image) = FakeStore::with(&["yes"]);
    executor(store.into()).verify(ask(&image)).await
}

// CCH-05: what is kept is bounded by bytes, however many keys there are.
#[tokio::test]
async fn any_number_of_keys_costs_no_more_than_the_budget() {
    let limits = Limits { verdict_cache_bytes: 1 << 20, ..Limits::default() };
    let (verdicts, answer) = (Verdicts::new(&limits), yes().await);
    for number in 0..20_000 {
        verdicts.keep(key(number), &answer, NOW, Instant::now());
    }
    let (entries, bytes) = verdicts.size();
    assert!(bytes <= 1 << 20 && (1..2_000).contains(&entries), "{entries} entries, {bytes} bytes");
}

// CCH-08
#[tokio::test]
async fn an_undecided_answer_is_never_kept() {
    let verdicts = Verdicts::new(&Limits::default());
    let undecided = Answer::undecided(&question("r.io/app:1"), Code::Timeout, "late");
    verdicts.keep(key(1), &undecided, NOW, Instant::now());
    assert_eq!(verdicts.size().0, 0);
    verdicts.keep(key(1), &yes().await, NOW, Instant::now());
    assert_eq!(verdicts.size().0, 1);
}

// CCH-09: five seconds by default, and a yes lives longer.
#[tokio::test]
async fn a_no_is_kept_for_seconds_only() {
    let (store, image) = FakeStore::with(&["no"]);
    let (no, yes) = (executor(store.into()).verify(ask(&image)).await, yes().await);
    assert_eq!(code(&no), ('n', Code::SignatureInvalid));
    // A verdict's life counts from its listing: one of so many seconds ago stands for one that was kept so long.
    for (seconds, expected) in [(4, [true, true]), (5, [false, true]), (9, [false, true]), (10, [false, false])] {
        let listed = Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let verdicts = Verdicts::new(&Limits::default());
        verdicts.keep(key(1), &no, NOW, listed);
        verdicts.keep(key(2), &yes, NOW, listed);
        assert_eq!([1, 2].map(|number| verdicts.fresh(&key(number), NOW).is_some()), expected, "after {seconds} s");
    }
}

/// Gives everything the same hash.
#[derive(Default)]
struct Same;

impl Hasher for Same {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, _: &[u8]) {}
}

// CCH-13: a hash leads to a place, only the whole key opens it.
#[test]
fn keys_of_one_hash_are_still_different_keys() {
    let mut kept: Map<VerdictKey, usize, BuildHasherDefault<Same>> = Map::default();
    kept.extend((0..100).map(|number| (key(number), number)));
    assert_eq!(kept.len(), 100);
    assert!((0..100).all(|number| kept[&key(number)] == number));
    let (repository, digest) = (Repository::parse("r.io/app/1").unwrap(), Digest::sha256(&1_usize.to_be_bytes()));
    let of = |tenant: &Tenant| VerdictKey::new(tenant, &repository, &digest);
    assert!(kept.contains_key(&of(&Tenant::Cluster)));
    let elsewhere = of(&Tenant::Namespace(Namespace::parse("team").unwrap()));
    assert!(!kept.contains_key(&elsewhere));
}
