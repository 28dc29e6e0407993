//! Lengths of time on the command line.

use std::time::Duration;

use anyhow::{Context, Result, bail};

/// `250ms`, `30s`, `5m`, `1h`, or plain seconds.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit_ms = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => bail!("{other:?} is no unit of time: use ms, s, m or h"),
    };
    let number: u32 = digits
        .parse()
        .context("write a number and a unit, such as 30s")?;
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
