//! How often the caches have what is asked of them. Labels are closed sets.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Meter},
};

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    /// A manifest's or a blob's bytes.
    Content,
    /// What refers to a subject.
    Listing,
    /// What a reference by digest stands for.
    Resolution,
}

impl Sought {
    const ALL: [Self; 3] = [Self::Content, Self::Listing, Self::Resolution];

    const fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Listing => "listing",
            Self::Resolution => "resolution",
        }
    }
}

/// Counts; nothing, by default.
#[derive(Debug, Default)]
pub(super) struct Metrics(Option<Counter<u64>>);

impl Metrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let lookups = meter
            .u64_counter("countersign_store_cache_lookups")
            .with_description("Looks into the store's caches, by what was sought and whether it was there")
            .build();
        for sought in Sought::ALL {
            for found in [false, true] {
                lookups.add(0, &labels(sought, found));
            }
        }
        Self(Some(lookups))
    }

    /// Passes on what was found, counted.
    pub(super) fn looked<T>(&self, sought: Sought, found: Option<T>) -> Option<T> {
        if let Some(lookups) = &self.0 {
            lookups.add(1, &labels(sought, found.is_some()));
        }
        found
    }
}

fn labels(sought: Sought, found: bool) -> [KeyValue; 2] {
    [KeyValue::new("what", sought.name()), KeyValue::new("outcome", if found { "hit" } else { "miss" })]
}
