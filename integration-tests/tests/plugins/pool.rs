//! How many run at once, and what one plugin's misery does to others.

use std::{fs, time::Duration};

use countersign::{
    executor::Question,
    oci::{Descriptor, Reference, media_type},
    tenant::Tenant,
    time::Clock,
};
use integration_tests::shelf::Shelf as _;
use serde_json::json;
use tokio::time::Instant;

use super::{Bench, LICENCE, Said};

/// References of many images, each with an artifact of its own, so that no verdict answers for two.
fn many(bench: &Bench, count: usize) -> Vec<String> {
    let images = (0..count).map(|number| {
        let image = bench.layout.put_image(&format!("image {number}"), None);
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_MANIFEST,
            "artifactType": LICENCE,
            "config": Descriptor::of(media_type::EMPTY, b"{}"),
            "layers": [],
            "subject": image,
        });
        bench.layout.put_document(media_type::IMAGE_MANIFEST, &document, None);
        format!("images.test/app@{}", image.digest)
    });
    images.collect()
}

fn question(reference: &str, patience: Duration) -> Question {
    Question {
        tenant: Tenant::Cluster,
        reference: Reference::parse(reference).unwrap(),
        now: Clock::System.now(),
        deadline: Instant::now() + patience,
    }
}

// PLG-09
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_at_once_are_run_a_few_at_a_time() {
    let bench = Bench::set();
    let references = many(&bench, 500);
    let mut configuration = bench.configuration(&[{
        let mut verifier = bench.verifier("count");
        verifier["maxConcurrent"] = json!(4);
        verifier
    }]);
    configuration["limits"] = json!({ "plugins": { "running": 4, "wait": "30s" }, "inFlight": 1000, "queued": 1000 });
    let engine = bench.engine(&configuration).await.unwrap();
    let mut asked = Vec::new();
    for reference in references {
        let executor = engine.executor.clone();
        asked.push(tokio::spawn(async move {
            Said::of(&executor.verify(question(&reference, Duration::from_mins(4))).await).code
        }));
    }
    let mut verified = 0;
    for answer in asked {
        let code = answer.await.unwrap();
        // On a slow machine the last ones find no place in time; that is no verdict, and said.
        assert!(["VERIFIED", "OVERLOADED"].contains(&code.as_str()), "{code}");
        verified += usize::from(code == "VERIFIED");
    }
    let saw: Vec<usize> = fs::read_dir(bench.path("out"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("saw-"))
        .map(|entry| fs::read_to_string(entry.path()).unwrap().parse().unwrap())
        .collect();
    assert_eq!(saw.len(), verified, "each that was verified has run, once");
    assert!(verified > 20, "{verified}");
    let most = saw.iter().max().copied().unwrap();
    assert!((1..=4).contains(&most), "at most four ran at once, {most} did");
    let left = fs::read_dir(bench.path("out")).unwrap().flatten();
    assert_eq!(left.filter(|entry| entry.file_name().to_string_lossy().starts_with("running-")).count(), 0);
}

// PLG-09
#[tokio::test(flavor = "multi_thread")]
async fn who_finds_no_place_in_time_is_told() {
    let bench = Bench::set();
    let references = many(&bench, 2);
    let mut hog = bench.verifier("hang");
    hog["timeout"] = json!("3s");
    let mut configuration = bench.configuration(&[hog]);
    configuration["limits"] = json!({ "plugins": { "running": 1, "wait": "300ms" } });
    let engine = bench.engine(&configuration).await.unwrap();
    let patience = Duration::from_mins(1);
    let [first, second] = [&references[0], &references[1]].map(|reference| question(reference, patience));
    let (first, second) = tokio::join!(engine.executor.verify(first), engine.executor.verify(second));
    let mut both = [Said::of(&first).code, Said::of(&second).code];
    both.sort();
    assert_eq!(both, ["OVERLOADED", "PLUGIN_TIMEOUT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_leaves_places_to_others() {
    let bench = Bench::set();
    let references = many(&bench, 12);
    let mut hog = bench.verifier("hang");
    hog["name"] = json!("hog");
    let good = bench.verifier("yes");
    let mut configuration = bench.configuration(&[hog, good]);
    // Each verifier has images of its own.
    configuration["policies"] = json!([
        { "scopes": ["images.test/hog"], "require": "hog" },
        { "scopes": ["images.test/app"], "require": "licence" },
    ]);
    configuration["limits"] = json!({ "plugins": { "running": 4, "wait": "20s" } });
    let engine = bench.engine(&configuration).await.unwrap();
    let mut hogs = Vec::new();
    for reference in &references {
        let asked = question(&reference.replace("/app@", "/hog@"), Duration::from_secs(5));
        let executor = engine.executor.clone();
        hogs.push(tokio::spawn(async move { Said::of(&executor.verify(asked).await).code }));
    }
    for reference in &references {
        let said = Said::of(&engine.executor.verify(question(reference, Duration::from_secs(20))).await);
        assert_eq!(said.code, "VERIFIED", "{}", said.value);
    }
    assert!(hogs.iter().any(|hog| !hog.is_finished()), "the others were served meanwhile");
    for hog in hogs {
        assert!(["OVERLOADED", "PLUGIN_TIMEOUT", "TIMEOUT"].contains(&hog.await.unwrap().as_str()));
    }
}
