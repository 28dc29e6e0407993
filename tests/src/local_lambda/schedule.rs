//! What the scheduler sends.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// What a schedule hands to its function: the input that it was given, or an event that only tells the time.
///
/// # Errors
/// The input is no JSON.
pub(super) fn event(input: &str) -> Result<String, serde_json::Error> {
    if !input.trim().is_empty() {
        let _is_json: Value = serde_json::from_str(input)?;
        return Ok(input.to_owned());
    }
    let event = json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "123456789012",
        "time": OffsetDateTime::now_utc().format(&Rfc3339).unwrap(),
        "region": "us-east-1",
        "resources": ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/maintenance"],
        // Text, unlike that of other events.
        "detail": "{}",
    });
    Ok(event.to_string())
}
