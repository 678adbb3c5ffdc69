//! The fake itself: what the other tests rely on is as an API server has it.

use std::pin::pin;

use futures_util::StreamExt as _;
use integration_tests::cluster::{FakeCluster, Fault, Gatekeeper, Interruption};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
    discovery,
    runtime::watcher::{self, Event, watcher},
};
use serde_json::{Value, json};

fn code<T>(result: kube::Result<T>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(_) => 0,
    }
}

#[tokio::test]
async fn a_write_from_an_old_version_is_a_conflict() {
    let cluster = FakeCluster::start().await;
    let leases: Api<Lease> = Api::namespaced(cluster.client(), "here");
    let lease: Lease = serde_json::from_value(json!({ "metadata": { "name": "one" } })).unwrap();
    let first = leases.create(&PostParams::default(), &lease).await.unwrap();
    assert_eq!(code(leases.create(&PostParams::default(), &lease).await), 409);
    let mut second = first.clone();
    second.spec.get_or_insert_default().holder_identity = Some("a".to_owned());
    let second = leases.replace("one", &PostParams::default(), &second).await.unwrap();
    assert_ne!(first.resource_version(), second.resource_version());
    assert_eq!(code(leases.replace("one", &PostParams::default(), &first).await), 409);
    let stale =
        json!({ "metadata": { "resourceVersion": first.resource_version() }, "spec": { "holderIdentity": "b" } });
    assert_eq!(code(leases.patch("one", &PatchParams::default(), &Patch::Merge(&stale)).await), 409);
    assert_eq!(leases.get("one").await.unwrap().spec.unwrap().holder_identity.as_deref(), Some("a"));
    leases.delete("one", &DeleteParams::default()).await.unwrap();
    assert_eq!(code(leases.delete("one", &DeleteParams::default()).await), 404);
    assert_eq!(code(leases.get("one").await), 404);
}

async fn providers(cluster: &FakeCluster) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("externaldata.gatekeeper.sh", "v1beta1", "Provider");
    let (resource, _) = discovery::pinned_kind(&cluster.client(), &kind).await.unwrap();
    Api::all_with(cluster.client(), &resource)
}

async fn apply(api: &Api<DynamicObject>, manager: &str, force: bool, spec: Value) -> kube::Result<DynamicObject> {
    let object = json!({
        "apiVersion": "externaldata.gatekeeper.sh/v1beta1",
        "kind": "Provider",
        "metadata": { "name": "one" },
        "spec": spec,
    });
    let params = PatchParams::apply(manager);
    let params = if force { params.force() } else { params };
    api.patch("one", &params, &Patch::Apply(&object)).await
}

#[tokio::test]
async fn an_apply_keeps_what_others_own_and_takes_away_what_it_no_longer_names() {
    let cluster = FakeCluster::with_gatekeeper().await;
    let api = providers(&cluster).await;
    assert_eq!(code(apply(&api, "a", false, json!({ "url": "https://x", "timeout": 1 })).await), 422, "no caBundle");
    apply(&api, "a", false, json!({ "url": "https://x", "timeout": 1, "caBundle": "one" })).await.unwrap();
    let conflict = apply(&api, "b", false, json!({ "caBundle": "two" })).await;
    let Err(kube::Error::Api(status)) = conflict else { panic!("{conflict:?}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert!(status.message.contains(r#"conflict with "a" using externaldata.gatekeeper.sh/v1beta1: .spec.caBundle"#));
    assert_eq!(status.details.unwrap().causes[0].field, ".spec.caBundle");
    apply(&api, "b", true, json!({ "caBundle": "two" })).await.unwrap();
    let kept = apply(&api, "a", false, json!({ "url": "https://x" })).await.unwrap();
    assert_eq!(kept.data["spec"], json!({ "url": "https://x", "caBundle": "two" }), "`timeout` was a's alone");
    let again = apply(&api, "a", false, json!({ "url": "https://x" })).await.unwrap();
    assert_eq!(again.resource_version(), kept.resource_version(), "nothing changed");
}

#[tokio::test]
async fn kinds_come_with_their_definition() {
    let cluster = FakeCluster::start().await;
    let of = |kind: &str| GroupVersionKind::gvk("constraints.gatekeeper.sh", "v1beta1", kind);
    assert!(discovery::pinned_kind(&cluster.client(), &of("VerifiedImages")).await.is_err());
    let template = json!({
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": { "name": "verifiedimages" },
        "spec": { "crd": { "spec": { "names": { "kind": "VerifiedImages" } } } },
    });
    cluster.gatekeeper(Gatekeeper::Idle);
    cluster.put(template);
    assert!(discovery::pinned_kind(&cluster.client(), &of("VerifiedImages")).await.is_err());
    cluster.gatekeeper(Gatekeeper::Working);
    let (resource, _) = discovery::pinned_kind(&cluster.client(), &of("VerifiedImages")).await.unwrap();
    assert_eq!(resource.plural, "verifiedimages");
    assert_eq!(cluster.get("constrainttemplates", "", "verifiedimages").unwrap()["status"]["created"], true);
}

#[tokio::test]
async fn a_watch_sees_each_change_through_every_interruption() {
    let cluster = FakeCluster::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "here");
    let put = |value: &str| {
        cluster.put(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": "here", "name": "one" }, "data": { "k": value },
        }))
    };
    put("0");
    let (seen, mut values) = tokio::sync::mpsc::unbounded_channel();
    let watching = tokio::spawn(async move {
        let mut events = pin!(watcher(maps, watcher::Config::default().fields("metadata.name=one")));
        while let Some(event) = events.next().await {
            if let Ok(Event::Apply(map) | Event::InitApply(map)) = event {
                seen.send(map.data.unwrap()["k"].clone()).unwrap();
            }
        }
    });
    let mut latest = async |wanted: &str| while values.recv().await.unwrap() != wanted {};
    latest("0").await;
    for (step, how) in
        [Interruption::Bookmark, Interruption::End, Interruption::Reset, Interruption::Half, Interruption::Gone]
            .into_iter()
            .enumerate()
    {
        cluster.watched(1).await;
        cluster.interrupt_watches(how);
        let value = (step + 1).to_string();
        put(&value);
        latest(&value).await;
    }
    watching.abort();
    let lists = cluster.calls_to("list configmaps/one").len();
    assert_eq!(lists, 2, "only 410 Gone asks for everything again");
}

#[tokio::test]
async fn what_is_scripted_happens_once_and_then_it_is_faithful() {
    let cluster = FakeCluster::start().await;
    cluster.put_secret("here", "one", "Opaque", &[("k", "v")]);
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), "here");
    for (name, fault, expected) in [
        ("5xx", Fault::status(503), 503),
        ("429", Fault::throttled(7), 429),
        ("403", Fault::status(403), 403),
        ("not JSON", Fault::Raw(502, "bad gateway".to_owned()), 502),
        ("dropped", Fault::Drop, 0),
        ("reset", Fault::Reset, 0),
        ("cut", Fault::Cut, 0),
        (
            "half written",
            Fault::edit(|mut secret| {
                secret["data"]["k"] = json!("dg=");
                secret
            }),
            0,
        ),
    ] {
        cluster.script("get secrets/one", [fault]);
        assert_eq!(code(secrets.get("one").await), expected, "{name}");
        assert_eq!(code(secrets.get("one").await), 200, "{name}");
    }
    cluster.script("get secrets", [Fault::Hold]);
    let (held, ()) = tokio::join!(secrets.get("one"), async {
        cluster.arrived("get secrets", 17).await;
        cluster.release();
    });
    assert_eq!(held.unwrap().data.unwrap()["k"].0, b"v");
    let other = json!({ "metadata": { "name": "two" }, "stringData": { "k": "v" } });
    cluster.script("create secrets", [Fault::Unheard]);
    let other: Secret = serde_json::from_value(other).unwrap();
    assert_eq!(code(secrets.create(&PostParams::default(), &other).await), 0);
    assert!(cluster.get("secrets", "here", "two").is_some(), "it was done, and nobody was told");
}
