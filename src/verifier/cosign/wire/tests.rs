use proptest::prelude::*;

use super::*;

message! { Open, ignore { text: String = "text" | "the_text", list: Few<Count, 3> = "list", bytes: ProtoBase64 = "bytes" } }
message! { Closed, refuse { text: String = "text", number: Number = "number", inner: Inner = "inner" } }
message! { Inner, refuse { text: String = "text" } }

fn open(text: &str) -> Result<Open, WireError> {
    read(text.as_bytes())
}

fn closed(text: &str) -> Result<Closed, WireError> {
    read(text.as_bytes())
}

#[test]
fn members_are_read_under_either_name_in_any_order_and_null_is_absence() {
    for document in [r#"{"text":"a"}"#, r#"{"the_text":"a"}"#, r#" {"list":[],"\u0074ext":"a"} "#] {
        assert_eq!(open(document).unwrap().text.unwrap(), "a", "{document}");
    }
    for document in ["{}", r#"{"text":null}"#, r#"{"the_text":null}"#] {
        assert!(open(document).unwrap().text.is_none(), "{document}");
    }
}

// R26, R51
#[test]
fn a_document_with_two_readings_or_none_is_refused() {
    for (name, document) in [
        ("duplicate", r#"{"text":"a","text":"a"}"#),
        ("duplicate under the second name", r#"{"text":"a","the_text":"a"}"#),
        ("duplicate of null", r#"{"text":null,"text":"a"}"#),
        ("null as duplicate", r#"{"text":"a","text":null}"#),
        ("duplicate by escape", r#"{"text":"a","\u0074ext":"b"}"#),
        ("list of members", r#"["a"]"#),
        ("other type", r#"{"text":1}"#),
        ("text", r#""text""#),
        ("null", "null"),
        ("truncated", r#"{"text":"#),
        ("second document", "{}{}"),
        ("something behind", "{} x"),
        ("byte order mark", "\u{feff}{}"),
        ("nothing", ""),
    ] {
        assert!(open(document).is_err(), "{name}");
    }
    assert!(read::<Open>(b"{\"text\":\"\xff\"}").is_err(), "invalid UTF-8");
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    assert!(open(&deep).is_ok(), "what is ignored is read past, however deep, without recursion");
    assert!(closed(&deep).is_err());
}

#[test]
fn unknown_members_are_refused_or_ignored_as_the_message_is_declared() {
    assert_eq!(open(r#"{"x":{"y":[1]},"text":"a"}"#).unwrap().text.unwrap(), "a");
    assert!(closed(r#"{"text":"a"}"#).is_ok());
    for (document, says) in [
        (r#"{"text":"a","x":1}"#, r#"unknown member "x""#),
        (r#"{"Text":"a"}"#, r#"unknown member "Text""#),
        (r#"{"inner":{"x":null}}"#, r#"unknown member "x""#),
        (r#"{"inner":["a"]}"#, "malformed at inner"),
    ] {
        let error = closed(document).unwrap_err();
        assert!(crate::reason::chain(&error).contains(says), "{document}: {}", crate::reason::chain(&error));
    }
}

#[test]
fn a_list_is_read_up_to_its_limit_and_counted_beyond() {
    let list = |n: usize| open(&format!(r#"{{"list":[{}]}}"#, vec!["1"; n].join(","))).unwrap().list.unwrap().all();
    assert_eq!(list(0).unwrap().len(), 0);
    assert_eq!(list(3).unwrap().len(), 3);
    assert_eq!(list(4).unwrap_err(), TooMany { count: 4, limit: 3 });
    // COS-33: what lies beyond is not read as elements, and takes no memory
    let beyond = open(&format!(r#"{{"list":[1,1,1{}]}}"#, ",{}".repeat(100_000))).unwrap();
    assert_eq!(beyond.list.unwrap().all().unwrap_err(), TooMany { count: 100_003, limit: 3 });
    assert!(open(r#"{"list":[1,null]}"#).is_err());
    assert!(open(r#"{"list":{}}"#).is_err());
}

// R51: negative index
#[test]
fn integers_are_decimal_and_not_negative() {
    let count =
        |text: &str| open(&format!(r#"{{"list":[{text}]}}"#)).map(|open| open.list.unwrap().all().unwrap()[0].as_u64());
    for (text, value) in [("0", 0), (r#""0""#, 0), ("7", 7), (r#""7""#, 7), (r#""9223372036854775807""#, 1 << 63)] {
        assert_eq!(count(text).unwrap(), if value == 1 << 63 { value - 1 } else { value }, "{text}");
    }
    for text in [
        "-1",
        r#""-1""#,
        "-0",
        r#""-0""#,
        r#""+1""#,
        "1.0",
        r#""1.0""#,
        "1e2",
        r#""1e2""#,
        r#""""#,
        r#"" 1""#,
        r#""1 ""#,
        r#""01""#,
        r#""0x1""#,
        "9223372036854775808",
        r#""9223372036854775808""#,
        "18446744073709551616",
        "true",
        "[]",
    ] {
        assert!(count(text).is_err(), "{text}");
    }
    let number =
        |text: &str| closed(&format!(r#"{{"number":{text}}}"#)).map(|closed| closed.number.unwrap().0.as_i64());
    assert_eq!(number("7").unwrap(), 7);
    assert_eq!(number("9223372036854775807").unwrap(), i64::MAX);
    for text in [r#""7""#, "-1", "7.0", "9223372036854775808"] {
        assert!(number(text).is_err(), "{text}");
    }
}

#[test]
fn each_dialect_of_base64_takes_its_own_and_no_more() {
    let (standard, dsse, proto) = (1, 2, 4);
    for (text, taken_by) in [
        ("+/A=", standard | dsse | proto),
        ("-_A=", dsse | proto),
        ("+/A", proto),
        ("-_A", proto),
        ("", standard | dsse | proto),
        ("+_A=", 0),
        ("+/B=", 0),
        ("+/B", 0),
        ("+/A==", 0),
        ("+/A=\n", 0),
        ("+/\nA=", 0),
        (" +/A=", 0),
        ("+", 0),
        ("ä", 0),
    ] {
        let json = serde_json::to_vec(text).unwrap();
        for (name, bit, read) in [
            ("standard", standard, read::<StandardBase64>(&json).map(|bytes| bytes.0)),
            ("DSSE", dsse, read::<DsseBase64>(&json).map(|bytes| bytes.0)),
            ("protobuf", proto, read::<ProtoBase64>(&json).map(|bytes| bytes.0)),
        ] {
            assert_eq!(read.is_ok(), taken_by & bit != 0, "{text:?} as {name}");
            if let Ok(bytes) = read {
                assert_eq!(bytes, if text.is_empty() { &[][..] } else { &[0xfb, 0xf0] }, "{text:?} as {name}");
            }
        }
    }
}

// R116
proptest! {
    #[test]
    fn any_bytes_return(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read::<Open>(&bytes);
        let _ = read::<Closed>(&bytes);
    }

    #[test]
    fn what_base64_writes_every_dialect_reads(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        use ::base64::Engine as _;
        let json = serde_json::to_vec(&::base64::engine::general_purpose::STANDARD.encode(&bytes)).unwrap();
        prop_assert_eq!(&read::<StandardBase64>(&json).unwrap().0, &bytes);
        prop_assert_eq!(&read::<DsseBase64>(&json).unwrap().0, &bytes);
        prop_assert_eq!(&read::<ProtoBase64>(&json).unwrap().0, &bytes);
    }
}
