//! Trusted identities: distinguished names in RFC 4514 text, and the leaf subjects that match them.
//!
//! A certificate's name is never printed and read again: its decoded attributes are compared (ENV-36). What could match in
//! two ways matches nothing but `*`.

use std::{collections::BTreeMap, fmt};

use crate::crypto::x509::Name;

/// Longest distinguished name that is read. The longest subject in the field has a few hundred bytes.
const MAX_NAME_BYTES: usize = 4096;
/// Attributes without which a name says too little. Rule: trust policy specification, "Trusted identities constraints".
const MANDATORY: [&str; 3] = ["C", "ST", "O"];

/// Why text is no distinguished name that may be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// An attribute type that is neither a name nor an OID.
    #[error("attribute type {attribute:?} is malformed")]
    AttributeType {
        /// As written.
        attribute: String,
    },
    /// A character that must be escaped.
    #[error("value of {attribute} has an unescaped {character:?}")]
    Character {
        /// Of which attribute.
        attribute: String,
        /// The character.
        character: char,
    },
    /// An attribute stands twice; `S` is `ST`.
    #[error("attribute {attribute} stands twice")]
    Duplicate {
        /// Which attribute.
        attribute: String,
    },
    /// A part without `=`.
    #[error("part {part:?} has no `=`")]
    Equals {
        /// As written.
        part: String,
    },
    /// A broken escape sequence.
    #[error("value of {attribute} has a broken escape sequence")]
    Escape {
        /// Of which attribute.
        attribute: String,
    },
    /// A hex-encoded value, `=#`: refused before anything is parsed (CVE-2023-25656, ENV-41).
    #[error("a value starts with `#`: hex-encoded values are not supported")]
    Hex,
    /// Too long.
    #[error("distinguished name has {size} bytes, the limit is {MAX_NAME_BYTES}")]
    Long {
        /// Its size.
        size: usize,
    },
    /// A mandatory attribute is missing or empty.
    #[error("attribute {attribute} is missing: C, ST and O are mandatory")]
    Missing {
        /// Which attribute.
        attribute: &'static str,
    },
    /// An RDN of several attributes.
    #[error("multi-valued part joined with `+` is not supported")]
    MultiValued,
}

/// An `x509.subject` identity: each attribute at most once, C, ST and O among them.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    text: String,
    attributes: BTreeMap<String, String>,
}

impl Identity {
    /// Reads the text behind `x509.subject:`.
    ///
    /// # Errors
    /// [`IdentityError`].
    ///
    /// Rule: RFC 4514 §3, with the restrictions of the trust policy specification.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        if text.len() > MAX_NAME_BYTES {
            return Err(IdentityError::Long { size: text.len() });
        }
        if text.contains("=#") {
            return Err(IdentityError::Hex);
        }
        let mut attributes = BTreeMap::new();
        for part in parts(text)? {
            let (attribute, value) = read_part(part)?;
            if attributes.insert(attribute.clone(), value).is_some() {
                return Err(IdentityError::Duplicate { attribute });
            }
        }
        for attribute in MANDATORY {
            if attributes.get(attribute).is_none_or(String::is_empty) {
                return Err(IdentityError::Missing { attribute });
            }
        }
        Ok(Self { text: trimmed(text).to_owned(), attributes })
    }

    /// Whether every attribute of the identity is the subject's, value by value, in whatever order.
    pub fn is_part_of(&self, subject: &SubjectAttributes) -> bool {
        self.attributes
            .iter()
            .all(|(attribute, value)| subject.0.get(attribute.as_str()).is_some_and(|found| found == value))
    }

    /// Whether each name that matches one of the two also matches the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        let within =
            |a: &Self, b: &Self| a.attributes.iter().all(|(name, value)| b.attributes.get(name) == Some(value));
        within(self, other) || within(other, self)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// The subject of a leaf certificate, where identities can be compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectAttributes(BTreeMap<&'static str, String>);

impl SubjectAttributes {
    /// Takes the attributes of a leaf's subject.
    ///
    /// `None` where only `*` may match: an attribute that policies have no name for or that is no text, several values of
    /// one attribute (of CN and SERIALNUMBER the last counts), a part of several attributes, a value with `=#` in it, or
    /// no C, ST or O.
    pub fn read(subject: &Name) -> Option<Self> {
        if subject.is_multi_valued() {
            return None;
        }
        Self::of(subject.attributes().map(|attribute| (attribute.short_name(), attribute.text())))
    }

    fn of<'a>(attributes: impl Iterator<Item = (Option<&'static str>, Option<&'a str>)>) -> Option<Self> {
        let mut found: BTreeMap<&'static str, String> = BTreeMap::new();
        for (name, value) in attributes {
            let (name, value) = (name?, value?);
            if value.contains("=#") {
                return None;
            }
            let known = found.insert(name, value.to_owned());
            if known.is_some() && !matches!(name, "CN" | "SERIALNUMBER") {
                return None;
            }
        }
        let whole = MANDATORY.iter().all(|name| found.get(name).is_some_and(|value| !value.is_empty()));
        whole.then_some(Self(found))
    }
}

/// Without the spaces around it, but for one that is escaped: what is printed must be read as the same.
fn trimmed(text: &str) -> &str {
    let text = text.trim_start_matches(' ');
    let end = text.trim_end_matches(' ');
    if end.ends_with('\\') { text } else { end }
}

/// Splits at unescaped `,` and `;`; an unescaped `+` is refused.
fn parts(text: &str) -> Result<Vec<&str>, IdentityError> {
    let mut found = Vec::new();
    let mut escaped = false;
    let mut broken = Ok(());
    found.extend(text.split(|character: char| {
        let separates = !escaped && matches!(character, ',' | ';');
        if !escaped && character == '+' {
            broken = Err(IdentityError::MultiValued);
        }
        escaped = !escaped && character == '\\';
        separates
    }));
    broken.map(|()| found)
}

/// One `type=value`, with surrounding spaces.
fn read_part(part: &str) -> Result<(String, String), IdentityError> {
    let (attribute, value) = part.split_once('=').ok_or_else(|| IdentityError::Equals { part: part.to_owned() })?;
    let attribute = attribute.trim_matches(' ');
    if !is_attribute_type(attribute) {
        return Err(IdentityError::AttributeType { attribute: attribute.to_owned() });
    }
    let attribute = if attribute == "S" { "ST" } else { attribute };
    let value = read_value(attribute, value)?;
    Ok((attribute.to_owned(), value))
}

/// `descr / numericoid` of RFC 4512.
fn is_attribute_type(text: &str) -> bool {
    let oid = text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    let descr = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    oid || descr
}

/// Undoes the escapes of a value and trims spaces that are not escaped.
fn read_value(attribute: &str, text: &str) -> Result<String, IdentityError> {
    let broken = || IdentityError::Escape { attribute: attribute.to_owned() };
    let text = text.trim_start_matches(' ');
    if text.starts_with('#') {
        return Err(IdentityError::Hex);
    }
    let mut bytes = Vec::with_capacity(text.len());
    // How many bytes are kept whatever spaces follow.
    let mut kept = 0;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let plain = match character {
            '\\' => {
                bytes.push(unescape(&mut rest).ok_or_else(broken)?);
                kept = bytes.len();
                continue;
            }
            '"' | '<' | '>' | '\0' => {
                return Err(IdentityError::Character { attribute: attribute.to_owned(), character });
            }
            other => other,
        };
        bytes.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
        if plain != ' ' {
            kept = bytes.len();
        }
    }
    bytes.truncate(kept);
    String::from_utf8(bytes).map_err(|_| broken())
}

/// What follows a backslash: a special character, or two hex digits.
fn unescape(rest: &mut std::str::Chars<'_>) -> Option<u8> {
    let first = rest.next()?;
    if matches!(first, ' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\') {
        return u8::try_from(first).ok();
    }
    let high = first.to_digit(16)?;
    let low = rest.next()?.to_digit(16)?;
    u8::try_from((high << 4) | low).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEAF: [(&str, &str); 6] = [
        ("C", "DE"),
        ("ST", "Bavaria"),
        ("L", "Harbour"),
        ("O", "Oak, Acorn; Sons"),
        ("OU", "Edge"),
        ("CN", "edge signer"),
    ];

    /// An empty name is a type that policies have no name for.
    fn subject(attributes: &[(&'static str, &str)]) -> Option<SubjectAttributes> {
        let known = |name: &&'static str| Some(*name).filter(|name| !name.is_empty());
        SubjectAttributes::of(attributes.iter().map(|(name, value)| (known(name), Some(*value))))
    }

    // item 53
    #[test]
    fn an_identity_matches_a_subject_that_has_all_its_attributes() {
        let subject = subject(&LEAF).unwrap();
        for (name, text, matches) in [
            ("all", "C=DE,ST=Bavaria,L=Harbour,O=Oak\\, Acorn\\; Sons,OU=Edge,CN=edge signer", true),
            ("part", "C=DE, ST=Bavaria, O=Oak\\, Acorn\\; Sons", true),
            ("order", "CN=edge signer; O=Oak\\, Acorn\\; Sons ;ST=Bavaria;C=DE", true),
            ("alias", "C=DE,S=Bavaria,O=Oak\\, Acorn\\; Sons", true),
            ("hex escapes", "C=\\44\\45,ST=Bavaria,O=Oak\\2c Acorn\\3B Sons", true),
            ("spaces are trimmed", "C= DE ,ST=Bavaria  ,O=Oak\\, Acorn\\; Sons", true),
            ("an escaped space is not", "C=DE\\ ,ST=Bavaria,O=Oak\\, Acorn\\; Sons", false),
            ("a leading one neither", "C=\\ DE,ST=Bavaria,O=Oak\\, Acorn\\; Sons", false),
            ("case of a value", "C=DE,ST=bavaria,O=Oak\\, Acorn\\; Sons", false),
            ("one attribute more", "C=DE,ST=Bavaria,O=Oak\\, Acorn\\; Sons,STREET=Quay 1", false),
            ("type unknown", "C=DE,ST=Bavaria,O=Oak\\, Acorn\\; Sons,E=a@b", false),
            ("prefix of a value", "C=DE,ST=Bavaria,O=Oak\\, Acorn\\; Sons,CN=edge", false),
        ] {
            let identity = Identity::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(identity.is_part_of(&subject), matches, "{name}");
        }
    }

    // item 54, ENV-35, ENV-41
    #[test]
    fn names_that_say_too_little_or_can_be_read_in_two_ways_are_refused() {
        let missing = |attribute| IdentityError::Missing { attribute };
        let duplicate = |attribute: &str| IdentityError::Duplicate { attribute: attribute.to_owned() };
        let escape = |attribute: &str| IdentityError::Escape { attribute: attribute.to_owned() };
        let character = |character| IdentityError::Character { attribute: "O".to_owned(), character };
        for (text, error) in [
            ("ST=B,O=X", missing("C")),
            ("C=DE,O=X", missing("ST")),
            ("C=DE,ST=B", missing("O")),
            ("C=DE,ST=B,O=", missing("O")),
            ("c=DE,ST=B,O=X", missing("C")),
            ("C=DE,ST=B,O=X,O=X", duplicate("O")),
            ("C=DE,ST=B,S=B,O=X", duplicate("ST")),
            ("C=DE+ST=B,O=X", IdentityError::MultiValued),
            ("C=DE,ST=B,O=#0c054163", IdentityError::Hex),
            ("C=DE,ST=B,O= #0c054163", IdentityError::Hex),
            ("C=DE,ST=B,O=X,CN==#", IdentityError::Hex),
            ("C=DE,ST=B,O=X,CN=#04ffffffff", IdentityError::Hex),
            ("C=DE,ST=B,O=X\\", escape("O")),
            ("C=DE,ST=B,O=X\\4", escape("O")),
            ("C=DE,ST=B,O=X\\zz", escape("O")),
            ("C=DE,ST=B,O=\\ff", escape("O")),
            ("C=DE,ST=B,O=\"X\"", character('"')),
            ("C=DE,ST=B,O=a<b", character('<')),
            ("C=DE,ST=B,O=X,", IdentityError::Equals { part: String::new() }),
            ("", IdentityError::Equals { part: String::new() }),
            ("C=DE,ST=B,O=X,=y", IdentityError::AttributeType { attribute: String::new() }),
            ("C=DE,ST=B,O=X,a b=y", IdentityError::AttributeType { attribute: "a b".to_owned() }),
        ] {
            assert_eq!(Identity::parse(text), Err(error), "{text}");
        }
        let long = format!("C=DE,ST=B,O={}", "x".repeat(MAX_NAME_BYTES));
        assert_eq!(Identity::parse(&long), Err(IdentityError::Long { size: MAX_NAME_BYTES + 12 }));
        let bomb = format!("C=DE,ST=B,O=#{}", "04".repeat(1 << 20));
        assert!(matches!(Identity::parse(&bomb), Err(IdentityError::Long { .. })));
    }

    // item 55, ENV-36
    #[test]
    fn a_subject_that_could_match_in_two_ways_matches_nothing() {
        let with = |extra: &[(&'static str, &'static str)]| subject(&[LEAF.as_slice(), extra].concat());
        for (name, extra, comparable) in [
            ("as it is", [].as_slice(), true),
            ("two OUs", &[("OU", "Core")], false),
            ("the same OU twice", &[("OU", "Edge")], false),
            ("two CNs", &[("CN", "other")], true),
            ("email", &[("", "a@b")], false),
            ("UID", &[("", "a")], false),
            ("=# in a value", &[("CN", "Bad=#CN")], false),
        ] {
            assert_eq!(with(extra).is_some(), comparable, "{name}");
        }
        for missing in ["C", "ST", "O"] {
            let rest: Vec<_> = LEAF.into_iter().filter(|(name, _)| *name != missing).collect();
            assert_eq!(subject(&rest), None, "{missing}");
        }
        assert_eq!(SubjectAttributes::of([(Some("CN"), None)].into_iter()), None, "not text");
        let last = with(&[("CN", "last")]).unwrap();
        let identity = |cn| Identity::parse(&format!("C=DE,ST=Bavaria,O=Oak\\, Acorn\\; Sons,CN={cn}")).unwrap();
        assert!(identity("last").is_part_of(&last) && !identity("edge signer").is_part_of(&last));
    }

    #[test]
    fn overlap_is_a_subset_either_way() {
        let parse = |text| Identity::parse(text).unwrap();
        let wide = parse("C=DE,ST=B,O=X");
        let narrow = parse("CN=a,C=DE,ST=B,O=X");
        assert!(wide.overlaps(&narrow) && narrow.overlaps(&wide) && wide.overlaps(&wide));
        assert!(!narrow.overlaps(&parse("CN=b,C=DE,ST=B,O=X")));
    }

    // Item 53
    #[test]
    fn what_is_printed_is_read_as_the_same() {
        for text in
            ["  C=DE,ST=B,O=X  ", "C=DE,ST=B,O=X\\ ", "C=DE,ST=B,O=X\\   ", "C=DE,ST=B,O=X\\\\ ", "C=DE,ST=B,O=X\n"]
        {
            let identity = Identity::parse(text).unwrap();
            let again = Identity::parse(&identity.to_string()).unwrap();
            assert_eq!(identity.attributes, again.attributes, "{text:?}");
            assert_eq!(again.to_string(), identity.to_string(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "[ -~]{0,80}|\\PC{0,40}|C=DE,ST=B,O=[ -~]{0,20}") {
            let _ = Identity::parse(&text);
        }

        #[test]
        fn an_escaped_value_is_read_as_it_was(value in "[ -~]{1,20}") {
            let escaped = value.bytes().fold(String::new(), |text, byte| format!("{text}\\{byte:02x}"));
            let identity = Identity::parse(&format!("C=DE,ST=B,O={escaped}")).unwrap();
            prop_assert_eq!(identity.attributes.get("O"), Some(&value));
        }
    }
}
