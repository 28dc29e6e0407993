//! The position of a document in its own history, by a field of the document.

use aquifer_indexer::document::date;
use aquifer_indexer::order::{Order, Position};
use aquifer_indexer::quote::quoted;
use aquifer_indexer::{Error, Result};

use crate::object::Object;

/// Digits after the point of a number: a Unix time in nanoseconds has so many.
const FRACTION_DIGITS: usize = 9;

/// Digits before the point of a number: more than any counter or time in nanoseconds has.
const WHOLE_DIGITS: usize = 20;

/// What is added, so that positions are never negative: more than any number with [`WHOLE_DIGITS`] and
/// [`FRACTION_DIGITS`].
const OFFSET: i128 = 10_i128.pow(30);

/// The order that the field `field` of an object gives it.
pub(super) fn order_of(object: &Object<'_>, field: &str) -> Result<Order> {
    // Of a field that comes twice the last counts, as it does for the document.
    let mut fields = object.fields.iter().rev();
    let Some((_, text)) = fields.find(|(name, _)| name == field) else {
        return Err(Error::invalid(format!(
            "the field {}, which AQUIFER_EVENT_VERSION names, is missing: every record needs it",
            quoted(field)
        )));
    };
    let text = text.get();
    let units = number(text).or_else(|| moment(text)).ok_or_else(|| {
        Error::invalid(format!(
            "the field {}, which AQUIFER_EVENT_VERSION names, is {}: it needs a number with up to {WHOLE_DIGITS} digits before \
             and {FRACTION_DIGITS} after the point, or a date such as \"2026-11-27T05:00:00Z\"",
            quoted(field),
            quoted(text)
        ))
    })?;
    let position = Position::decimal(&(units + OFFSET).to_string())?;
    Order::new(&format!("field:{field}"), position)
}

/// The order of a document in `text` by its field.
pub(super) fn order_of_document(text: &str, field: &str) -> Result<Order> {
    let object = Object::read(text)
        .map_err(|error| Error::invalid(format!("the document is no JSON object: {error}")))?;
    order_of(&object, field)
}

/// A number as JSON writes it, without an exponent, in billionths.
fn number(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || whole.len() > WHOLE_DIGITS || fraction.len() > FRACTION_DIGITS {
        return None;
    }
    let digits = format!("{whole}{fraction:0<FRACTION_DIGITS$}");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<i128>().ok().map(|units| sign * units)
}

/// A date in a JSON string, in billionths of a second since 1970.
fn moment(text: &str) -> Option<i128> {
    let text: String = serde_json::from_str(text).ok()?;
    let moment = date::parse(&text)?;
    Some(i128::from(moment.into_timestamp_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(value: &str) -> Position {
        let text = format!(r#"{{"v":{value}}}"#);
        order_of_document(&text, "v").unwrap().position().clone()
    }

    #[test]
    fn numbers_and_dates_keep_their_order() {
        let ascending = [
            "-1.5",
            "-1",
            "0",
            "0.000000001",
            "2",
            "10",
            "\"1970-01-01T00:00:11Z\"",
            "1700000000",
            "\"2026-11-27\"",
            "18446744073709551615",
        ];
        for pair in ascending.windows(2) {
            assert!(position(pair[0]) < position(pair[1]), "{pair:?}");
        }
        assert_eq!(position("\"1970-01-01T00:00:10.5Z\""), position("10.50"));
        assert_eq!(position("-0"), position("0"));
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for value in [
            "null",
            "true",
            "1e3",
            "\"soon\"",
            "[1]",
            "0.0000000001",
            "123456789012345678901",
        ] {
            let text = format!(r#"{{"v":{value}}}"#);
            let error = order_of_document(&text, "v").unwrap_err().to_string();
            assert!(error.contains("AQUIFER_EVENT_VERSION"), "{value}: {error}");
        }
        let error = order_of_document("{}", "v").unwrap_err().to_string();
        assert!(error.contains("is missing"), "{error}");
    }
}
