//! The allow/deny tables: what each kind of answer does to a Pod.

use serde_json::{Value, json};

use super::engine::{Answer, Reviewed, Template, pod, reply};

const GOOD: &str = "registry.example.com/signed:1";
const BAD: &str = "registry.example.com/unsigned:1";

fn yes() -> Value {
    json!({ "version": "0.2.0", "isSuccess": true, "succeeded": true, "code": "VERIFIED" })
}

fn no() -> Value {
    json!({ "version": "0.2.0", "isSuccess": false, "succeeded": false, "code": "NO_SIGNATURE",
        "message": "no signature was found", "remediation": "Sign the image." })
}

fn parameters() -> Value {
    json!({ "provider": "countersign" })
}

fn review(object: &Value, answer: Value) -> Reviewed {
    Template::bundled().review(object, &parameters(), Answer::Is(answer))
}

#[test]
fn proven_images_of_all_four_lists_are_admitted_and_asked_for_once() {
    let object = json!({ "metadata": { "namespace": "payments" }, "spec": {
        "containers": [{ "name": "a", "image": GOOD }, { "name": "b", "image": GOOD }],
        "initContainers": [{ "name": "i", "image": "init:1" }],
        "ephemeralContainers": [{ "name": "e", "image": "debug:1" }],
        "volumes": [{ "name": "v", "emptyDir": {} }, { "name": "w", "image": { "reference": "volume:1" } }] } });
    let keys = ["debug:1", "init:1", GOOD, "volume:1"];
    let answer = reply(&keys.map(|key| (key, yes())));
    let reviewed = review(&object, answer);
    assert_eq!(reviewed.violations, Vec::<String>::new());
    assert_eq!(reviewed.requests, [json!({ "provider": "countersign", "keys": keys })]);
    // Each list counts: leave one key out and it is refused.
    for left_out in keys {
        let rest: Vec<_> = keys.iter().filter(|key| **key != left_out).map(|key| (*key, yes())).collect();
        let violations = review(&object, reply(&rest)).violations;
        assert_eq!(violations.len(), 1, "{left_out}: {violations:?}");
        assert!(violations[0].contains(&format!("Subject failed verification: {left_out}: ")), "{violations:?}");
    }
}

#[test]
fn refusal_says_code_image_reason_and_remedy_in_that_order() {
    let violations = review(&pod(&[GOOD, BAD]), reply(&[(GOOD, yes()), (BAD, no())])).violations;
    let expected =
        format!("NO_SIGNATURE: Subject failed verification: {BAD}: no signature was found; remedy: Sign the image.");
    assert_eq!(violations, [expected]);
}

#[test]
fn refusal_without_words_of_its_own_takes_those_of_its_reports() {
    let value = json!({ "isSuccess": false, "code": "UNTRUSTED", "verifierReports": [
        { "isSuccess": true, "message": "fine" },
        { "isSuccess": false, "message": "not in the trust store", "remediation": "Add the root." }] });
    let violations = review(&pod(&[BAD]), reply(&[(BAD, value)])).violations;
    assert_eq!(
        violations,
        [format!("UNTRUSTED: Subject failed verification: {BAD}: not in the trust store; remedy: Add the root.")]
    );
}

#[test]
fn refusal_keeps_its_code_however_little_is_said_beside_it() {
    let beside = [
        json!({}),
        json!({ "message": 7, "remediation": null }),
        json!({ "verifierReports": null }),
        json!({ "verifierReports": [] }),
        json!({ "verifierReports": "x" }),
        json!({ "verifierReports": [null, 1, [], { "isSuccess": false, "message": 1, "remediation": {} }] }),
    ];
    for mut value in beside {
        value["isSuccess"] = json!(false);
        value["code"] = json!("UNTRUSTED");
        let violations = review(&pod(&[BAD]), reply(&[(BAD, value.clone())])).violations;
        assert_eq!(violations.len(), 1, "{value}: {violations:?}");
        assert!(
            violations[0].starts_with(&format!("UNTRUSTED: Subject failed verification: {BAD}: ")),
            "{violations:?}"
        );
        assert!(violations[0].contains("; remedy: "), "{violations:?}");
    }
}

/// Nothing but a `value` with `isSuccess: true` under the very key admits.
#[test]
fn value_of_any_other_shape_is_refused() {
    let values = [
        ("null", json!(null)),
        ("true", json!(true)),
        ("false", json!(false)),
        ("number", json!(1)),
        ("text", json!("isSuccess: true")),
        ("array", json!([true])),
        ("array of a yes", json!([yes()])),
        ("empty object", json!({})),
        ("succeeded alone", json!({ "succeeded": true })),
        ("null inside", json!({ "isSuccess": null })),
        ("number inside", json!({ "isSuccess": 1 })),
        ("text inside", json!({ "isSuccess": "true" })),
        ("array inside", json!({ "isSuccess": [true] })),
        ("object inside", json!({ "isSuccess": { "isSuccess": true } })),
        ("another case", json!({ "issuccess": true })),
        ("no, without code", json!({ "isSuccess": false })),
        ("no, with a code of another shape", json!({ "isSuccess": false, "code": { "a": 1 }, "message": 7 })),
        ("no, with reports of another shape", json!({ "isSuccess": false, "verifierReports": "x" })),
        ("no, with a report of null", json!({ "isSuccess": false, "verifierReports": [null, 1, { "message": 1 }] })),
        ("text that claims a code", json!({ "isSuccess": "true", "code": "VERIFIED", "message": "fine" })),
    ];
    for (name, value) in values {
        let violations = review(&pod(&[BAD]), reply(&[(BAD, value)])).violations;
        assert_eq!(violations.len(), 1, "{name}: {violations:?}");
        assert!(violations[0].starts_with(&format!("BAD_RESULT: Subject failed verification: {BAD}")), "{name}");
    }
}

/// Replies that are broken as a whole; `GOOD` and `BAD` are asked for and neither may pass.
#[test]
fn reply_that_is_broken_refuses_every_image() {
    let pairs = json!([[GOOD, yes()], [BAD, yes()]]);
    let replies = [
        (
            "null lists, as for an outage",
            json!({ "responses": null, "errors": null, "status_code": 500, "system_error": "send failed" }),
            "PROVIDER_ERROR",
        ),
        (
            "null lists without a text",
            json!({ "responses": null, "errors": null, "status_code": 500, "system_error": "" }),
            "NO_RESULT",
        ),
        (
            "system error beside proofs",
            json!({ "responses": pairs, "errors": [], "status_code": 200, "system_error": "TIMEOUT" }),
            "PROVIDER_ERROR",
        ),
        (
            "system error of another shape",
            json!({ "responses": pairs, "errors": [], "system_error": { "a": 1 } }),
            "NO_ANSWER",
        ),
        ("no system error member", json!({ "responses": pairs, "errors": [] }), "NO_ANSWER"),
        ("null system error", json!({ "responses": pairs, "errors": [], "system_error": null }), "NO_ANSWER"),
        ("empty answer", reply(&[]), "NO_RESULT"),
        ("no members", json!({}), "NO_ANSWER"),
        ("null", json!(null), "NO_ANSWER"),
        ("text", json!("ok"), "NO_ANSWER"),
        ("array", json!([true]), "NO_ANSWER"),
        ("responses of another shape", json!({ "responses": "x", "errors": [], "system_error": "" }), "NO_RESULT"),
        (
            "responses as an object",
            json!({ "responses": { GOOD: yes(), BAD: yes() }, "errors": [], "system_error": "" }),
            "NO_RESULT",
        ),
        (
            "items of another shape",
            json!({ "responses": [null, 1, GOOD, [], [GOOD], {}], "errors": [], "system_error": "" }),
            "NO_RESULT",
        ),
        ("keys in another case", reply(&[(&GOOD.to_uppercase(), yes()), (&BAD.to_uppercase(), yes())]), "NO_RESULT"),
        ("keys trimmed", reply(&[("signed:1", yes()), ("unsigned:1", yes())]), "NO_RESULT"),
        (
            "errors for both",
            json!({ "responses": [], "errors": [[GOOD, "e"], [BAD, "e"]], "system_error": "" }),
            "ITEM_ERROR",
        ),
        (
            "errors beside proofs",
            json!({ "responses": pairs, "errors": [[GOOD, "e"], [BAD, null]], "system_error": "" }),
            "ITEM_ERROR",
        ),
    ];
    for (name, answer, code) in replies {
        let violations = review(&pod(&[GOOD, BAD]), answer).violations;
        assert_eq!(violations.len(), 2, "{name}: {violations:?}");
        for (violation, image) in violations.iter().zip([GOOD, BAD]) {
            let start = format!("{code}: Subject failed verification: {image}: ");
            assert!(violation.starts_with(&start), "{name}: {violation}");
        }
    }
}

#[test]
fn call_without_an_answer_refuses_every_image() {
    let reviewed = Template::bundled().review(&pod(&[GOOD]), &parameters(), Answer::Fails);
    assert_eq!(reviewed.violations.len(), 1, "{:?}", reviewed.violations);
    assert!(reviewed.violations[0].starts_with(&format!("NO_ANSWER: Subject failed verification: {GOOD}: ")));
}

#[test]
fn constraint_without_a_provider_refuses_and_asks_nobody() {
    for parameters in [json!({}), json!(null)] {
        let reviewed = Template::bundled().review(&pod(&[GOOD]), &parameters, Answer::Is(reply(&[(GOOD, yes())])));
        assert_eq!(reviewed.violations.len(), 1, "{parameters}");
        assert_eq!(reviewed.requests.len(), 0, "{parameters}");
    }
}

#[test]
fn definite_no_keeps_its_reason_beside_a_system_error() {
    let answer =
        json!({ "responses": [[BAD, no()]], "errors": null, "status_code": 200, "system_error": "TIMEOUT: slow" });
    let violations = review(&pod(&[GOOD, BAD]), answer).violations;
    assert_eq!(violations.len(), 2, "{violations:?}");
    assert!(violations[0].starts_with(&format!("NO_SIGNATURE: Subject failed verification: {BAD}: ")));
    assert!(violations[1].starts_with(&format!("PROVIDER_ERROR: Subject failed verification: {GOOD}: TIMEOUT: slow")));
}

#[test]
fn two_answers_for_one_key_are_a_yes_only_together() {
    for pair in [[yes(), no()], [no(), yes()], [yes(), json!(null)]] {
        let [first, second] = pair;
        let violations = review(&pod(&[GOOD]), reply(&[(GOOD, first), (GOOD, second)])).violations;
        assert_eq!(violations.len(), 1, "{violations:?}");
    }
    let twice = reply(&[(GOOD, yes()), (GOOD, json!({ "isSuccess": true, "more": 1 }))]);
    assert_eq!(review(&pod(&[GOOD]), twice).violations.len(), 0);
}

#[test]
fn image_left_out_or_empty_is_refused_unless_the_provider_proves_it() {
    let images = [json!({ "name": "c" }), json!({ "name": "c", "image": "" }), json!({ "name": "c", "image": null })];
    for container in images {
        let object = json!({ "spec": { "containers": [container] } });
        let violations = review(&object, reply(&[])).violations;
        assert_eq!(violations.len(), 1, "{container}");
    }
}

#[test]
fn object_without_images_is_admitted_and_asks_nobody() {
    for object in
        [json!(null), json!({}), json!({ "spec": { "containers": [], "volumes": [{ "name": "v", "emptyDir": {} }] } })]
    {
        let reviewed = Template::bundled().review(&object, &parameters(), Answer::Fails);
        assert_eq!((reviewed.violations.len(), reviewed.requests.len()), (0, 0), "{object}");
    }
}

#[test]
fn namespaced_keys_carry_the_namespace_and_answer_for_no_other() {
    let parameters = json!({ "provider": "countersign", "namespacedKeys": true });
    let key = format!("[payments]{GOOD}");
    let good = Template::bundled().review(&pod(&[GOOD]), &parameters, Answer::Is(reply(&[(&key, yes())])));
    assert_eq!(good.violations, Vec::<String>::new());
    assert_eq!(good.requests, [json!({ "provider": "countersign", "keys": [key] })]);
    for other in [GOOD.to_owned(), format!("[other]{GOOD}")] {
        let reviewed = Template::bundled().review(&pod(&[GOOD]), &parameters, Answer::Is(reply(&[(&other, yes())])));
        assert_eq!(reviewed.violations.len(), 1, "{other}");
    }
    let mut nowhere = pod(&[GOOD]);
    nowhere["metadata"] = json!({ "name": "p" });
    let reviewed = Template::bundled().review(&nowhere, &parameters, Answer::Is(reply(&[(GOOD, yes())])));
    assert_eq!(reviewed.violations.len(), 1);
}

#[test]
fn first_256_bytes_say_code_and_image_of_a_long_reference() {
    let image = format!("registry.example.com/{}@sha256:{}", "team/".repeat(16) + "app", "a".repeat(64));
    let mut value = no();
    value["message"] = json!("long ".repeat(400));
    let violations = review(&pod(&[&image]), reply(&[(&image, value)])).violations;
    let head: String = violations[0].chars().take(256).collect();
    assert!(head.contains("NO_SIGNATURE") && head.contains(&image), "{head}");
}

#[test]
fn codes_of_the_template_are_none_of_the_providers() {
    for code in ["BAD_RESULT", "ITEM_ERROR", "NO_ANSWER", "NO_RESULT", "PROVIDER_ERROR"] {
        assert!(countersign::reason::Code::ALL.iter().all(|ours| ours.as_str() != code), "{code}");
        assert!(super::engine::read("template.yaml").contains(code) && super::engine::read("README.md").contains(code));
    }
}
