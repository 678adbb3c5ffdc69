//! `countersign apply`: what is sent, what is waited for, what is said when it does not work.

use std::time::Duration;

use countersign::kubernetes::apply::{
    ApplyError, Bundle, CaBundle, Change, EnforcementAction, Manifest, OthersFields, Part, Run, Said, Settings, Terms,
    apply,
};
use integration_tests::{
    cluster::{FakeCluster, Fault, Gatekeeper},
    pki::Authority,
};
use serde_json::{Value, json};
use tokio::time::Instant;

const NAMESPACE: &str = "gatekeeper-system";
const CONSTRAINT: (&str, &str) = ("verifiedimages", "images-are-verified");

fn bundle(authority: &Authority) -> Bundle {
    Bundle::Given(CaBundle::parse(authority.pem().as_bytes()).unwrap())
}

fn of_secret() -> Bundle {
    Bundle::Secret { namespace: NAMESPACE.to_owned(), name: "countersign-tls".to_owned() }
}

/// Long enough for anything on a busy machine; looked at often.
fn terms(bundle: Bundle) -> Terms {
    Terms {
        bundle,
        others: OthersFields::Keep,
        run: Run::Real,
        until: Instant::now() + Duration::from_mins(1),
        every: Duration::from_millis(5),
    }
}

/// Time for one look.
fn once(bundle: Bundle) -> Terms {
    Terms { until: Instant::now(), ..terms(bundle) }
}

fn manifests(parts: &[Part]) -> Vec<Manifest> {
    let mut all = Manifest::built_in().unwrap();
    all.retain(|manifest| parts.contains(&manifest.part()));
    let settings = Settings {
        namespace: Some(NAMESPACE.to_owned()),
        enforcement_action: Some(EnforcementAction::Dryrun),
        ..Settings::default()
    };
    settings.make(&mut all).unwrap();
    all
}

/// What was said, and what came of it.
async fn run(cluster: &FakeCluster, parts: &[Part], terms: &Terms) -> (Vec<Said>, Result<(), ApplyError>) {
    let mut said = Vec::new();
    let done = apply(&cluster.client(), &manifests(parts), terms, &mut |word| said.push(word)).await;
    (said, done)
}

fn changes(said: &[Said]) -> Vec<Change> {
    said.iter().filter_map(|word| if let Said::Applied(_, change) = word { Some(*change) } else { None }).collect()
}

fn words(said: &[Said]) -> String {
    let word =
        |said: &Said| if let Said::Waiting(object, why) = said { Some(format!("{object}: {why}\n")) } else { None };
    said.iter().filter_map(word).collect()
}

fn spec(cluster: &FakeCluster, plural: &str, name: &str) -> Value {
    cluster.get(plural, "", name).unwrap()["spec"].clone()
}

fn owner_of_bundle(cluster: &FakeCluster) -> Vec<String> {
    let provider = cluster.get("providers", "", "countersign").unwrap();
    let entries = provider["metadata"]["managedFields"].as_array().unwrap().clone();
    let owns = |entry: &&Value| entry.pointer("/fieldsV1/f:spec/f:caBundle").is_some();
    entries.iter().filter(owns).map(|entry| entry["manager"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn everything_becomes_active_and_a_second_run_changes_nothing() {
    let cluster = FakeCluster::with_gatekeeper().await;
    let authority = Authority::new("ca");
    let (said, done) = run(&cluster, &Part::ALL, &terms(bundle(&authority))).await;
    done.unwrap();
    assert_eq!(changes(&said), [Change::Created; 10]);
    assert_eq!(said.iter().filter(|word| matches!(word, Said::Active(_))).count(), 10);
    assert_eq!(
        spec(&cluster, "providers", "countersign")["url"],
        "https://countersign.gatekeeper-system.svc:6001/countersign/gatekeeper/v1/verify"
    );
    assert_eq!(spec(&cluster, CONSTRAINT.0, CONSTRAINT.1)["enforcementAction"], "dryrun");
    assert_eq!(cluster.all("assign").len(), 4);
    assert_eq!(cluster.all("expansiontemplate").len(), 2);
    let writes = cluster.calls_to("apply *");
    assert!(writes.iter().all(|call| call.manager() == "countersign" && call.query["fieldValidation"] == "Strict"));
    let (said, done) = run(&cluster, &Part::ALL, &terms(bundle(&authority))).await;
    done.unwrap();
    assert_eq!(changes(&said), [Change::Unchanged; 10]);
    assert!(words(&said).is_empty(), "{said:?}");
}

#[tokio::test]
async fn a_bundle_comes_from_the_secret_once_that_is_there_and_is_then_its_keepers() {
    let cluster = FakeCluster::with_gatekeeper().await;
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let terms = terms(of_secret());
    let secret = |pem: &str| cluster.put_secret(NAMESPACE, "countersign-tls", "kubernetes.io/tls", &[("ca.crt", pem)]);
    let ((said, done), ()) = tokio::join!(run(&cluster, &[Part::Verify], &terms), async {
        cluster.arrived("get secrets/countersign-tls", 2).await;
        cluster.put_secret(NAMESPACE, "countersign-tls", "kubernetes.io/tls", &[("tls.key", "canary-5a77")]);
        cluster.forget_calls();
        cluster.arrived("get secrets/countersign-tls", 2).await;
        secret(old.pem().get(..100).unwrap());
        cluster.forget_calls();
        cluster.arrived("get secrets/countersign-tls", 2).await;
        secret(&old.pem());
    });
    done.unwrap();
    let told = words(&said);
    for part in ["does not exist", "has no ca.crt", "that cannot be read", "countersign-tls"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("canary"), "{told}");
    assert_eq!(owner_of_bundle(&cluster), ["countersign-certificates"]);
    // Its keeper puts another there, as another field manager: neither is undone, and fields of ours can still change.
    cluster.edit("providers", "", "countersign", |provider| provider["spec"]["caBundle"] = json!(new.pem()));
    let (said, done) = run(&cluster, &[Part::Verify], &terms).await;
    done.unwrap();
    assert_eq!(changes(&said), [Change::Unchanged]);
    let mut moved = manifests(&[Part::Verify]);
    let other = Settings { namespace: Some("elsewhere".to_owned()), ..Settings::default() };
    other.make(&mut moved).unwrap();
    apply(&cluster.client(), &moved, &terms, &mut |_| {}).await.unwrap();
    let spec = spec(&cluster, "providers", "countersign");
    assert_eq!(spec["caBundle"], new.pem());
    assert!(spec["url"].as_str().unwrap().contains("elsewhere"), "{spec}");
}

#[tokio::test]
async fn a_bundle_that_was_given_stays_until_it_is_handed_over() {
    let cluster = FakeCluster::with_gatekeeper().await;
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let (_, done) = run(&cluster, &[Part::Verify], &terms(Bundle::Kept)).await;
    assert!(matches!(done, Err(ApplyError::NoBundle { .. })), "{done:?}");
    run(&cluster, &[Part::Verify], &terms(bundle(&first))).await.1.unwrap();
    let given = spec(&cluster, "providers", "countersign")["caBundle"].clone();
    run(&cluster, &[Part::Verify], &terms(Bundle::Kept)).await.1.unwrap();
    assert_eq!(spec(&cluster, "providers", "countersign")["caBundle"], given);
    assert_eq!(owner_of_bundle(&cluster), ["countersign"]);
    cluster.put_secret(NAMESPACE, "countersign-tls", "kubernetes.io/tls", &[("ca.crt", &second.pem())]);
    run(&cluster, &[Part::Verify], &terms(of_secret())).await.1.unwrap();
    assert_ne!(spec(&cluster, "providers", "countersign")["caBundle"], given);
    assert_eq!(owner_of_bundle(&cluster), ["countersign-certificates"]);
    // Now it is another's, so that giving one again is a conflict, unless it is wanted.
    let (_, done) = run(&cluster, &[Part::Verify], &terms(bundle(&first))).await;
    let Err(error @ ApplyError::Conflict { .. }) = done else { panic!("{done:?}") };
    assert!(error.to_string().contains("countersign-certificates owns .spec.caBundle"), "{error}");
    assert!(!error.may_pass());
    let force = Terms { others: OthersFields::Take, ..terms(bundle(&first)) };
    run(&cluster, &[Part::Verify], &force).await.1.unwrap();
    assert_eq!(spec(&cluster, "providers", "countersign")["caBundle"], given);
}

// What time may change is waited out; each fault is met by each kind of call.
#[tokio::test]
async fn an_api_server_in_trouble_is_asked_again() {
    let authority = Authority::new("ca");
    for (name, fault, told) in [
        ("5xx", Fault::status(503), "answers 503"),
        ("500", Fault::status(500), "answers 500"),
        ("429", Fault::throttled(1), "answers 429"),
        ("dropped", Fault::Drop, "cannot be reached"),
        ("reset", Fault::Reset, "cannot be reached"),
        ("cut", Fault::Cut, "cannot be reached"),
        ("no Status", Fault::Raw(502, "<html>bad gateway</html>".to_owned()), "answers 502"),
        ("done, and not told", Fault::Unheard, "cannot be reached"),
        ("changed meanwhile", Fault::status(409), "modified"),
    ] {
        let cluster = FakeCluster::with_gatekeeper().await;
        cluster.script("apply *", [fault.clone()]);
        if name != "changed meanwhile" {
            cluster.script("get *", [fault.clone()]);
            cluster.script("discover *", [fault]);
        }
        let (said, done) = run(&cluster, &[Part::Constraint, Part::Verify], &terms(bundle(&authority))).await;
        done.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(words(&said).contains(told), "{name}: {}", words(&said));
        assert!(cluster.get(CONSTRAINT.0, "", CONSTRAINT.1).is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_refusal_is_said_at_once_with_its_reason() {
    let authority = Authority::new("ca");
    let denied = |text: &str| Fault::denied(422, &format!("admission webhook denied the request: {text}"));
    for (name, pattern, fault, told) in [
        ("RBAC, read", "get providers", Fault::status(403), "(403): forbidden"),
        ("RBAC, write", "apply providers", Fault::status(403), "(403): forbidden"),
        ("no token", "discover *", Fault::status(401), "(401)"),
        ("Gatekeeper", "apply providers", denied("no"), "(422): admission webhook denied the request: no"),
        ("a forged line", "apply providers", denied("a\nb"), r"a\u{a}b"),
    ] {
        let cluster = FakeCluster::with_gatekeeper().await;
        cluster.script_always(pattern, fault);
        let (_, done) = run(&cluster, &[Part::Verify], &terms(bundle(&authority))).await;
        let Err(error @ ApplyError::Denied { .. }) = done else { panic!("{name}: {done:?}") };
        assert!(error.to_string().contains(told), "{name}: {error}");
        assert!(!error.may_pass(), "{name}");
    }
}

#[tokio::test]
async fn what_gatekeeper_does_not_do_is_said() {
    let authority = Authority::new("ca");
    for (name, gatekeeper, parts, told, may_pass) in [
        (
            "not installed",
            Gatekeeper::Absent,
            vec![Part::Verify],
            "is Gatekeeper installed, with external data on?",
            true,
        ),
        ("no mutation", Gatekeeper::Absent, vec![Part::Expansion], "with expansion on?", true),
        ("nobody reports", Gatekeeper::Idle, vec![Part::Constraint], "no pod of Gatekeeper has reported on it", true),
        ("one is behind", Gatekeeper::Behind, vec![Part::Expansion], "1 of 2 pods of Gatekeeper", true),
        (
            "an error",
            Gatekeeper::Complaining("rego_parse_error".to_owned()),
            vec![Part::Constraint],
            "gatekeeper-audit-0 reports: rego_parse_error",
            false,
        ),
    ] {
        let cluster = FakeCluster::start().await;
        cluster.gatekeeper(gatekeeper);
        let (_, done) = run(&cluster, &parts, &once(bundle(&authority))).await;
        let error = done.unwrap_err();
        assert!(error.to_string().contains(told), "{name}: {error}");
        assert_eq!(error.may_pass(), may_pass, "{name}");
    }
}

#[tokio::test]
async fn gatekeeper_may_come_later_than_we_do() {
    let cluster = FakeCluster::start().await;
    let authority = Authority::new("ca");
    let terms = terms(bundle(&authority));
    let ((said, done), ()) = tokio::join!(run(&cluster, &Part::ALL, &terms), async {
        cluster.arrived("discover *", 2).await;
        cluster.gatekeeper(Gatekeeper::Idle);
        cluster.arrived("get constrainttemplates", 3).await;
        // Its webhook may know the template later than its pods report it.
        cluster.script("apply verifiedimages", [Fault::denied(422, "no constraint template of kind VerifiedImages")]);
        cluster.gatekeeper(Gatekeeper::Working);
    });
    done.unwrap();
    let told = words(&said);
    for part in ["is not served", "no pod of Gatekeeper has reported", "no constraint template of kind"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(told.matches("Provider countersign: ").count(), 1, "said once, not at each look: {told}");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let cluster = FakeCluster::with_gatekeeper().await;
    let authority = Authority::new("ca");
    cluster.put_secret(NAMESPACE, "countersign-tls", "kubernetes.io/tls", &[("ca.crt", &authority.pem())]);
    for bundle in [bundle(&authority), of_secret()] {
        let dry = Terms { run: Run::Dry, ..terms(bundle) };
        let (said, done) = run(&cluster, &Part::ALL, &dry).await;
        done.unwrap();
        assert_eq!(changes(&said), [Change::Created; 9]);
        assert!(
            matches!(said.last(), Some(Said::Skipped(object, _)) if object == "VerifiedImages images-are-verified")
        );
    }
    assert!(cluster.all("providers").is_empty() && cluster.all("assign").is_empty());
    assert!(cluster.calls_to("apply *").iter().all(|call| call.query["dryRun"] == "All"));
}
