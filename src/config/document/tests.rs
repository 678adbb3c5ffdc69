use super::*;

fn value(text: &str) -> Value {
    parse(text).unwrap().to_value()
}

#[test]
fn yaml_and_json_are_read_alike() {
    let expected = serde_json::json!({"a": {"b": [1, "x", null, true], "c:5000": "1.2.3"}});
    assert_eq!(value("a:\n  b: [1, x, ~, true]\n  \"c:5000\": 1.2.3\n"), expected);
    assert_eq!(value(r#"{"a":{"b":[1,"x",null,true],"c:5000":"1.2.3"}}"#), expected);
    assert_eq!(value("{\n\t\"a\": {\"b\": [1, \"x\", null, true], \"c:5000\": \"1.2.3\"}\n}"), expected);
    assert_eq!(value("\u{feff}a: 1"), serde_json::json!({"a": 1}), "byte order mark");
    assert_eq!(value(r#"{"a":"\ud83d\ude00"}"#), serde_json::json!({"a": "\u{1f600}"}));
}

#[test]
fn only_yamls_core_words_are_anything_but_text() {
    assert_eq!(value("[yes, on, 'true', 10s, 0x10, -1]"), serde_json::json!(["yes", "on", "true", "10s", 16, -1]));
}

#[test]
fn anchors_are_copied() {
    assert_eq!(value("a: &x [1]\nb: *x\n"), serde_json::json!({"a": [1], "b": [1]}));
}

// CFG-02, CFG-03
#[test]
fn what_is_dangerous_in_yaml_is_refused_with_its_line() {
    let bomb = {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..30 {
            let last = n - 1;
            let aliases = format!("*a{last},").repeat(7);
            let line = format!("a{n}: &a{n} [{aliases}]\n");
            text.push_str(&line);
        }
        text
    };
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(500_000), "*a,".repeat(100));
    for (name, text, expected) in [
        ("CFG-01 empty", String::new(), "the file is empty"),
        ("CFG-01 only comments", "# nothing\n".into(), "the file is empty"),
        ("CFG-02 syntax", "a: 1\nb: [1\n".into(), "line 3"),
        ("CFG-02 tab", "a:\n\tb: 1\n".into(), "line 2"),
        ("CFG-02 two documents", "a: 1\n---\nb: 1\n".into(), "a second document"),
        ("CFG-03 aliases of aliases", bomb, "anchors expand"),
        ("CFG-03 long text", long, "anchors expand"),
        ("CFG-03 flow nesting", "[".repeat(100_000), "recursion limit"),
        ("CFG-03 block nesting", (0..200).map(|n| " ".repeat(n) + "a:\n").collect(), "nested deeper"),
        ("CFG-03 merge", "a: &a {b: 1}\nc:\n  <<: *a\n".into(), "line 3: merge keys"),
        ("CFG-03 duplicate", "a: 1\nb:\n  c: 1\n  c: 2\n".into(), "line 4: key \"c\" stands twice"),
        ("CFG-03 duplicate in JSON", r#"{"a":1,"a":2}"#.into(), "key \"a\" stands twice"),
        ("CFG-03 tag", "a: !!python/object:os.system x\n".into(), "line 1: tags"),
        ("CFG-03 tagged map", "a: !!set {x: 1}\n".into(), "line 1: tags"),
        ("list as key", "? [a]\n: 1\n".into(), "a key must be text"),
        ("alias as key", "a: &a b\n*a : 1\n".into(), "a key must be text"),
        ("infinity", "a: .inf\n".into(), "a number that JSON does not have"),
    ] {
        let error = parse(&text).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn nesting_is_bounded_at_its_limit() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert!(matches!(parse(&nested(MAX_DEPTH + 1)), Err(DocumentError::Nesting { .. })));
    // An anchor does not deepen what it is put into.
    let text = format!("a: &a {}\nb: {}*a{}", nested(20), "[".repeat(11), "]".repeat(11));
    assert!(parse(&text).is_ok());
    let text = format!("a: &a {}\nb: {}*a{}", nested(20), "[".repeat(12), "]".repeat(12));
    assert!(matches!(parse(&text), Err(DocumentError::Nesting { .. })));
}

#[test]
fn each_value_knows_its_line() {
    let node = parse("a:\n  b:\n    - c: 1\n    - d: 2\n").unwrap();
    let seg = |key: &str| Segment::Map { key: key.to_owned() };
    let path = [seg("a"), seg("b"), Segment::Seq { index: 1 }, seg("d")];
    assert_eq!(node.origin_of(&path), Origin::Line(4));
    assert_eq!(node.origin_of(&[seg("a"), seg("nothing")]), Origin::Line(2), "the nearest that exists");
}

#[test]
fn a_printed_path_finds_its_line_also_through_keys_with_dots() {
    let node = parse("stores:\n- hosts:\n    a.example:\n      ca: x\n    a.example.com:\n      ca: y\n").unwrap();
    for (path, line) in [
        ("stores[0].hosts.a.example.ca", 4),
        ("stores[0].hosts.a.example.com.ca", 6),
        (r#"stores[0].hosts["a.example.com"].ca"#, 6),
        ("stores[0].hosts.nothing", 3),
        ("stores[7]", 2),
        ("nothing", 1),
        ("", 1),
    ] {
        assert_eq!(node.origin_at(path), Origin::Line(line), "{path}");
    }
}
