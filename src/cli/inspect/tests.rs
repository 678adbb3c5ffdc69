use std::{collections::BTreeSet, path::Path};

use serde::Deserialize;
use time::macros::datetime;

use super::{document::What, *};
use crate::{
    crypto::describe::{Described, Unreadable},
    store::{
        StoreError,
        layout::{Layout, Limits},
    },
};

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    subject: CaseSubject,
}

#[derive(Deserialize)]
struct CaseSubject {
    reference: String,
}

fn fixtures(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration-tests/fixtures").join(path)
}

fn cases(family: &str) -> Vec<Case> {
    let text = std::fs::read(fixtures(&format!("{family}.json"))).unwrap();
    serde_json::from_slice::<Cases>(&text).unwrap().cases
}

async fn layout(family: &str) -> Layout {
    Layout::open(&fixtures(&format!("layouts/{family}")), Limits::default()).await.unwrap()
}

async fn look(layout: &Layout, reference: &str, at: OffsetDateTime) -> gather::Inspection {
    let reference: Reference = reference.parse().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    gather::inspect(layout, &reference, at, deadline).await.unwrap()
}

const NOW: OffsetDateTime = datetime!(2026-11-21 12:41 UTC);

fn tree(inspection: &gather::Inspection) -> String {
    let mut out = Vec::new();
    tree::write(&mut out, &inspection.document).unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn each_kind_of_artifact_has_its_tree() {
    for (family, id) in [
        ("notation", "notation-ok-ps256-jws-chain2"),
        ("notation", "notation-ts-real-cose"),
        ("notation", "notation-plugin-named-jws"),
        ("cosign", "cosign-annotations-all"),
        ("cosign", "cosign-att-spdxjson"),
        ("bundle", "bundle-ok-github"),
    ] {
        let cases = cases(family);
        let case = cases.iter().find(|case| case.id == id).unwrap_or_else(|| panic!("{id}"));
        let inspection = look(&layout(family).await, &case.subject.reference, NOW).await;
        assert!(!inspection.is_open, "{id}");
        insta::assert_snapshot!(id, tree(&inspection));
    }
}

#[tokio::test]
async fn the_json_has_the_same_members() {
    let case = cases("bundle").into_iter().find(|case| case.id == "bundle-ok-email").unwrap();
    let inspection = look(&layout("bundle").await, &case.subject.reference, NOW).await;
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&inspection.document).unwrap());
}

/// What the fixtures spoil on purpose is described, or said to be unreadable; either way it is shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_artifact_of_the_fixtures_is_shown() {
    let (mut described, mut unreadable) = (0_usize, 0_usize);
    for family in ["notation", "cosign", "bundle"] {
        let layout = layout(family).await;
        let references: BTreeSet<String> = cases(family).into_iter().map(|case| case.subject.reference).collect();
        for reference in references {
            let inspection = look(&layout, &reference, NOW).await;
            let tree = tree(&inspection);
            assert!(tree.contains(document::NOTICE), "{reference}");
            assert!(tree.chars().all(|c| c == '\n' || !c.is_control()), "{reference}: {tree}");
            serde_json::to_string(&inspection.document).unwrap();
            for artifact in &inspection.document.artifacts {
                let read = match &artifact.what {
                    What::Cosign { items } => items.iter().all(|item| item.content.read().is_some()),
                    What::Notation { signature } => matches!(&**signature, Described::Read(_)),
                    What::Not(_) => false,
                    What::Other(_) => true,
                };
                *if read { &mut described } else { &mut unreadable } += 1;
            }
        }
    }
    assert!(described > 400 && unreadable > 50, "{described} described, {unreadable} unreadable");
}

// What ends is warned of by the moment that is asked about, to the second.
#[tokio::test]
async fn warnings_go_by_the_moment() {
    let case = cases("notation").into_iter().find(|case| case.id == "notation-ok-ps256-jws-chain1").unwrap();
    let layout = layout("notation").await;
    let inspection = look(&layout, &case.subject.reference, NOW).await;
    let What::Notation { signature } = &inspection.document.artifacts[0].what else { panic!("a Notary signature") };
    let last = signature.read().unwrap().certificates[0].read().unwrap().not_after;
    for (at, expected) in [
        (last - time::Duration::days(31), None),
        (last - time::Duration::days(30), None),
        (last - time::Duration::days(29), Some("expires soon")),
        (last, Some("expires soon")),
        (last + time::Duration::SECOND, Some("expired")),
    ] {
        let inspection = look(&layout, &case.subject.reference, at).await;
        let said = inspection.document.warnings.first().map(|warning| warning.state);
        assert_eq!(said, expected, "{at}");
    }
}

#[tokio::test]
async fn an_sbom_tag_is_shown() {
    let layout = layout("cosign").await;
    let digest = "sha256:7ef457aceaa69f8e81023e765d7099f84101ed6749f43b61357cb479bff6e495";
    let inspection = look(&layout, &format!("registry.acorn.test/shop/web@{digest}"), NOW).await;
    assert!(tree(&inspection).contains("cosign tag .sbom"), "{}", tree(&inspection));
}

// The layout lists an artifact whose blob is gone: shown, and the rest of it too, but not as if all was known.
#[tokio::test]
async fn what_cannot_be_had_leaves_the_question_open() {
    let error = StoreError::Unavailable { registry: "r".to_owned(), what: "blob".to_owned(), detail: "503".to_owned() };
    let unreadable = Unreadable::because(error.code(), &error);
    assert_eq!(unreadable.code.class(), crate::reason::Class::Undecided);
    let attached = document::Attached {
        digest: "sha256:00".to_owned(),
        artifact_type: String::new(),
        found: "referrers API",
        what: What::Not(unreadable),
    };
    assert!(gather::is_open(&attached));
}
