//! What each `ServiceAccount` may do: a table, and nothing beside it.

use std::collections::BTreeSet;

use super::{Object, Rendered, list, texts};

/// `Role/namespace/name: verbs resources (names)`, one a rule.
fn rights(rendered: &Rendered) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for kind in ["Role", "ClusterRole"] {
        for role in rendered.of_kind(kind) {
            for rule in list(&role.0["rules"]) {
                let word = |member: &str| texts(&rule[member]).join(",");
                let of = |role: &Object| match role.namespace() {
                    "" => role.name().to_owned(),
                    namespace => format!("{namespace}/{}", role.name()),
                };
                let names = if rule.get("resourceNames").is_some() { word("resourceNames") } else { "-".to_owned() };
                found.insert(format!("{}: {} {}: {names}", of(role), word("verbs"), word("resources")));
            }
        }
    }
    found
}

const ITSELF: [&str; 3] = [
    "countersign: get,patch providers: countersign,countersign-mutation",
    "gatekeeper-system/countersign: get,list,update,watch secrets: countersign-tls",
    "gatekeeper-system/countersign: get,update leases: countersign-certificates",
];

const HOOK: [&str; 8] = [
    "countersign-apply: create assign: -",
    "countersign-apply: create constrainttemplates: -",
    "countersign-apply: create expansiontemplate: -",
    "countersign-apply: create verifiedimages: -",
    "countersign-apply: get,patch assign: countersign-digest-containers,countersign-digest-ephemeral-containers,countersign-digest-image-volumes,countersign-digest-init-containers",
    "countersign-apply: get,patch constrainttemplates: verifiedimages",
    "countersign-apply: get,patch expansiontemplate: expand-cronjobs,expand-workloads",
    "countersign-apply: get,patch verifiedimages: images-are-verified",
];

const HOOK_PROVIDERS: [&str; 2] = [
    "countersign-apply: create providers: -",
    "countersign-apply: get,patch providers: countersign,countersign-mutation",
];

const HOOK_AUTHORITY: [&str; 1] = ["gatekeeper-system/countersign-apply: get secrets: countersign-tls"];

const PULL_SECRETS: [&str; 3] = [
    "gatekeeper-system/countersign-read: get,list,watch secrets: gatekeeper-webhook-server-cert,own-pull,regcred",
    "gatekeeper-system/countersign: get,list,watch serviceaccounts: countersign",
    "team-a/countersign-read: get,list,watch secrets: team-a-mirror,team-a-pull",
];

#[test]
fn rights_are_those_of_the_table_and_no_more() {
    let usual: &[&[&str]] = &[&ITSELF, &HOOK, &HOOK_PROVIDERS, &HOOK_AUTHORITY];
    let others: &[&[&str]] = &[&HOOK, &HOOK_PROVIDERS];
    let table: &[(&str, &[&[&str]])] = &[
        // Whoever makes the certificate and applies the objects needs nothing of us.
        (
            "airgapped",
            &[&[
                "countersign: get,patch providers: countersign",
                "gatekeeper-system/countersign: get,list,update,watch secrets: countersign-tls",
                "gatekeeper-system/countersign: get,update leases: countersign-certificates",
            ]],
        ),
        ("cert-manager", others),
        ("cert-manager-issuer", others),
        ("cosign-keyless", usual),
        ("extra-volumes", usual),
        ("ha", usual),
        ("minimal", usual),
        ("monitoring", usual),
        ("network-policy", usual),
        ("other-namespace", &[]),
        ("pull-secrets", &[&ITSELF, &HOOK, &HOOK_PROVIDERS, &HOOK_AUTHORITY, &PULL_SECRETS]),
        // The Providers are the chart's own objects there.
        ("ratify-migration", &[&HOOK]),
        ("secret", others),
    ];
    let all = Rendered::all();
    assert_eq!(
        table.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        all.iter().map(|it| it.name.as_str()).collect::<Vec<_>>()
    );
    for (rendered, (name, expected)) in all.iter().zip(table) {
        let expected: BTreeSet<String> =
            expected.iter().flat_map(|rights| rights.iter()).map(|it| (*it).to_owned()).collect();
        assert_eq!(rights(rendered), expected, "{name}");
    }
}

/// Whoever may make a Secret can have a `ServiceAccount`'s token made; whoever may list them without a name reads all.
#[test]
fn secrets_are_never_created_and_always_named() {
    for rendered in Rendered::all() {
        for right in rights(&rendered) {
            let wild =
                right.contains('*') || right.contains("delete") || right.contains("escalate") || right.contains("bind");
            assert!(!wild, "{}: {right}", rendered.name);
            if right.contains(" secrets: ") {
                assert!(!right.contains("create") && !right.ends_with(": -"), "{}: {right}", rendered.name);
            }
        }
    }
}

/// The hook's rights are there only while it runs.
#[test]
fn the_hooks_rights_go_with_it() {
    for rendered in Rendered::all() {
        let mut seen = 0;
        for object in rendered.objects.iter().filter(|object| object.name().ends_with("-apply")) {
            if object.kind() == "NetworkPolicy" {
                continue;
            }
            assert!(object.is_hook(), "{}: {}", rendered.name, object.kind());
            let when = object.text("/metadata/annotations/helm.sh~1hook");
            assert_eq!(when, "post-install,post-upgrade", "{}", rendered.name);
            let fate = object.text("/metadata/annotations/helm.sh~1hook-delete-policy");
            assert_eq!(fate, "before-hook-creation,hook-succeeded", "{}", rendered.name);
            let weight: i32 = object.text("/metadata/annotations/helm.sh~1hook-weight").parse().unwrap();
            assert_eq!(weight < 0, object.kind() != "Job", "{}: before the Job that needs them", rendered.name);
            seen += 1;
        }
        let names = rendered.of_kind("Job").count();
        assert_eq!(names == 0, seen == 0, "{}", rendered.name);
    }
}
