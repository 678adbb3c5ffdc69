use serde_json::json;

use super::*;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SUBJECT: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";

fn identity(value: serde_json::Value) -> Identity {
    Identity::compile(&serde_json::from_value(value).unwrap()).unwrap()
}

fn faults(value: serde_json::Value) -> Vec<(String, String)> {
    let config: IdentityConfig = serde_json::from_value(value).unwrap();
    let faults = Identity::compile(&config).expect_err("a fault");
    faults.into_iter().map(|(member, fault)| (member, fault.to_string())).collect()
}

fn check(identity: &Identity, issuer: Option<&str>, subject: &str) -> Result<(), Mismatch> {
    identity.check(Authorities::Instance, issuer, subject, &Claims::default())
}

// R74
#[test]
fn exact_texts_are_equal_or_nothing() {
    let exact = identity(json!({"issuer": ISSUER, "subject": SUBJECT}));
    assert!(check(&exact, Some(ISSUER), SUBJECT).is_ok());
    for (case, issuer, subject) in [
        ("another issuer", "https://accounts.google.com", SUBJECT),
        ("the issuer with a slash", "https://token.actions.githubusercontent.com/", SUBJECT),
        ("the issuer in capitals (COS-27)", "https://TOKEN.actions.githubusercontent.com", SUBJECT),
        ("the issuer's beginning", "https://token.actions.githubusercontent", SUBJECT),
        ("no issuer's text", "", SUBJECT),
        ("another subject", ISSUER, "https://github.com/acme/web"),
        (
            "the subject in capitals",
            ISSUER,
            "https://github.com/Acme/app/.github/workflows/release.yml@refs/heads/main",
        ),
        ("the subject's beginning", ISSUER, "https://github.com/acme/app"),
        ("more than the subject", ISSUER, "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main2"),
        ("both swapped", SUBJECT, ISSUER),
    ] {
        assert!(check(&exact, Some(issuer), subject).is_err(), "{case}");
    }
}

// R75, COS-26, COS-27
#[test]
fn an_expression_matches_the_whole_text() {
    for (pattern, subject, expected) in [
        ("https://github.com/acme/.*", "https://github.com/acme/app", true),
        ("^https://github.com/acme/.*$", "https://github.com/acme/app", true),
        ("https://github.com/acme/.*", "https://evil.example/https://github.com/acme/app", false),
        ("github.com/acme/.*", "https://evil.example/github.com/acme/x", false),
        ("github.com/acme/.*", "https://github.com/acme/app", false),
        ("https://github.com/acme/app", "https://github.com/acme/app.evil.example", false),
        // An alternation binds weaker than an anchor.
        ("a|b", "a", true),
        ("a|b", "ab", false),
        ("a|b", "xb", false),
        ("^a|b$", "ax", false),
        ("^a|b$", "xb", false),
        // Lines are no ends, whatever the flags say.
        ("(?m)^good$", "good", true),
        ("(?m)^good$", "evil\ngood", false),
        ("(?s).*good", "evil\ngood", false),
        ("good[^/]*", "good\nevil", false),
        ("[^/]+", "a\0b", false),
        ("(?i)GOOD", "good", true),
        ("GOOD", "good", false),
        ("", "x", false),
    ] {
        let config = IdentityConfig {
            issuer: Some("i".to_owned()),
            subject_reg_exp: Some(pattern.to_owned()),
            ..IdentityConfig::default()
        };
        let matched = Identity::compile(&config).is_ok_and(|identity| check(&identity, Some("i"), subject).is_ok());
        assert_eq!(matched, expected, "{pattern:?} {subject:?}");
    }
    let any = identity(json!({"issuer": "i", "subjectRegExp": "x+"}));
    assert!(check(&any, Some("i"), &"x".repeat(MAX_TEXT_BYTES)).is_ok());
    assert!(check(&any, Some("i"), &"x".repeat(MAX_TEXT_BYTES + 1)).is_err(), "COS-27: 64 KiB");
}

// R76, COS-29
#[test]
fn an_identity_is_an_issuer_and_a_subject() {
    for (value, member, part) in [
        (json!({}), "issuer", "`issuer` or `issuerRegExp` is needed"),
        (json!({"issuer": "i"}), "subject", "`subject` or `subjectRegExp` is needed"),
        (json!({"issuer": "", "subject": "s"}), "issuer", "empty"),
        (json!({"issuer": "i", "subject": ""}), "subject", "empty"),
        (json!({"issuerRegExp": "", "subject": "s"}), "issuerRegExp", "empty"),
        (json!({"issuer": "i", "subjectRegExp": ""}), "subjectRegExp", "empty"),
        (json!({"issuer": "i", "issuerRegExp": ".*", "subject": "s"}), "issuerRegExp", "exclude"),
        (json!({"issuer": "i", "subject": "s", "subjectRegExp": "s"}), "subjectRegExp", "exclude"),
        (json!({"issuer": "i\n", "subject": "s"}), "issuer", "control"),
        (json!({"issuer": "i", "subject": "s", "claims": {"colour": "red"}}), "claims.colour", "no claim is named"),
        (
            json!({"issuer": "i", "subject": "s", "claims": {"githubWorkflowRef": ""}}),
            "claims.githubWorkflowRef",
            "empty",
        ),
    ] {
        let found = faults(value.clone());
        assert!(found.iter().any(|(at, said)| at == member && said.contains(part)), "{value}: {found:?}");
    }
    assert_eq!(faults(json!({"claims": {"x": "y"}})).len(), 3, "all faults are told");
    for value in [json!({"Issuer": "i"}), json!({"issuerRegex": "i"}), json!({"claims": {"githubWorkflowRef": 1}})] {
        assert!(serde_json::from_value::<IdentityConfig>(value.clone()).is_err(), "{value}");
    }
}

// R27
#[test]
fn expressions_are_bounded_and_cannot_step_out_of_their_anchors() {
    for (pattern, part) in [
        ("a)|(?:b", "unopened group"),
        ("(", "unclosed group"),
        ("(?x)a # ", "unclosed group"),
        (r"(?:\p{L}{1000}){1000}", "size limit"),
        (r"(a)\1", "backreferences are not supported"),
        ("(?=a)", "look-around"),
    ] {
        let found = faults(json!({"issuer": "i", "subjectRegExp": pattern}));
        assert!(found[0].0 == "subjectRegExp" && found[0].1.contains(part), "{pattern}: {found:?}");
    }
    let of = |size: usize| {
        let config = json!({"issuer": "i", "subjectRegExp": "x".repeat(size)});
        Identity::compile(&serde_json::from_value(config).unwrap())
    };
    assert!(of(MAX_PATTERN_BYTES).is_ok());
    assert!(of(MAX_PATTERN_BYTES + 1).is_err());
    // Linear: what costs others exponential time.
    let slow = identity(json!({"issuer": "i", "subjectRegExp": "(x+x+)+y"}));
    assert!(check(&slow, Some("i"), &"x".repeat(MAX_TEXT_BYTES)).is_err());
}

// R79
#[test]
fn claims_are_equal_each() {
    let of_main = identity(json!({
        "issuer": "i", "subjectRegExp": "s.*",
        "claims": {"githubWorkflowRef": "refs/heads/main", "githubWorkflowRepository": "acme/app"},
    }));
    let with = |reference: &'static str, repository: Option<&'static str>| {
        let claims = [(Claim::GithubWorkflowRef, Some(reference)), (Claim::GithubWorkflowRepository, repository)];
        let claims = claims.into_iter().filter_map(|(claim, value)| Some((claim, value?.to_owned()))).collect();
        of_main.check(Authorities::Instance, Some("i"), "s", &claims)
    };
    assert!(with("refs/heads/main", Some("acme/app")).is_ok());
    assert!(with("refs/heads/main", Some("acme/App")).is_err());
    assert!(with("refs/heads/main ", Some("acme/app")).is_err());
    let missing = with("refs/heads/evil", None).unwrap_err().to_string();
    assert_eq!(
        missing,
        "signed by \"s\" of issuer \"i\", expected githubWorkflowRepository \"acme/app\" (it is absent) \
         and githubWorkflowRef \"refs/heads/main\" (it is \"refs/heads/evil\")"
    );
}

#[test]
fn only_an_own_authority_may_name_no_issuer() {
    let any = identity(json!({"issuerRegExp": ".*", "subject": "s"}));
    let exact = identity(json!({"issuer": "i", "subject": "s"}));
    assert!(any.check(Authorities::Own, None, "s", &Claims::default()).is_ok());
    assert!(any.check(Authorities::Instance, None, "s", &Claims::default()).is_err(), "the nearest");
    assert!(exact.check(Authorities::Own, None, "s", &Claims::default()).is_err());
    assert!(exact.check(Authorities::Own, Some("i"), "s", &Claims::default()).is_ok());
    let said = exact.check(Authorities::Own, None, "s", &Claims::default()).unwrap_err().to_string();
    assert_eq!(said, "signed by \"s\" of no issuer, expected issuer \"i\"");
}

#[test]
fn of_several_identities_the_nearest_is_told() {
    let all = [
        identity(json!({"issuer": "other", "subject": "nobody"})),
        identity(json!({"issuer": "i", "subjectRegExp": "release@.*"})),
        identity(json!({"issuer": "i", "subject": "s", "claims": {"githubWorkflowRef": "main"}})),
    ];
    let said =
        |subject| nearest(&all, Authorities::Instance, Some("i"), subject, &Claims::default()).map(ToString::to_string);
    assert_eq!(said("release@acme.example").unwrap(), "subject matching `release@.*` of issuer \"i\"");
    let mismatch = said("s").unwrap_err();
    assert!(mismatch.to_string().contains("expected githubWorkflowRef \"main\" (it is absent), or one of 2 other"));
    let mismatch = said("evil@acme.example").unwrap_err();
    assert!(mismatch.to_string().contains("expected subject matching `release@.*`"), "{mismatch}");
    assert!(
        nearest(&[], Authorities::Instance, Some("i"), "s", &Claims::default()).is_err(),
        "nobody is trusted by nobody"
    );
}

#[test]
fn what_a_message_repeats_is_escaped_and_bounded() {
    let exact = identity(json!({"issuer": "i", "subject": "s"}));
    let said = check(&exact, Some("\u{202e}"), &format!("evil\n{}", "x".repeat(100_000))).unwrap_err().to_string();
    assert!(said.len() < 1000 && !said.contains(['\n', '\u{202e}']), "{said}");
}

#[test]
fn an_expression_that_matches_anything_is_noticed() {
    for (pattern, expected) in [
        (".*", true),
        (".+", true),
        ("^.*$", true),
        ("(?s).*", true),
        (r"\S+", true),
        ("x|.*", true),
        ("https://.*", false),
        (".*@acme\\.example", false),
        ("[a-z]*", false),
    ] {
        let found = identity(json!({"issuer": "i", "subjectRegExp": pattern}));
        assert_eq!(!found.open_members().is_empty(), expected, "{pattern}");
    }
    assert_eq!(
        identity(json!({"issuerRegExp": ".*", "subjectRegExp": ".*"})).open_members(),
        ["issuerRegExp", "subjectRegExp"]
    );
}
