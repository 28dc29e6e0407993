//! The language of a document that does not name one.

use crate::analysis::{self, Language};
use crate::document::{Document, Scalar};
use crate::mapping::{IndexSchema, SlotKind};

/// The most text that is looked at to tell its language, in bytes.
const DETECTED_BYTES: usize = 512;

/// The language of the beginning of the texts of `document`, title first.
pub(super) fn detect(document: &Document, schema: &IndexSchema) -> Option<Language> {
    let mut sample = String::new();
    for (slot, value) in document.declared() {
        let is_text = matches!(
            schema.slot(slot).map(|slot| slot.kind),
            Some(SlotKind::Text(_))
        );
        if let (true, Scalar::Str(text)) = (is_text, value) {
            let room = DETECTED_BYTES.saturating_sub(sample.len());
            let end = text.floor_char_boundary(room);
            sample.push_str(text.get(..end).unwrap_or_default());
            sample.push('\n');
        }
    }
    analysis::detect(&sample)
}
