use serde_json::json;

use super::*;

fn words(change: &Value) -> Words {
    let mut secrets = Vec::new();
    for (member, value) in change.as_object().unwrap() {
        collect(member, value, &mut secrets);
    }
    Words { secrets, mark: json!({ "name": "p" }) }
}

fn reply(message: &str, extensions: &Value) -> Reply {
    Reply {
        is_success: false,
        message: Some(message.to_owned()),
        error_reason: Some("why".to_owned()),
        remediation: Some("do\nthis".to_owned()),
        extensions: extensions.as_object().unwrap().clone(),
    }
}

#[test]
fn what_a_plugin_writes_is_escaped_and_bounded() {
    let words = words(&json!({}));
    let told = words.of(&reply(
        "\u{1b}[31mred\u{202e}\nforged",
        &json!({ "a\nb": ["\u{7}", { "c": "\r" }], "plugin": "somebody else" }),
    ));
    assert_eq!(told.message.as_deref(), Some("\\u{1b}[31mred\\u{202e}\\u{a}forged: why"), "PLG-10");
    assert_eq!(told.remediation.as_deref(), Some("do\\u{a}this"));
    let expected = json!({ "a\\u{a}b": ["\\u{7}", { "c": "\\u{d}" }], "plugin": { "name": "p" } });
    assert_eq!(Value::Object(told.extensions), expected);
    let long = words.of(&reply(&"x".repeat(100_000), &json!({ "many": vec!["y".repeat(400); 30] })));
    assert!(long.message.is_some_and(|message| message.len() < 600));
    assert!(long.extensions.contains_key("omittedBytes") && !long.extensions.contains_key("many"));
    assert_eq!(long.extensions["plugin"], json!({ "name": "p" }));
}

#[test]
fn what_it_was_entrusted_with_is_taken_out() {
    let words = words(&json!({ "apiToken": "canary-1234", "list": { "passwords": ["hunter22"] }, "plain": "visible" }));
    let told = words.of(&reply("canary-1234 visible", &json!({ "hunter22": "xhunter22x", "deep": [["canary-1234"]] })));
    assert_eq!(told.message.as_deref(), Some("[redacted] visible: why"), "PLG-10");
    let shown = Value::Object(told.extensions).to_string();
    assert!(!shown.contains("hunter22") && !shown.contains("canary"), "PLG-10 {shown}");
}
