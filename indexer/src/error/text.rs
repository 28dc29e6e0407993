//! Errors and their causes in words.

use std::error::Error as StdError;

use crate::quote::shortened;

/// `text` followed by a cause and the causes of that, each that the text does not say yet: some errors repeat their
/// causes, and some do not.
pub fn joined(mut text: String, cause: Option<&(dyn StdError + 'static)>) -> String {
    let mut next = cause;
    while let Some(error) = next {
        // A parser repeats what it was given.
        let words = error.to_string();
        let words = shortened(words);
        if !text.ends_with(&*words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = error.source();
    }
    text
}
