//! Each object is what its kind says: nothing that an API server would drop or refuse.

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    coordination::v1::Lease,
    core::v1::{ConfigMap, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Rendered, chart, golden, names};

/// There and back through the kind's own type. A field that it does not have is lost on the way.
fn round_trip<T: Serialize + DeserializeOwned>(object: &Value) -> Result<Value, serde_json::Error> {
    serde_json::from_value::<T>(object.clone()).and_then(serde_json::to_value)
}

fn typed(object: &Value) -> Option<Result<Value, serde_json::Error>> {
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    Some(match (text("apiVersion"), text("kind")) {
        ("apps/v1", "Deployment") => round_trip::<Deployment>(object),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => round_trip::<HorizontalPodAutoscaler>(object),
        ("batch/v1", "Job") => round_trip::<Job>(object),
        ("coordination.k8s.io/v1", "Lease") => round_trip::<Lease>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => round_trip::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => round_trip::<PodDisruptionBudget>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => round_trip::<ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => round_trip::<ClusterRoleBinding>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => round_trip::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => round_trip::<RoleBinding>(object),
        ("v1", "ConfigMap") => round_trip::<ConfigMap>(object),
        ("v1", "Secret") => round_trip::<Secret>(object),
        ("v1", "Service") => round_trip::<Service>(object),
        ("v1", "ServiceAccount") => round_trip::<ServiceAccount>(object),
        _ => return None,
    })
}

/// The members of `spec` that a kind of somebody else may have: those that are used here, from its own reference.
fn members(object: &Value) -> Option<&'static [&'static str]> {
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    Some(match (text("apiVersion"), text("kind")) {
        ("cert-manager.io/v1", "Certificate") => &[
            "commonName",
            "dnsNames",
            "duration",
            "isCA",
            "issuerRef",
            "privateKey",
            "renewBefore",
            "secretName",
            "usages",
        ],
        ("cert-manager.io/v1", "Issuer") => &["ca", "selfSigned"],
        ("externaldata.gatekeeper.sh/v1beta1", "Provider") => &["caBundle", "timeout", "url"],
        ("monitoring.coreos.com/v1", "PodMonitor") => &["podMetricsEndpoints", "selector"],
        ("monitoring.coreos.com/v1", "ServiceMonitor") => &["endpoints", "selector"],
        _ => return None,
    })
}

fn check(object: &Value) -> Result<(), String> {
    if let Some(members) = members(object) {
        let all = object.as_object().unwrap().keys().chain(object["spec"].as_object().unwrap().keys());
        let known = ["apiVersion", "kind", "metadata", "spec"];
        return match all.into_iter().find(|name| !known.contains(&name.as_str()) && !members.contains(&name.as_str())) {
            None => Ok(()),
            Some(other) => Err(format!("has {other}")),
        };
    }
    match typed(object) {
        None => Err("is of a kind that nobody expects".to_owned()),
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(same)) if same == *object => Ok(()),
        Some(Ok(other)) => Err(format!("is {other} to its type")),
    }
}

#[test]
fn every_object_goes_through_its_type_without_loss() {
    assert!(names(&golden()).len() >= 12, "{:?}", names(&golden()));
    for rendered in Rendered::all() {
        for object in &rendered.objects {
            let checked = check(&object.0);
            assert_eq!(checked, Ok(()), "{}: {} {}\n{:#}", rendered.name, object.kind(), object.name(), object.0);
        }
    }
}

#[test]
fn what_an_api_server_would_drop_or_refuse_is_noticed() {
    let rendered = Rendered::named("minimal");
    let deployment = &rendered.only("Deployment").0;
    for (name, pointer, member, value) in [
        ("a member of no Deployment", "/spec", "replica", json!(2)),
        ("a misspelt probe", "/spec/template/spec/containers/0", "readynessProbe", json!({})),
        ("a text for a number", "/spec", "replicas", json!("2")),
        ("a Pod's member one level too high", "/spec/template", "priorityClassName", json!("x")),
    ] {
        let mut other = deployment.clone();
        other.pointer_mut(pointer).unwrap()[member] = value;
        assert!(check(&other).is_err(), "{name}");
    }
    let mut provider = Rendered::named("ratify-migration").find("Provider", "countersign").unwrap().0.clone();
    assert_eq!(check(&provider), Ok(()));
    provider["spec"]["timeoutSeconds"] = json!(2);
    assert_eq!(check(&provider), Err("has timeoutSeconds".to_owned()));
}

#[test]
fn objects_have_their_namespace_or_none_and_a_name_of_their_own() {
    const OF_THE_CLUSTER: [&str; 3] = ["ClusterRole", "ClusterRoleBinding", "Provider"];
    for rendered in Rendered::all() {
        let mut seen = std::collections::BTreeSet::new();
        for object in &rendered.objects {
            let of_the_cluster = OF_THE_CLUSTER.contains(&object.kind());
            assert_eq!(
                object.namespace().is_empty(),
                of_the_cluster,
                "{}: {} {}",
                rendered.name,
                object.kind(),
                object.name()
            );
            let name = (object.kind().to_owned(), object.namespace().to_owned(), object.name().to_owned());
            assert!(seen.insert(name.clone()), "{}: {name:?} twice", rendered.name);
            assert!(object.text("/metadata/labels/app.kubernetes.io~1name").contains("countersign"), "{name:?}");
        }
    }
}

/// The Operator's and cert-manager's objects are rendered where they are asked for, and nowhere else.
#[test]
fn objects_of_others_are_there_only_where_they_are_wanted() {
    for rendered in Rendered::all() {
        let values = rendered.values();
        let wanted = |pointer: &str| values.pointer(pointer).unwrap().as_bool().unwrap();
        let has = |kind: &str| rendered.of_kind(kind).next().is_some();
        let name = &rendered.name;
        assert_eq!(has("PodMonitor"), wanted("/instrumentation/podMonitor/enabled"), "{name}");
        assert_eq!(has("ServiceMonitor"), wanted("/instrumentation/serviceMonitor/enabled"), "{name}");
        assert_eq!(has("NetworkPolicy"), wanted("/networkPolicy/enabled"), "{name}");
        assert_eq!(has("PodDisruptionBudget"), wanted("/podDisruptionBudget/enabled"), "{name}");
        assert_eq!(has("HorizontalPodAutoscaler"), wanted("/autoscaling/enabled"), "{name}");
        assert_eq!(has("ServiceAccount"), wanted("/serviceAccount/create") || wanted("/apply/enabled"), "{name}");
        assert_eq!(has("Certificate"), values["certificates"]["mode"] == "certManager", "{name}");
        let bundle = [&values["caBundle"], &values["provider"]["tls"]["cabundle"]];
        assert_eq!(has("Provider"), bundle.iter().any(|bundle| **bundle != ""), "{name}");
        assert!(chart().join(format!("ci/{name}.yaml")).exists());
    }
}
