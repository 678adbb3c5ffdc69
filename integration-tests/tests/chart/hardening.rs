//! What a Pod may do, and how it comes and goes.

use serde_json::{Value, json};

use super::{Rendered, list};

#[test]
fn no_container_may_do_anything() {
    for rendered in Rendered::all() {
        let values = rendered.values();
        for (owner, pod) in rendered.pods() {
            let at = format!("{}: {} {}", rendered.name, owner.kind(), owner.name());
            let spec = &pod["spec"];
            assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{at}");
            for id in ["runAsUser", "runAsGroup", "fsGroup"] {
                assert_eq!(spec["securityContext"][id], 65532, "{at}: the image's own user");
            }
            let seccomp = if values["enableRuntimeDefaultSeccompProfile"] == true {
                json!({ "type": "RuntimeDefault" })
            } else {
                Value::Null
            };
            assert_eq!(spec["securityContext"]["seccompProfile"], seccomp, "{at}");
            for host in ["hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers"] {
                assert_eq!(spec[host], Value::Null, "{at}: {host}");
            }
            let [container] = list(&spec["containers"]) else { panic!("{at}") };
            let expected = json!({
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
                "privileged": false,
                "readOnlyRootFilesystem": true,
            });
            assert_eq!(container["securityContext"], expected, "{at}");
            for mount in list(&container["volumeMounts"]) {
                let writable = mount["mountPath"] == "/tmp";
                assert_eq!(mount["readOnly"] == true, !writable, "{at}: {}", mount["mountPath"]);
            }
            assert!(container["resources"]["limits"]["memory"].is_string(), "{at}");
            assert!(container["resources"]["requests"]["memory"].is_string(), "{at}");
            assert_eq!(container["resources"]["limits"]["cpu"], Value::Null, "{at}: throttled answers come late");
            assert_eq!(container["command"], Value::Null, "{at}: the image has no shell");
        }
    }
}

/// A `ServiceAccount`'s token is mounted where the API server is asked, and nowhere else.
#[test]
fn tokens_are_mounted_only_where_they_are_needed() {
    let mut without = 0;
    for rendered in Rendered::all() {
        let configuration = super::configuration::of(&rendered);
        let needed = configuration.get("kubernetes").is_some();
        let deployment = &rendered.only("Deployment").0["spec"]["template"]["spec"];
        assert_eq!(deployment["automountServiceAccountToken"], needed, "{}", rendered.name);
        without += usize::from(!needed);
        for account in rendered.of_kind("ServiceAccount") {
            assert_eq!(account.0["automountServiceAccountToken"], false, "{}", rendered.name);
        }
    }
    assert!(without >= 3, "{without}");
}

/// OPS-03: the Pod leaves the Service, then it is told to stop, then it answers what it has, then it may be killed.
#[test]
fn a_pod_goes_only_after_nobody_is_sent_to_it() {
    for rendered in Rendered::all() {
        let name = &rendered.name;
        let spec = &rendered.only("Deployment").0["spec"];
        assert_eq!(spec["strategy"]["rollingUpdate"], json!({ "maxSurge": 1, "maxUnavailable": 0 }), "{name}");
        let pod = &spec["template"]["spec"];
        let container = &pod["containers"][0];
        let sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        let shutdown = super::configuration::of(&rendered)["server"]["shutdownTimeout"].as_str().unwrap().to_owned();
        let shutdown: u64 = shutdown.strip_suffix('s').unwrap().parse().unwrap();
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(sleep >= 1 && grace >= sleep + shutdown + 5, "{name}: {sleep} {shutdown} {grace}");
        for (probe, path) in
            [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
        {
            assert_eq!(container[probe]["httpGet"]["path"], path, "{name}");
        }
        let budget = |probe: &str| {
            let number = |member: &str| container[probe][member].as_u64().unwrap();
            number("periodSeconds") * number("failureThreshold")
        };
        assert!(
            budget("readinessProbe") < budget("livenessProbe"),
            "{name}: it leaves the Service before it is killed"
        );
        assert!(budget("startupProbe") >= 60, "{name}: the first certificate may have to be made");
    }
}

/// Whatever is let in or out is named: no rule without a peer or a port but those that an operator wrote.
#[test]
fn the_network_policy_names_whom_it_lets_in_and_out() {
    for rendered in Rendered::all() {
        let name = &rendered.name;
        let needs_api = super::configuration::of(&rendered).get("kubernetes").is_some();
        for policy in rendered.of_kind("NetworkPolicy") {
            let spec = &policy.0["spec"];
            assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]), "{name}");
            let provider = spec["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "provider";
            for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
                for rule in list(&spec[direction]) {
                    assert!(!list(&rule[peers]).is_empty() && !list(&rule["ports"]).is_empty(), "{name}: {rule}");
                }
            }
            assert_eq!(list(&spec["ingress"]).is_empty(), !provider, "{name}");
            let blocks = list(&spec["egress"]).iter().flat_map(|rule| list(&rule["to"])).map(|peer| &peer["ipBlock"]);
            for block in blocks.filter(|block| block["cidr"] == "0.0.0.0/0") {
                assert_eq!(block["except"], json!(["169.254.0.0/16"]), "{name}: metadata services");
            }
            let api =
                list(&spec["egress"]).iter().any(|rule| list(&rule["ports"]).iter().any(|port| port["port"] == 6443));
            assert_eq!(api, needs_api || !provider, "{name}: the API server is let out to where it is asked");
        }
    }
}

/// Kubernetes refuses an exception that does not lie in its range.
#[test]
fn exceptions_are_of_the_family_of_their_range() {
    let rendered = Rendered::named("network-policy");
    let policy = rendered.find("NetworkPolicy", "countersign").unwrap();
    let of = |cidr: &str| -> Vec<&Value> {
        let blocks =
            list(&policy.0["spec"]["egress"]).iter().flat_map(|rule| list(&rule["to"])).map(|peer| &peer["ipBlock"]);
        blocks.filter(|block| block["cidr"] == cidr).map(|block| &block["except"]).collect()
    };
    assert_eq!(of("0.0.0.0/0"), [&json!(["169.254.0.0/16"]); 2]);
    assert_eq!(of("::/0"), [&json!(["fd00:ec2::254/128"]), &Value::Null]);
    assert_eq!(of("198.51.100.0/24"), [&Value::Null]);
}
