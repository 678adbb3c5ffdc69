//! `Link: <…>; rel="next"`: where the next page of a list is.
//!
//! Rule: RFC 8288 §3; distribution specification v1.1, "Listing Referrers".

use url::Url;

const MAX_HEADER_BYTES: usize = 8 << 10;

/// The next page's URL, relative to `base`; not yet checked against any rule. A header that cannot be read is an error
/// and never the end of the list.
pub(super) fn next<'a>(values: impl Iterator<Item = &'a [u8]>, base: &Url) -> Result<Option<Url>, &'static str> {
    let mut total = 0_usize;
    let mut next: Option<Url> = None;
    for value in values {
        total = total.saturating_add(value.len());
        if total > MAX_HEADER_BYTES {
            return Err("its link header is too long");
        }
        let mut rest = std::str::from_utf8(value).map_err(|_| "its link header is no text")?.trim();
        while !rest.is_empty() {
            let (target, relation, after) = link(rest).ok_or("its link header is malformed")?;
            rest = after;
            if relation.is_some_and(|relation| relation.split(' ').any(|word| word.eq_ignore_ascii_case("next"))) {
                let url = base.join(&target).map_err(|_| "its link to the next page is no URL")?;
                if next.replace(url.clone()).is_some_and(|earlier| earlier != url) {
                    return Err("it links two next pages");
                }
            }
        }
    }
    Ok(next)
}

/// Target, first `rel`, and what follows the comma.
fn link(text: &str) -> Option<(String, Option<String>, &str)> {
    let (target, mut rest) = text.strip_prefix('<')?.split_once('>')?;
    let mut relation = None;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some((target.to_owned(), relation, rest));
        }
        if let Some(after) = rest.strip_prefix(',') {
            return Some((target.to_owned(), relation, after.trim_start()));
        }
        let parameter = rest.strip_prefix(';')?.trim_start();
        let end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
        let (name, after) = parameter.split_at_checked(end)?;
        let mut value = String::new();
        rest = after;
        if let Some(after) = after.strip_prefix('=') {
            (value, rest) = parameter_value(after.trim_start())?;
        }
        if name.trim().eq_ignore_ascii_case("rel") && relation.is_none() {
            relation = Some(value);
        }
    }
}

fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', ' ']).unwrap_or(text.len());
        return text.split_at_checked(end).map(|(value, rest)| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Result<Option<String>, &'static str> {
        let base = Url::parse("https://a.test/v2/x/referrers/d?n=1").unwrap();
        next(std::iter::once(value.as_bytes()), &base).map(|url| url.map(String::from))
    }

    // REG-20, REG-23: the place is only read here; whether it is allowed is the walk's question.
    #[test]
    fn the_next_page_is_found() {
        for (value, expected) in [
            ("</v2/x/referrers/d?last=2>; rel=\"next\"", Some("https://a.test/v2/x/referrers/d?last=2")),
            ("<?last=2>; rel=next", Some("https://a.test/v2/x/referrers/d?last=2")),
            (
                "<a>; rel=\"prev\", <?l=3>; title=\"a,b;c\"; rel=\"last NEXT\"",
                Some("https://a.test/v2/x/referrers/d?l=3"),
            ),
            ("<//evil.test/x>; rel=next", Some("https://evil.test/x")),
            ("<file:///etc/passwd>; rel=next", Some("file:///etc/passwd")),
            ("<a>; rel=\"prev\"", None),
            ("<a>", None),
            ("<a>; rel=prev; rel=next", None),
            ("", None),
        ] {
            assert_eq!(of(value), Ok(expected.map(str::to_owned)), "{value}");
        }
    }

    #[test]
    fn a_malformed_header_is_not_the_end_of_the_list() {
        let long = format!("<{}>; rel=next", "a".repeat(MAX_HEADER_BYTES));
        for value in [
            "x",
            "<a",
            "<a> rel=next",
            "<a>; rel=\"next",
            "<a>; rel=next, x",
            "<a>;rel=next,<b>;rel=next",
            "<http://[>; rel=next",
            &long,
        ] {
            assert!(of(value).is_err(), "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = of(&text);
        }
    }
}
