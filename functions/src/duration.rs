//! Lengths of time as people write them, on a command line or in an environment.

use std::time::Duration;

/// Reads `250ms`, `30s`, `5m`, `1h`, or plain seconds.
///
/// # Errors
/// What is wrong with the text, and what to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit_ms = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => return Err(format!("{other:?} is no unit of time: use ms, s, m or h")),
    };
    let number: u32 = digits
        .parse()
        .map_err(|error| format!("write a number and a unit, such as 30s: {error}"))?;
    Ok(Duration::from_millis(u64::from(number) * unit_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in [("0", 0), ("250ms", 250), ("30", 30_000), ("5m", 300_000)] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(milliseconds),
                "{text}"
            );
        }
        for wrong in ["", "s", "1d", "-1s", "1.5s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
