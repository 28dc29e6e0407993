//! Values as people write them: numbers, truth values, and dates at any precision.

use tantivy::DateTime;
use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// A stretch of time: `2024` is a year of it, `2024-05-01T00:00:00Z` an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    /// Its first instant.
    pub(super) first: DateTime,
    /// Its last instant.
    pub(super) last: DateTime,
}

/// Reads a date: a year, a month, a day, a time to the minute or second (taken for UTC), or a full
/// RFC 3339 date.
pub(super) fn span(text: &str) -> Option<Span> {
    if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
        let instant = saturating(instant);
        return Some(Span {
            first: instant,
            last: instant,
        });
    }
    let (day, time) = match text.split_once(['T', 't', ' ']) {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let mut parts = day.splitn(3, '-');
    let year = parts.next().filter(|year| year.len() == 4)?;
    let year = digits(year)?;
    let month = parts
        .next()
        .map(digits)
        .map_or(Some(None), |m| m.map(Some))?;
    let day = parts
        .next()
        .map(digits)
        .map_or(Some(None), |d| d.map(Some))?;
    let first_month = Month::try_from(u8::try_from(month.unwrap_or(1)).ok()?).ok()?;
    let first_day = u8::try_from(day.unwrap_or(1)).ok()?;
    let year = i32::try_from(year).ok()?;
    let first = Date::from_calendar_date(year, first_month, first_day).ok()?;
    let (first, next) = match (month, day, time) {
        (None, None, None) => (
            first.midnight(),
            Date::from_calendar_date(year + 1, Month::January, 1)
                .ok()
                .map(Date::midnight),
        ),
        (Some(_), None, None) => {
            let year = year + i32::from(first_month == Month::December);
            (
                first.midnight(),
                Date::from_calendar_date(year, first_month.next(), 1)
                    .ok()
                    .map(Date::midnight),
            )
        }
        (_, Some(_), None) => (first.midnight(), first.next_day().map(Date::midnight)),
        (_, Some(_), Some(time)) => {
            let (time, length) = time_of_day(time)?;
            let first = PrimitiveDateTime::new(first, time);
            (first, first.checked_add(length))
        }
        (_, None, Some(_)) => return None,
    };
    let last = next.map_or(DateTime::MAX, |next| {
        saturating((next - Duration::nanoseconds(1)).assume_utc())
    });
    Some(Span {
        first: saturating(first.assume_utc()),
        last,
    })
}

/// `10:30` or `10:30:05`, and how long that lasts.
fn time_of_day(text: &str) -> Option<(Time, Duration)> {
    let parts = text
        .split(':')
        .map(|part| u8::try_from(digits(part)?).ok())
        .collect::<Option<Vec<u8>>>()?;
    match *parts.as_slice() {
        [hour, minute] => Some((Time::from_hms(hour, minute, 0).ok()?, Duration::MINUTE)),
        [hour, minute, second] => {
            Some((Time::from_hms(hour, minute, second).ok()?, Duration::SECOND))
        }
        _ => None,
    }
}

fn digits(text: &str) -> Option<u32> {
    let only_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| text.parse().ok()).flatten()
}

/// The nearest instant that the index can hold (years 1677 to 2262).
fn saturating(instant: OffsetDateTime) -> DateTime {
    DateTime::try_from_utc(instant.to_offset(time::UtcOffset::UTC)).unwrap_or(
        if instant.year() < 1970 {
            DateTime::MIN
        } else {
            DateTime::MAX
        },
    )
}

/// A number, whole where it can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// A whole number.
    I64(i64),
    /// A whole number beyond `i64`.
    U64(u64),
    /// Any other.
    F64(f64),
}

/// Reads a number, with `5.0` the same as `5`.
pub(super) fn number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse() {
        return Some(Number::I64(whole));
    }
    if let Ok(whole) = text.parse() {
        return Some(Number::U64(whole));
    }
    let number: f64 = text
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())?;
    // 2^53: up to there, every whole f64 is exact.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be whole and small"
    )]
    if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
        return Some(Number::I64(number as i64));
    }
    Some(Number::F64(number))
}

impl Number {
    /// As a floating-point number.
    #[expect(
        clippy::cast_precision_loss,
        reason = "what comparing with floats means"
    )]
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::I64(number) => number as f64,
            Self::U64(number) => number as f64,
            Self::F64(number) => number,
        }
    }
}

/// Reads `true` or `false`.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, first: &str, last: &str) {
        let span = span(text).unwrap_or_else(|| panic!("{text} is a date"));
        let format = |date: DateTime| date.into_utc().format(&Rfc3339).unwrap();
        assert_eq!(
            (format(span.first), format(span.last)),
            (first.into(), last.into()),
            "{text}"
        );
    }

    #[test]
    fn dates_are_as_long_as_they_are_precise() {
        check(
            "2024",
            "2024-01-01T00:00:00Z",
            "2024-12-31T23:59:59.999999999Z",
        );
        check(
            "2024-02",
            "2024-02-01T00:00:00Z",
            "2024-02-29T23:59:59.999999999Z",
        );
        check(
            "2024-12",
            "2024-12-01T00:00:00Z",
            "2024-12-31T23:59:59.999999999Z",
        );
        check(
            "2024-02-29",
            "2024-02-29T00:00:00Z",
            "2024-02-29T23:59:59.999999999Z",
        );
        check(
            "2024-02-29T10:30",
            "2024-02-29T10:30:00Z",
            "2024-02-29T10:30:59.999999999Z",
        );
        check(
            "2024-02-29T10:30:05",
            "2024-02-29T10:30:05Z",
            "2024-02-29T10:30:05.999999999Z",
        );
        check(
            "2024-02-29T10:30:05+09:00",
            "2024-02-29T01:30:05Z",
            "2024-02-29T01:30:05Z",
        );
    }

    #[test]
    fn dates_beyond_what_fits_are_the_nearest_that_do() {
        let year_one = span("0001").unwrap();
        assert_eq!(year_one.first, DateTime::MIN);
        assert_eq!(span("9999").unwrap().last, DateTime::MAX);
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "24",
            "2024-13",
            "2023-02-29",
            "2024-1-1T",
            "2024T10:00",
            "soon",
            "20240",
        ] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_whole_where_they_can_be() {
        assert_eq!(number("5"), Some(Number::I64(5)));
        assert_eq!(number("5.0"), Some(Number::I64(5)));
        assert_eq!(number("-5e2"), Some(Number::I64(-500)));
        assert_eq!(number("18446744073709551615"), Some(Number::U64(u64::MAX)));
        assert_eq!(number("0.5"), Some(Number::F64(0.5)));
        for text in ["", "five", "NaN", "inf", "1,5"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
