//! The fuzz targets without a fuzzer: over their seeds, and over the same mutations of them each time.

use std::{
    collections::BTreeSet,
    fs, panic,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use integration_tests::fuzz::{Mutator, Read, TARGETS, Target, seeds};

/// Largest seed.
const MAX_SEED_BYTES: usize = 64 * 1024;
/// What all seeds may weigh.
const MAX_ALL_BYTES: usize = 1024 * 1024;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

#[test]
fn every_target_has_its_file_its_binary_and_its_seeds() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert!(targets.iter().eq(TARGETS.iter().map(|target| target.name)), "each once, in order");
    assert_eq!(names(&root().join("fuzz/fuzz_targets"), ".rs"), targets);
    assert_eq!(names(&root().join("integration-tests/fixtures/corpus"), ""), targets);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    assert!(manifest.contains("\n[workspace]\n"), "no other build needs libFuzzer");
    let mut all = 0;
    for name in &targets {
        let source = fs::read_to_string(root().join(format!("fuzz/fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("fuzz::{name}(data)")), "{name}: {source}");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name}");
        for (seed, bytes) in seeds(name) {
            assert!(bytes.len() <= MAX_SEED_BYTES, "{name}/{seed}");
            all += bytes.len();
        }
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets.len());
    assert!(all <= MAX_ALL_BYTES, "{all}");
}

#[test]
fn mutations_are_the_same_each_time_and_not_the_seeds() {
    let seeds = [b"one".to_vec(), b"another".to_vec()];
    let made = |name: &str| {
        let mut mutator = Mutator::of(name);
        (0..200).map(|_| mutator.make(&seeds)).collect::<Vec<_>>()
    };
    assert_eq!(made("jws"), made("jws"));
    assert_ne!(made("jws"), made("cose"));
    assert!(made("jws").iter().filter(|bytes| !seeds.contains(bytes)).count() > 150);
    assert!(Mutator::of("x").make(&[Vec::new()]).len() < 1000, "an empty seed is one too");
}

/// What went wrong with a target, if anything: each fault with the file that holds its bytes.
fn smoke(target: &Target, faults: &Path) -> Vec<String> {
    let run = |bytes: &[u8]| panic::catch_unwind(|| (target.run)(bytes));
    let mut found = Vec::new();
    let mut wrong = |name: String, bytes: &[u8]| {
        let file = faults.join(format!("{}-{name}", target.name));
        fs::write(&file, bytes).unwrap();
        found.push(format!("{}: {name}: its bytes are in {}", target.name, file.display()));
    };
    let seeds = seeds(target.name);
    for (name, bytes) in &seeds {
        let expected = match name.split_once('-') {
            Some(("good", _)) => Read::Accepted,
            Some(("bad", _)) => Read::Refused,
            _ => panic!("{}/{name}: neither good- nor bad-", target.name),
        };
        if !run(bytes).is_ok_and(|read| read == expected) {
            wrong(name.clone(), bytes);
        }
    }
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|(_, bytes)| bytes).collect();
    let mut mutator = Mutator::of(target.name);
    for round in 0..target.rounds {
        let bytes = mutator.make(&seeds);
        if run(&bytes).is_err() {
            wrong(format!("round-{round}"), &bytes);
        }
    }
    found
}

// Item 109, R116
#[test]
fn every_target_withstands_its_seeds_and_their_mutations() {
    // Kept, so that a fault can be looked at.
    let faults: PathBuf = tempfile::Builder::new().prefix("fuzz-smoke-").tempdir().unwrap().keep();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let began = Instant::now();
            found.extend(smoke(target, &faults));
            println!("{}: {} ms", target.name, began.elapsed().as_millis());
        }
        found
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let found: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
    fs::remove_dir_all(faults).unwrap();
}
