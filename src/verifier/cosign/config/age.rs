//! `maxAge`.

use std::time::Duration;

use serde::{Deserializer, de::Error as _};

use crate::duration;

/// Longest age: past ten years a typing error is likelier than a wish.
const MAX_AGE: Duration = Duration::from_hours(24 * 3653);

/// For `#[serde(deserialize_with = …)]`: a duration of at least a second.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let age = duration::deserialize(deserializer)?;
    if age < Duration::from_secs(1) {
        return Err(D::Error::custom("must be at least 1s; without `maxAge` any age passes"));
    }
    if age > MAX_AGE {
        return Err(D::Error::custom(format_args!("must be at most {}h", MAX_AGE.as_secs() / 3600)));
    }
    Ok(Some(age))
}
