//! What the scheduler sends.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// The event of a schedule; `detail` is what the schedule was given to say, or nothing.
///
/// # Errors
/// It is no JSON.
pub(super) fn event(detail: &str) -> Result<String, serde_json::Error> {
    let detail: Value = if detail.trim().is_empty() {
        json!({})
    } else {
        serde_json::from_str(detail)?
    };
    let event = json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "123456789012",
        "time": OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        "region": "us-east-1",
        "resources": ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/maintenance"],
        // The scheduler hands on as text what it was given.
        "detail": detail.to_string(),
    });
    Ok(event.to_string())
}
