use serde_json::json;

use super::*;

const ASKED: Asked<'_> = Asked { verifier: "licence", subject: "reg.test/app@sha256:aa", artifact: "sha256:bb" };

fn read(output: &[u8]) -> Result<Reply, ReplyError> {
    Reply::read(output, &ASKED)
}

#[test]
fn one_verdict_among_log_lines_is_read() {
    let plain = read(br#"{"isSuccess":true}"#).unwrap();
    assert_eq!(
        plain,
        Reply { is_success: true, message: None, error_reason: None, remediation: None, extensions: Map::new() }
    );
    let output = b"info: starting\n{\"level\":\"info\",\"code\":1}\n\xff\xfe no text\n[{\"isSuccess\":true}]\n  {\"isSuccess\": false, \"name\":\"licence\", \"verifierName\":\"\", \"subject\":\"reg.test/app@sha256:aa\", \"message\":\"m\", \"errorReason\":\"e\", \"remediation\":\"r\", \"extensions\":{\"a\":1}}\r\n\nbye\n";
    let reply = read(output).unwrap();
    assert!(!reply.is_success);
    let words = [&reply.message, &reply.error_reason, &reply.remediation].map(|word| word.as_deref());
    assert_eq!(words, [Some("m"), Some("e"), Some("r")]);
    assert_eq!(Value::Object(reply.extensions), json!({"a": 1}));
    assert_eq!(
        read(br#"{"isSuccess":true,"extensions":[1]}"#).unwrap().extensions,
        *json!({"value": [1]}).as_object().unwrap()
    );
    assert!(read(br#"{"isSuccess":true,"extensions":null,"message":null}"#).unwrap().extensions.is_empty());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn whatever_is_not_exactly_one_verdict_is_none() {
    let deep = format!("{{\"isSuccess\":true,\"extensions\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let json = |line| ReplyError::Json { line };
    for (name, output, expected) in [
        ("PLG-06 empty", "", ReplyError::Missing),
        ("PLG-06 blank lines", "\n\n \n", ReplyError::Missing),
        ("PLG-06 no JSON", "all is well", ReplyError::Missing),
        ("PLG-06 trailing text", r#"{"isSuccess":true} yes"#, json(1)),
        ("PLG-06 two documents on a line", r#"{"isSuccess":true}{"isSuccess":true}"#, json(1)),
        ("PLG-06 nesting", &deep, json(1)),
        (
            "PLG-06 text for a boolean",
            r#"{"isSuccess":"true"}"#,
            ReplyError::Type { member: "isSuccess", wanted: "true or false" },
        ),
        (
            "PLG-06 number for a boolean",
            r#"{"isSuccess":1}"#,
            ReplyError::Type { member: "isSuccess", wanted: "true or false" },
        ),
        ("PLG-06 null", r#"{"isSuccess":null}"#, ReplyError::Type { member: "isSuccess", wanted: "true or false" }),
        ("PLG-06 missing isSuccess", r#"{"message":"fine"}"#, ReplyError::Missing),
        ("PLG-06 another case", r#"{"IsSuccess":true,"issuccess":true}"#, ReplyError::Missing),
        ("PLG-06 duplicate members", r#"{"isSuccess":false,"isSuccess":true}"#, json(1)),
        ("PLG-06 duplicate members below", r#"{"isSuccess":true,"extensions":{"a":1,"a":2}}"#, json(1)),
        (
            "PLG-06 two verdicts",
            "{\"isSuccess\":true}\nx\n{\"isSuccess\":true}",
            ReplyError::Second { first: 1, second: 3 },
        ),
        ("PLG-06 over several lines", "{\n\"isSuccess\":true\n}", json(1)),
        ("PLG-06 broken line beside a verdict", "{\"isSuccess\":true}\n{broken", json(2)),
        ("PLG-06 byte order mark", "\u{feff}{\"isSuccess\":true}", ReplyError::Missing),
        ("PLG-06 in a list", r#"[{"isSuccess":true}]"#, ReplyError::Missing),
        (
            "PLG-06 other subject",
            r#"{"isSuccess":true,"subject":"reg.test/other@sha256:aa"}"#,
            ReplyError::Other { member: "subject", what: "subject" },
        ),
        (
            "PLG-06 other artifact",
            r#"{"isSuccess":true,"referenceDigest":"sha256:cc"}"#,
            ReplyError::Other { member: "referenceDigest", what: "artifact" },
        ),
        (
            "PLG-06 other verifier",
            r#"{"isSuccess":true,"name":"notary"}"#,
            ReplyError::Other { member: "name", what: "verifier" },
        ),
        (
            "PLG-06 other verifierName",
            r#"{"isSuccess":true,"name":"licence","verifierName":"notary"}"#,
            ReplyError::Other { member: "verifierName", what: "verifier" },
        ),
        (
            "PLG-06 name of another type",
            r#"{"isSuccess":true,"name":["licence"]}"#,
            ReplyError::Type { member: "name", wanted: "text" },
        ),
        ("PLG-07 an error", r#"{"code":8,"msg":"command failed"}"#, ReplyError::Missing),
    ] {
        assert_eq!(read(output.as_bytes()), Err(expected), "{name}");
    }
    assert_eq!(read(b"{\"isSuccess\":true,\"message\":\"\xff\"}"), Err(json(1)), "PLG-06 invalid UTF-8");
}

#[test]
fn a_failure_in_ratifys_words_is_read() {
    let output = b"log\n{\"code\":6,\"msg\":\"version 9 not supported\",\"details\":\"\"}\n";
    assert_eq!(failure(output), Some((6, "version 9 not supported".to_owned())));
    for none in ["", "{}", r#"{"code":"6"}"#, r#"{"isSuccess":true}"#, "{\"code\":6,\"code\":7}"] {
        assert_eq!(failure(none.as_bytes()), None, "{none}");
    }
}
