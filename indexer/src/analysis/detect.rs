//! Telling the language of a text that does not say.

use super::Language;

/// The language of `text`, where that is beyond reasonable doubt.
pub fn detect(text: &str) -> Option<Language> {
    let info = whatlang::detect(text)?;
    if !info.is_reliable() {
        return None;
    }
    info.lang().code().parse().ok()
}
