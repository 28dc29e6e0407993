//! Points in time as documents and queries write them.

use tantivy::DateTime;
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, UtcOffset};

/// Reads a date and time of RFC 3339, or a bare date `YYYY-MM-DD`, which is its first moment in
/// UTC; none if it is neither, or outside the years 1677 to 2262 that 64 bits of nanoseconds hold.
pub fn parse(text: &str) -> Option<DateTime> {
    let moment = match bare(text) {
        Some(date) => date.midnight().assume_utc(),
        None => OffsetDateTime::parse(text, &Rfc3339).ok()?,
    };
    DateTime::try_from_utc(moment.checked_to_offset(UtcOffset::UTC)?)
}

/// The shortest and the longest text that is tried as a date in an undeclared field.
const LENGTHS: std::ops::RangeInclusive<usize> = 10..=35;

/// Reads the string of an undeclared field, where it can be told at a glance that it may be a date.
pub(crate) fn of_undeclared(text: &str) -> Option<DateTime> {
    let bytes = text.as_bytes();
    let looks_like_one = LENGTHS.contains(&bytes.len())
        && bytes.get(4) == Some(&b'-')
        && bytes.get(7) == Some(&b'-')
        && bytes.first().is_some_and(u8::is_ascii_digit);
    if looks_like_one { parse(text) } else { None }
}

fn bare(text: &str) -> Option<Date> {
    let number = |range: std::ops::Range<usize>| -> Option<u16> {
        let digits = text.get(range)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok()
    };
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let month = Month::try_from(u8::try_from(number(5..7)?).ok()?).ok()?;
    let day = u8::try_from(number(8..10)?).ok()?;
    Date::from_calendar_date(i32::from(number(0..4)?), month, day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected_seconds: Option<i64>) {
        let seconds = parse(text).map(DateTime::into_timestamp_secs);
        assert_eq!(seconds, expected_seconds, "{text}");
    }

    #[test]
    fn rfc_3339_and_bare_dates_are_read() {
        check("1970-01-01T00:00:00Z", Some(0));
        check("1970-01-01T01:00:00+01:00", Some(0));
        check("1970-01-01t00:00:01.5z", Some(1));
        check("1970-01-02", Some(86_400));
        check("2024-02-29", Some(1_709_164_800));
    }

    #[test]
    fn what_is_not_a_date_is_none() {
        for text in [
            "",
            "yesterday",
            "2023-02-29",
            "2024-13-01",
            "2024-1-1",
            "+024-01-01",
            "2024-01-01T00:00:00",
            "9999-12-31T23:59:59Z",
            "0001-01-01",
            "0000-01-01T00:00:00+23:59",
            "２０２４",
        ] {
            check(text, None);
            assert_eq!(of_undeclared(text), None);
        }
    }

    proptest! {
        #[test]
        fn the_glance_refuses_no_date(text in "[0-9]{4}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9]))?") {
            prop_assert_eq!(of_undeclared(&text), parse(&text));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC*") {
            prop_assert_eq!(parse(&text).is_some(), parse(&text).is_some());
        }
    }
}
