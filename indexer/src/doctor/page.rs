//! The pages that both sides write, and how they are recognised.

use crate::mount::COHERENT_PAGE;

/// A page that repeats `text`, so that a page of two halves is noticed.
pub(super) fn of(text: &str) -> Vec<u8> {
    let line = format!("{text}\n");
    line.bytes().cycle().take(COHERENT_PAGE).collect()
}

/// What a page holds: the text that it repeats, or a description of something else.
pub(super) fn text(page: &[u8]) -> String {
    let first = page.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(first).into_owned();
    if of(&text) == page {
        return text;
    }
    match page.len() {
        COHERENT_PAGE => "a page of several texts".to_owned(),
        bytes => format!("{bytes} bytes instead of a page"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_whole_is_noticed() {
        let mut page = of("17");
        assert_eq!(text(&page), "17");
        assert_eq!(text(&page[..100]), "100 bytes instead of a page");
        let half = page.len() / 2;
        page[half..].copy_from_slice(&of("18")[half..]);
        assert_eq!(text(&page), "a page of several texts");
    }
}
