//! Registry scopes: `*`, or the full `registry/path` of one repository.

/// What a scope's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScopeText {
    /// `*`.
    Any,
    /// `registry/path`.
    Exact,
    /// Neither.
    Malformed,
    /// On Docker Hub, and not written in full: it would never match.
    Short,
    /// A `*` that does not stand alone.
    Wildcard,
}

/// Reads a scope.
///
/// Rule: trust policy specification, "Registry scopes constraints"; the grammar is that of `distribution/reference`.
pub(super) fn kind(text: &str) -> ScopeText {
    if text == "*" {
        return ScopeText::Any;
    }
    if text.contains('*') {
        return ScopeText::Wildcard;
    }
    match text.split_once('/') {
        // Docker Hub has no repository without a namespace: its official images live under `library/`, and its one
        // canonical name is `docker.io` (ENV-34).
        Some((domain, path)) if is_domain(domain) && path.split('/').all(is_component) => match domain {
            "docker.io" if !path.contains('/') => ScopeText::Short,
            "index.docker.io" => ScopeText::Short,
            _ => ScopeText::Exact,
        },
        Some(_) | None => ScopeText::Malformed,
    }
}

fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(label) && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Runs of lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bounded = text.bytes().next().is_some_and(alnum) && text.bytes().next_back().is_some_and(alnum);
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    bounded && separators.into_iter().all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The examples of notation.md §2.4; rows 27 and 28; ENV-34
    #[test]
    fn a_scope_is_a_whole_repository_or_the_wildcard() {
        use ScopeText::{Any, Exact, Malformed, Short, Wildcard};
        for (text, expected) in [
            ("*", Any),
            ("example.com/rep", Exact),
            ("example.com:8080/rep/rep2", Exact),
            ("10.10.10.10:8080/rep/rep2", Exact),
            ("domain/rep", Exact),
            ("a.b/c__d/e---f/g.h/i_j", Exact),
            ("docker.io/library/nginx", Exact),
            ("docker.io/nginx", Short),
            ("index.docker.io/library/nginx", Short),
            ("", Malformed),
            ("1:1", Malformed),
            ("a,b", Malformed),
            ("abcd", Malformed),
            ("1111", Malformed),
            ("1,2", Malformed),
            ("example.com", Malformed),
            ("example.com/", Malformed),
            ("/rep", Malformed),
            ("example.com//rep", Malformed),
            ("example.com/rep:tag", Malformed),
            ("rep/rep2:latest", Malformed),
            ("example.com:/rep", Malformed),
            ("example.com/rep@sha256:00", Malformed),
            ("https://example.com/rep", Malformed),
            ("example.com/Rep", Malformed),
            ("example.com/a..b", Malformed),
            ("example.com/a___b", Malformed),
            ("example.com/a._b", Malformed),
            ("example.com/-a", Malformed),
            ("-a.com/a", Malformed),
            ("example.com/rep\n", Malformed),
            ("example.com/*", Wildcard),
            ("*/", Wildcard),
            ("example*/", Wildcard),
            ("ex*test", Wildcard),
            ("**", Wildcard),
        ] {
            assert_eq!(kind(text), expected, "{text:?}");
        }
    }
}
