//! Wall-clock time for people.

use jiff::Timestamp;

/// An instant in UTC, to the second: the same text whoever reads it. `us` are microseconds since the Unix
/// epoch.
pub fn utc(us: u64) -> String {
    i64::try_from(us).ok().and_then(|us| Timestamp::from_microsecond(us).ok()).map_or_else(
        || format!("{us} µs after 1970"),
        |instant| instant.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn instants_are_utc_and_never_panic() {
        assert_eq!(utc(951_782_400_000_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(u64::MAX), "18446744073709551615 µs after 1970");
    }
}
