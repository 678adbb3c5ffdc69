//! DSSE: what a signature over an envelope signs.

/// The pre-authentication encoding: `DSSEv1 LEN(type) type LEN(payload) payload`, lengths in bytes and decimal.
///
/// Rule: DSSE v1.0 protocol, "Signature Definition" (R36).
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    // R36; the first is the vector of the DSSE specification
    #[test]
    fn known_payloads_have_their_encoding() {
        for (name, payload_type, payload, encoded) in [
            (
                "specification",
                "http://example.com/HelloWorld",
                "hello world",
                "DSSEv1 29 http://example.com/HelloWorld 11 hello world",
            ),
            ("nothing", "", "", "DSSEv1 0  0 "),
            ("empty payload", "application/vnd.in-toto+json", "", "DSSEv1 28 application/vnd.in-toto+json 0 "),
            ("lengths are bytes, not characters", "häschen", "süß", "DSSEv1 8 häschen 5 süß"),
            ("separators are no escape", "a 1 b", "c 2 d", "DSSEv1 5 a 1 b 5 c 2 d"),
        ] {
            assert_eq!(pae(payload_type, payload.as_bytes()), encoded.as_bytes(), "{name}");
        }
    }

    #[test]
    fn payloads_that_are_no_text_stay_as_they_are() {
        assert_eq!(pae("t", &[0, 0xff, b'\n']), b"DSSEv1 1 t 3 \0\xff\n");
    }

    #[test]
    fn moving_the_border_between_type_and_payload_changes_what_is_signed() {
        assert_ne!(pae("ab", b"c"), pae("a", b"bc"));
        assert_ne!(pae("a 1", b"b"), pae("a", b"1 b"));
    }
}
