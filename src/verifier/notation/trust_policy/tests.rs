use serde_json::{Value, json};

use super::{
    super::level::{Action, Level, Validation},
    *,
};

fn statement(name: &str, scope: &str) -> Value {
    json!({
        "name": name,
        "registryScopes": [scope],
        "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:acme"],
        "trustedIdentities": ["*"],
    })
}

fn document(statements: &[Value]) -> Value {
    json!({"version": "1.0", "trustPolicies": statements})
}

/// A valid document of one statement in which `pointer` is changed to `value` (`null` removes it).
fn changed(pointer: &str, value: Value) -> Value {
    let mut document = document(&[statement("unit", "registry.example/shop/web")]);
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(member);
    } else {
        parent.insert(member.to_owned(), value);
    }
    document
}

fn parse(document: &Value) -> Result<TrustPolicyDocument, Vec<PolicyFault>> {
    TrustPolicyDocument::parse(document.to_string().as_bytes())
}

fn faults(document: &Value) -> Vec<(String, &'static str, String)> {
    let faults = parse(document).expect_err("a fault");
    faults.into_iter().map(|fault| (fault.path.clone(), fault.code(), fault.kind.to_string())).collect()
}

const ONE: &str = "/trustPolicies/0";
const LEVEL: &str = "/trustPolicies/0/signatureVerification/level";
const OVERRIDE: &str = "/trustPolicies/0/signatureVerification/override";

fn one(member: &str, value: Value) -> Value {
    changed(&format!("{ONE}/{member}"), value)
}

fn skip_with(member: &str, value: Value) -> Value {
    let mut document = document(&[json!({
        "name": "unit", "registryScopes": ["a.b/c"], "signatureVerification": {"level": "skip"},
    })]);
    document.pointer_mut(ONE).unwrap().as_object_mut().unwrap().insert(member.to_owned(), value);
    document
}

/// Row of the list of rules, the document, the path and the stable name of its one fault, and what the message names.
#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<(&'static str, Value, &'static str, &'static str, &'static [&'static str])> {
    let two = |a: Value, b: Value| document(&[a, b]);
    let at = "trustPolicies[0]";
    let level = "trustPolicies[0].signatureVerification.level";
    let of = "trustPolicies[0].signatureVerification.override";
    let scope = "trustPolicies[0].registryScopes[0]";
    let store = "trustPolicies[0].trustStores[0]";
    let identity = "trustPolicies[0].trustedIdentities[0]";
    let identities = "trustPolicies[0].trustedIdentities";
    let blob = || one("globalPolicy", json!(true));
    vec![
        ("1 missing", changed("/version", Value::Null), "version", "version-missing", &[]),
        ("1 empty", changed("/version", json!("")), "version", "version-missing", &[]),
        ("2", changed("/version", json!("2.0")), "version", "version-unsupported", &["2.0"]),
        ("3 missing", changed("/trustPolicies", Value::Null), "trustPolicies", "statements-missing", &[]),
        ("3 empty", document(&[]), "trustPolicies", "statements-missing", &[]),
        (
            "4",
            two(statement("a", "a.b/c"), statement("a", "a.b/d")),
            "trustPolicies[1].name",
            "name-repeated",
            &["\"a\""],
        ),
        ("5", one("name", Value::Null), "trustPolicies[0].name", "name-missing", &["statement 0"]),
        ("5 empty", one("name", json!("")), "trustPolicies[0].name", "name-missing", &["statement 0"]),
        ("6", changed(LEVEL, Value::Null), level, "level-missing", &["unit"]),
        ("6 empty", changed(LEVEL, json!("")), level, "level-missing", &["unit"]),
        (
            "6 whole",
            one("signatureVerification", Value::Null),
            "trustPolicies[0].signatureVerification",
            "level-missing",
            &["unit"],
        ),
        ("7", changed(LEVEL, json!("Strict")), level, "level-unknown", &["unit", "\"Strict\""]),
        (
            "8",
            skip_with("signatureVerification", json!({"level": "skip", "override": {"expiry": "log"}})),
            of,
            "override-of-skip",
            &["unit"],
        ),
        (
            "9",
            changed(OVERRIDE, json!({"freshness": "log"})),
            "trustPolicies[0].signatureVerification.override.freshness",
            "override-unknown",
            &["unit", "\"freshness\"", "authenticTimestamp"],
        ),
        (
            "10",
            changed(OVERRIDE, json!({"expiry": "warn"})),
            "trustPolicies[0].signatureVerification.override.expiry",
            "override-action",
            &["unit", "\"warn\""],
        ),
        (
            "11",
            changed(OVERRIDE, json!({"integrity": "log"})),
            "trustPolicies[0].signatureVerification.override.integrity",
            "override-integrity",
            &["unit"],
        ),
        (
            "12",
            changed(OVERRIDE, json!({"authenticity": "skip"})),
            "trustPolicies[0].signatureVerification.override.authenticity",
            "override-to-skip",
            &["unit", "authenticity"],
        ),
        (
            "12 expiry",
            changed(OVERRIDE, json!({"expiry": "skip"})),
            "trustPolicies[0].signatureVerification.override.expiry",
            "override-to-skip",
            &["unit", "expiry"],
        ),
        (
            "12 timestamp",
            changed(OVERRIDE, json!({"authenticTimestamp": "skip"})),
            "trustPolicies[0].signatureVerification.override.authenticTimestamp",
            "override-to-skip",
            &["unit", "authenticTimestamp"],
        ),
        (
            "13",
            changed("/trustPolicies/0/signatureVerification/verifyTimestamp", json!("sometimes")),
            "trustPolicies[0].signatureVerification.verifyTimestamp",
            "verify-timestamp",
            &["unit", "\"sometimes\""],
        ),
        ("14 stores", skip_with("trustStores", json!(["ca:acme"])), level, "skip-with-trust", &["unit"]),
        ("14 identities", skip_with("trustedIdentities", json!(["*"])), level, "skip-with-trust", &["unit"]),
        (
            "15 stores",
            one("trustStores", Value::Null),
            "trustPolicies[0].trustStores",
            "trust-missing",
            &["unit", "trustStores"],
        ),
        (
            "15 identities",
            one("trustedIdentities", json!([])),
            identities,
            "trust-missing",
            &["unit", "trustedIdentities"],
        ),
        ("16", one("trustStores", json!(["acme"])), store, "store-without-type", &["unit", "\"acme\""]),
        ("17", one("trustStores", json!(["CA:acme"])), store, "store-type-unknown", &["unit", "\"CA\"", "\"CA:acme\""]),
        (
            "17 case",
            one("trustStores", json!(["signingauthority:acme"])),
            store,
            "store-type-unknown",
            &["signingAuthority"],
        ),
        (
            "18",
            one("trustStores", json!(["ca:../ca/main"])),
            store,
            "store-name",
            &["unit", "\"../ca/main\"", "\"ca:../ca/main\""],
        ),
        ("18 empty", one("trustStores", json!(["ca:"])), store, "store-name", &["\"ca:\""]),
        ("18 parent", one("trustStores", json!(["ca:.."])), store, "store-name", &["\"ca:..\""]),
        (
            "19",
            one("trustedIdentities", json!(["*", "x509.subject: C=DE,ST=B,O=X"])),
            identities,
            "identity-any-with-others",
            &["unit"],
        ),
        ("20", one("trustedIdentities", json!([""])), identity, "identity-empty", &["unit"]),
        ("21", one("trustedIdentities", json!(["C=DE"])), identity, "identity-without-type", &["unit", "\"C=DE\""]),
        (
            "22",
            one("trustedIdentities", json!(["x509.subject: "])),
            identity,
            "identity-without-value",
            &["unit", "x509.subject"],
        ),
        (
            "23 parse",
            one("trustedIdentities", json!(["x509.subject: C"])),
            identity,
            "identity-name",
            &["unit", "\"x509.subject: C\""],
        ),
        (
            "23 hex",
            one("trustedIdentities", json!(["x509.subject: C=DE,ST=B,O=#0c"])),
            identity,
            "identity-name",
            &["O=#0c"],
        ),
        (
            "23 multi",
            one("trustedIdentities", json!(["x509.subject: C=DE+ST=B,O=X"])),
            identity,
            "identity-name",
            &["C=DE+ST=B"],
        ),
        (
            "23 duplicate",
            one("trustedIdentities", json!(["x509.subject: C=DE,ST=B,O=X,O=X"])),
            identity,
            "identity-name",
            &["O=X,O=X"],
        ),
        (
            "23 mandatory",
            one("trustedIdentities", json!(["x509.subject: C=DE,ST=B"])),
            identity,
            "identity-name",
            &["C=DE,ST=B"],
        ),
        (
            "24",
            one("trustedIdentities", json!(["x509.subject: C=DE,ST=B,O=X", "x509.subject: CN=a,C=DE,ST=B,O=X"])),
            "trustPolicies[0].trustedIdentities[1]",
            "identities-overlap",
            &["unit", "\"C=DE,ST=B,O=X\"", "\"CN=a,C=DE,ST=B,O=X\""],
        ),
        ("25", one("registryScopes", Value::Null), "trustPolicies[0].registryScopes", "scopes-missing", &["unit"]),
        ("25 empty", one("registryScopes", json!([])), "trustPolicies[0].registryScopes", "scopes-missing", &["unit"]),
        (
            "26",
            one("registryScopes", json!(["*", "a.b/c"])),
            "trustPolicies[0].registryScopes",
            "scope-any-with-others",
            &["unit"],
        ),
        ("27", one("registryScopes", json!(["https://a.b/c"])), scope, "scope-malformed", &["unit", "https://a.b/c"]),
        (
            "27 ENV-34",
            one("registryScopes", json!(["docker.io/nginx"])),
            scope,
            "scope-short",
            &["unit", "docker.io/nginx"],
        ),
        ("28", one("registryScopes", json!(["a.b/*"])), scope, "scope-wildcard", &["unit", "a.b/*"]),
        (
            "29",
            two(statement("a", "a.b/c"), statement("b", "a.b/c")),
            "trustPolicies[1].registryScopes[0]",
            "scope-repeated",
            &["\"a\"", "\"b\"", "a.b/c"],
        ),
        (
            "29 wildcard",
            two(statement("a", "*"), statement("b", "*")),
            "trustPolicies[1].registryScopes[0]",
            "scope-repeated",
            &["\"a\"", "\"b\"", "\"*\""],
        ),
        (
            "29 in one",
            one("registryScopes", json!(["a.b/c", "a.b/c"])),
            "trustPolicies[0].registryScopes[1]",
            "scope-repeated",
            &["unit"],
        ),
        ("30, 31", blob(), "trustPolicies[0].globalPolicy", "blob-policy", &["unit", "trustpolicy.oci.json"]),
        (
            "32",
            skip_with("registryScopes", json!(["*"])),
            "trustPolicies[0].registryScopes",
            "skip-everywhere",
            &["unit"],
        ),
        ("D21 member", one("x-note", json!("a")), "trustPolicies[0].x-note", "member-unknown", &["x-note"]),
        ("D21 case", one("Name", json!("a")), "trustPolicies[0].Name", "member-unknown", &["Name"]),
        ("D21 top", changed("/note", json!("a")), "note", "member-unknown", &["note"]),
        ("D21 type", one("name", json!(1)), "trustPolicies[0].name", "member-type", &["string"]),
        (
            "D21 in a list",
            one("registryScopes", json!(["a.b/c", 1])),
            "trustPolicies[0].registryScopes[1]",
            "member-type",
            &["string"],
        ),
        ("D21 statement", document(&[json!("a")]), at, "member-type", &["object"]),
        ("D21 document", json!([]), "", "member-type", &["object"]),
    ]
}

// item 42 : each row of notation.md §2.3; item 52, item 54; ENV-34, ENV-35
#[test]
fn each_broken_rule_is_named_with_its_place_and_facts() {
    for (row, document, path, code, named) in rows() {
        let found = faults(&document);
        let [(at, what, message)] = found.as_slice() else { panic!("row {row}: {found:?}") };
        assert_eq!((at.as_str(), *what), (path, code), "row {row}: {message}");
        for fact in named {
            assert!(message.contains(fact), "row {row}: {message:?} does not name {fact}");
        }
    }
}

#[test]
fn all_faults_of_a_document_are_reported_at_once() {
    let mut a = statement("a", "a.b/*");
    a["signatureVerification"] =
        json!({"level": "hard", "override": {"integrity": "log", "expiry": "warn"}, "verifyTimestamp": 1});
    let mut b = statement("a", "a.b/c");
    b["trustStores"] = json!(["x", "ca:", "tsa:ok"]);
    let found = faults(&json!({"version": "3", "trustPolicies": [a, b], "extra": 1}));
    let mut codes: Vec<_> = found.iter().map(|(_, code, _)| *code).collect();
    codes.sort_unstable();
    let expected = [
        "level-unknown",
        "member-type",
        "member-unknown",
        "name-repeated",
        "override-action",
        "override-integrity",
        "scope-wildcard",
        "store-name",
        "store-without-type",
        "version-unsupported",
    ];
    assert_eq!(codes, expected, "{found:?}");
}

// item 58
#[test]
fn json_that_can_be_read_in_two_ways_is_refused_with_its_position() {
    for (name, text) in [
        ("cut", r#"{"version":"1.0","trustPolicies":[{"name":"a""#),
        ("trailing", r#"{"version":"1.0","trustPolicies":[]} {}"#),
        ("duplicate", r#"{"version":"1.0","version":"1.0","trustPolicies":[]}"#),
        ("empty", ""),
    ] {
        let faults = TrustPolicyDocument::parse(text.as_bytes()).expect_err(name);
        let [PolicyFault { kind: PolicyFaultKind::Json(error), .. }] = faults.as_slice() else {
            panic!("{name}: {faults:?}")
        };
        assert!(name == "empty" || error.position().0 == 1, "{name}");
    }
}

// CFG-14
#[test]
fn a_document_is_bounded() {
    let many = |n: usize| (0..n).map(|i| statement(&format!("s{i}"), &format!("a.b/c{i}"))).collect::<Vec<_>>();
    assert!(parse(&document(&many(1000))).is_ok());
    assert_eq!(faults(&document(&many(1001)))[0].1, "too-many");
    let identities =
        |n: usize| one("trustedIdentities", (0..n).map(|i| format!("x509.subject: C=DE,ST=B,O=X{i}")).collect());
    assert!(parse(&identities(200)).is_ok());
    assert_eq!(faults(&identities(201))[0].1, "too-many");
    let stores = |n: usize| one("trustStores", (0..n).map(|i| format!("ca:s{i}")).collect());
    assert!(parse(&stores(100)).is_ok());
    assert_eq!(faults(&stores(101))[0].1, "too-many");
    let mut large = document(&[statement("unit", "a.b/c")]).to_string();
    large.push_str(&" ".repeat(1024 * 1024 - large.len()));
    assert!(TrustPolicyDocument::parse(large.as_bytes()).is_ok());
    large.push(' ');
    assert_eq!(TrustPolicyDocument::parse(large.as_bytes()).expect_err("too large")[0].code(), "too-many");
}

// item 43, item 44
#[test]
fn the_exact_scope_beats_the_wildcard_and_nothing_else_matches() {
    let policy = parse(&document(&[
        statement("any", "*"),
        statement("web", "registry.example/shop/web"),
        statement("port", "registry.example:5000/shop/web"),
        statement("hub", "docker.io/library/nginx"),
    ]))
    .unwrap();
    for (repository, expected) in [
        ("registry.example/shop/web", "web"),
        ("registry.example:5000/shop/web", "port"),
        ("registry.example:5001/shop/web", "any"),
        ("registry.example/shop/web2", "any"),
        ("registry.example/shop/web/sub", "any"),
        ("registry.example/shop", "any"),
        ("other.registry.example/shop/web", "any"),
        ("nginx", "hub"),
        ("index.docker.io/library/nginx", "hub"),
    ] {
        let repository = Repository::parse(repository).unwrap();
        assert_eq!(policy.select(&repository).unwrap().name, expected, "{repository}");
    }
    // item 45
    let named = parse(&document(&[statement("web", "registry.example/shop/web")])).unwrap();
    assert_eq!(named.select(&Repository::parse("registry.example/shop").unwrap()), None);
    let upper = parse(&document(&[statement("web", "Registry.example/shop/web")])).unwrap();
    assert_eq!(upper.select(&Repository::parse("registry.example/shop/web").unwrap()), None, "case counts");
}

// item 51, item 52, item 56
#[test]
fn a_statement_is_read_as_written() {
    let mut unit = statement("unit", "a.b/c");
    unit["signatureVerification"] = json!({"level": "permissive", "override": {"expiry": "enforce", "revocation": "skip"}, "verifyTimestamp": "afterCertExpiry"});
    unit["trustStores"] = json!(["ca:acme", "tsa:one", "ca:acme", "signingAuthority:aws"]);
    unit["trustedIdentities"] = json!(["x509.san: a.example"]);
    let policy = TrustPolicyDocument::from_statements(&[unit]).unwrap();
    let [Statement { name, verification: Verification::Checked(checked) }] = policy.statements() else { panic!() };
    assert_eq!(name, "unit");
    assert_eq!(checked.actions.action(Validation::Expiry), Action::Enforce);
    assert_eq!(checked.actions.action(Validation::Revocation), Action::Skip);
    assert_eq!(checked.actions.action(Validation::AuthenticTimestamp), Action::Log);
    assert_eq!(checked.verify_timestamp, VerifyTimestamp::AfterCertExpiry);
    let stores: Vec<_> = checked.stores.iter().map(ToString::to_string).collect();
    assert_eq!(stores, ["ca:acme", "tsa:one", "signingAuthority:aws"], "a store named twice is one");
    assert!(!checked.identities.has(None), "identities of other types match nobody");
    let plain = parse(&document(&[statement("unit", "a.b/c")])).unwrap();
    let Verification::Checked(plain) = &plain.statements()[0].verification else { panic!() };
    assert_eq!((plain.actions, plain.verify_timestamp), (Actions::of(Level::Strict).unwrap(), VerifyTimestamp::Always));
    assert!(plain.identities.has(None));
    let skip = parse(&skip_with("registryScopes", json!(["a.b/c"]))).unwrap();
    assert_eq!(skip.statements()[0].verification, Verification::Skip);
}
