//! Whatever an object names is there, or is known to come from outside.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Object, Rendered, labels, list, texts};

/// Secrets that are made by others, by values file; with the keys that may be asked of them.
fn outside(rendered: &Rendered) -> BTreeMap<String, BTreeSet<String>> {
    let values = rendered.values();
    let mut known: Vec<(&str, &[&str])> = Vec::new();
    // Gatekeeper's own.
    let client_ca = values["gatekeeper"]["clientCaSecret"]["name"].as_str().unwrap();
    known.push((client_ca, &["ca.crt"]));
    if values["certificates"]["mode"] == "secret" {
        known.push((values["certificates"]["secretName"].as_str().unwrap(), &["ca.crt", "tls.crt", "tls.key"]));
    }
    known.push((values["registries"]["dockerConfigSecret"].as_str().unwrap(), &[".dockerconfigjson"]));
    // cert-manager writes what its Certificates name.
    for certificate in rendered.of_kind("Certificate") {
        known.push((certificate.text("/spec/secretName"), &["ca.crt", "tls.crt", "tls.key"]));
    }
    let set = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    known.into_iter().map(|(name, keys)| (name.to_owned(), set(keys))).collect()
}

/// Whether `kind` `name` is there with `keys`.
fn provides(rendered: &Rendered, kind: &str, name: &str, keys: &BTreeSet<String>) -> bool {
    let known = outside(rendered);
    let from_outside = kind == "Secret" && known.get(name).is_some_and(|known| keys.is_subset(known));
    from_outside || rendered.find(kind, name).is_some_and(|object| keys.is_subset(&object.keys()))
}

/// The keys that a volume's source asks for.
fn wanted(source: &Value) -> BTreeSet<String> {
    list(&source["items"]).iter().map(|item| item["key"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_volume_has_its_source_and_its_keys() {
    for rendered in Rendered::all() {
        let pods = rendered.pods();
        assert!(!pods.is_empty());
        for (owner, pod) in pods {
            for volume in list(&pod["spec"]["volumes"]) {
                let at = format!("{}: {} {}: {}", rendered.name, owner.kind(), owner.name(), volume["name"]);
                let sources: Vec<&String> = volume.as_object().unwrap().keys().filter(|key| *key != "name").collect();
                let [source] = sources[..] else { panic!("{at}: {sources:?}") };
                let body = &volume[source.as_str()];
                match source.as_str() {
                    "configMap" => {
                        assert!(
                            provides(&rendered, "ConfigMap", body["name"].as_str().unwrap(), &wanted(body)),
                            "{at}"
                        );
                    }
                    "secret" => {
                        let name = body["secretName"].as_str().unwrap();
                        assert!(!wanted(body).is_empty(), "{at}: a Secret is never mounted whole");
                        assert!(provides(&rendered, "Secret", name, &wanted(body)), "{at}");
                    }
                    "emptyDir" => assert!(body["sizeLimit"].is_string(), "{at}: without a limit"),
                    "image" => assert!(body["reference"].as_str().unwrap().contains("@sha256:"), "{at}"),
                    other => panic!("{at}: {other}"),
                }
            }
        }
    }
}

#[test]
fn every_mount_has_its_volume_and_every_volume_its_mount() {
    for rendered in Rendered::all() {
        for (owner, pod) in rendered.pods() {
            let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
            let volumes: BTreeSet<String> = list(&pod["spec"]["volumes"]).iter().map(name).collect();
            let containers = list(&pod["spec"]["containers"]);
            let mounts: BTreeSet<String> =
                containers.iter().flat_map(|container| list(&container["volumeMounts"])).map(name).collect();
            assert_eq!(volumes, mounts, "{}: {} {}", rendered.name, owner.kind(), owner.name());
            for container in containers {
                let paths: Vec<&str> =
                    list(&container["volumeMounts"]).iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect();
                let nested =
                    |path: &str| paths.iter().any(|other| *other != path && path.starts_with(&format!("{other}/")));
                assert!(!paths.iter().any(|path| nested(path)), "{}: {paths:?}", rendered.name);
            }
        }
    }
}

#[test]
fn every_selector_finds_the_provider_and_nothing_else() {
    for rendered in Rendered::all() {
        let name = &rendered.name;
        let deployment = rendered.only("Deployment");
        let pod = labels(&deployment.0["spec"]["template"]["metadata"]["labels"]);
        let others: Vec<BTreeMap<String, String>> =
            rendered.of_kind("Job").map(|job| labels(&job.0["spec"]["template"]["metadata"]["labels"])).collect();
        let matches = |selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>| {
            selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        let mut selectors = vec![("Deployment", labels(&deployment.0["spec"]["selector"]["matchLabels"]))];
        selectors
            .extend(rendered.of_kind("Service").map(|service| ("Service", labels(&service.0["spec"]["selector"]))));
        for (kind, pointer) in [
            ("NetworkPolicy", "/spec/podSelector/matchLabels"),
            ("PodDisruptionBudget", "/spec/selector/matchLabels"),
            ("PodMonitor", "/spec/selector/matchLabels"),
        ] {
            let found = rendered
                .of_kind(kind)
                .filter(|object| object.text("/spec/podSelector/matchLabels/app.kubernetes.io~1component") != "apply");
            selectors.extend(found.map(|object| (kind, labels(object.0.pointer(pointer).unwrap()))));
        }
        for (kind, selector) in selectors {
            assert!(selector.len() >= 3 && matches(&selector, &pod), "{name}: {kind}: {selector:?}");
            assert!(!others.iter().any(|labels| matches(&selector, labels)), "{name}: {kind} finds a hook's Pod");
        }
    }
}

#[test]
fn ports_are_named_as_the_container_names_them() {
    for rendered in Rendered::all() {
        let name = &rendered.name;
        let container = &rendered.only("Deployment").0["spec"]["template"]["spec"]["containers"][0];
        let ports: BTreeMap<&str, i64> = list(&container["ports"])
            .iter()
            .map(|port| (port["name"].as_str().unwrap(), port["containerPort"].as_i64().unwrap()))
            .collect();
        assert_eq!(ports.keys().copied().collect::<Vec<_>>(), ["https", "metrics"], "{name}");
        assert_eq!(ports["https"], 6001, "{name}: what the Providers' url says");
        for service in rendered.of_kind("Service") {
            for port in list(&service.0["spec"]["ports"]) {
                let target = port["targetPort"].as_str().unwrap();
                assert_eq!(port["name"], target, "{name}");
                assert_eq!(port["port"].as_i64(), ports.get(target).copied(), "{name}");
            }
        }
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(
                container[probe]["httpGet"]["port"], "metrics",
                "{name}: never on the port that Gatekeeper asks (OPS-09)"
            );
        }
        let monitors = rendered.of_kind("PodMonitor").map(|it| ("/spec/podMetricsEndpoints/0/port", it));
        let monitors = monitors.chain(rendered.of_kind("ServiceMonitor").map(|it| ("/spec/endpoints/0/port", it)));
        for (pointer, monitor) in monitors {
            assert_eq!(monitor.text(pointer), "metrics", "{name}");
        }
        for policy in rendered.of_kind("NetworkPolicy") {
            let ingress = list(&policy.0["spec"]["ingress"]).iter().flat_map(|rule| list(&rule["ports"]));
            for port in ingress.filter_map(|port| port["port"].as_str()) {
                assert!(ports.contains_key(port), "{name}: {port}");
            }
        }
    }
}

/// The `ServiceMonitor` finds the Service of metrics and not the one that Gatekeeper asks.
#[test]
fn the_service_monitor_finds_one_service() {
    let rendered = Rendered::named("monitoring");
    let selector = labels(&rendered.only("ServiceMonitor").0["spec"]["selector"]["matchLabels"]);
    let found = |service: &&Object| {
        let has = labels(&service.0["metadata"]["labels"]);
        selector.iter().all(|(key, value)| has.get(key) == Some(value))
    };
    let names: Vec<&str> = rendered.of_kind("Service").filter(found).map(Object::name).collect();
    assert_eq!(names, ["countersign-metrics"]);
}

#[test]
fn service_accounts_and_roles_are_there() {
    for rendered in Rendered::all() {
        let name = &rendered.name;
        let outside: BTreeSet<String> = match rendered.values()["serviceAccount"] {
            ref account if account["create"] == false => [account["name"].as_str().unwrap().to_owned()].into(),
            _ => BTreeSet::new(),
        };
        let known = |account: &str| outside.contains(account) || rendered.find("ServiceAccount", account).is_some();
        for (_, pod) in rendered.pods() {
            assert!(known(pod["spec"]["serviceAccountName"].as_str().unwrap()), "{name}");
        }
        for (binding, role) in [("RoleBinding", "Role"), ("ClusterRoleBinding", "ClusterRole")] {
            let bindings: Vec<&Object> = rendered.of_kind(binding).collect();
            assert_eq!(bindings.len(), rendered.of_kind(role).count(), "{name}: each {role} is bound once");
            for bound in bindings {
                let same = |object: &&Object| {
                    object.name() == bound.text("/roleRef/name") && object.namespace() == bound.namespace()
                };
                assert_eq!(bound.text("/roleRef/kind"), role, "{name}");
                assert!(rendered.of_kind(role).any(|object| same(&object)), "{name}: {}", bound.name());
                let [subject] = list(&bound.0["subjects"]) else { panic!("{name}: {}", bound.name()) };
                assert_eq!(subject["kind"], "ServiceAccount", "{name}");
                assert!(known(subject["name"].as_str().unwrap()), "{name}");
                assert_eq!(subject["namespace"], rendered.only("Deployment").namespace(), "{name}");
            }
        }
    }
}

#[test]
fn the_disruption_budget_and_the_autoscaler_leave_somebody_there() {
    for rendered in Rendered::all() {
        let name = &rendered.name;
        let deployment = rendered.only("Deployment");
        let replicas = deployment.0["spec"].get("replicas").and_then(Value::as_i64);
        match rendered.of_kind("HorizontalPodAutoscaler").next() {
            None => assert!(replicas.is_some_and(|count| count >= 1), "{name}"),
            Some(scaler) => {
                assert_eq!(replicas, None, "{name}: an upgrade would undo what the autoscaler did");
                assert_eq!(scaler.text("/spec/scaleTargetRef/name"), deployment.name(), "{name}");
                let bound = |end: &str| scaler.0["spec"][end].as_i64().unwrap();
                assert!(bound("minReplicas") >= 2 && bound("minReplicas") <= bound("maxReplicas"), "{name}");
                // Utilisation is of what is requested.
                let requests = &deployment.0["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"];
                assert!(requests["cpu"].is_string(), "{name}");
            }
        }
        for budget in rendered.of_kind("PodDisruptionBudget") {
            assert!(
                budget.0["spec"].get("minAvailable").is_none(),
                "{name}: with one replica no node could be drained"
            );
            assert_ne!(budget.0["spec"]["maxUnavailable"], 0, "{name}");
        }
    }
}

#[test]
fn certificates_have_the_names_that_the_providers_ask_for() {
    for name in ["cert-manager", "cert-manager-issuer"] {
        let rendered = Rendered::named(name);
        let certificate = rendered.find("Certificate", "countersign").unwrap();
        let names = texts(&certificate.0["spec"]["dnsNames"]);
        assert!(names.contains(&"countersign.gatekeeper-system.svc"), "{name}: {names:?}");
        let issuer = certificate.text("/spec/issuerRef/name");
        assert!(rendered.find("Issuer", issuer).is_some() || issuer == "platform", "{name}: {issuer}");
        let mounted = list(&rendered.only("Deployment").0["spec"]["template"]["spec"]["volumes"])
            .iter()
            .any(|volume| volume["secret"]["secretName"] == certificate.0["spec"]["secretName"]);
        assert!(mounted, "{name}");
    }
}
