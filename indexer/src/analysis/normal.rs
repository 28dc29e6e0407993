//! A text in Unicode's compatibility form (NFKC), and the way back to the text as it was given.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible};
use unicode_normalization::{IsNormalized, is_nfkc_quick};

/// Room for the normal form of one text after the other.
#[derive(Debug, Default)]
pub(super) struct Normal {
    text: String,
    pieces: Vec<Piece>,
}

/// A stretch of the normal form, up to the next piece.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where it begins in the normal form.
    normal: usize,
    /// Where it begins in the original.
    original: usize,
    /// Whether it is the same in both; otherwise it stands for its original as a whole.
    verbatim: bool,
}

/// A text in its normal form.
#[derive(Debug)]
pub(super) struct Normalised<'a> {
    /// The normal form.
    pub(super) text: &'a str,
    /// None where the text was in its normal form already.
    pieces: &'a [Piece],
    original_length: usize,
    /// How many pieces begin at or before the last place asked for: places come in rising order.
    passed: usize,
}

impl Normal {
    /// The normal form of `text`: itself, without copying, if that is what it is in.
    pub(super) fn of<'a>(&'a mut self, text: &'a str) -> Normalised<'a> {
        self.text.clear();
        self.pieces.clear();
        if is_plain_text(text) {
            return Normalised {
                text,
                pieces: &[],
                original_length: text.len(),
                passed: 0,
            };
        }
        self.normalise(text);
        Normalised {
            text: &self.text,
            pieces: &self.pieces,
            original_length: text.len(),
            passed: 0,
        }
    }

    /// Copies what is in its normal form and replaces the clusters that are not.
    ///
    /// A cluster begins with a character that never composes with the one before it, and goes up
    /// to the next such one; the normal form of a text is those of its clusters, one after the
    /// other.
    fn normalise(&mut self, text: &str) {
        self.text.reserve(text.len());
        let mut rest = text.char_indices().peekable();
        while let Some((start, first)) = rest.next() {
            let mut alone = is_plain(first) || is_stable(first);
            let mut end = start + first.len_utf8();
            while let Some((at, next)) = rest.next_if(|&(_, next)| !begins_cluster(next)) {
                alone = false;
                end = at + next.len_utf8();
            }
            let Some(cluster) = text.get(start..end) else {
                continue;
            };
            self.piece(start, alone);
            if alone {
                self.text.push_str(cluster);
            } else {
                self.text.extend(cluster.nfkc());
            }
        }
    }

    /// Begins a piece, unless it would only lengthen a verbatim one.
    fn piece(&mut self, original: usize, verbatim: bool) {
        if verbatim && self.pieces.last().is_some_and(|piece| piece.verbatim) {
            return;
        }
        let normal = self.text.len();
        self.pieces.push(Piece {
            normal,
            original,
            verbatim,
        });
    }
}

impl Normalised<'_> {
    /// Where in the original the stretch `start..end` of the normal form lies. `start` must not be
    /// less than in the call before.
    pub(super) fn original(&mut self, start: usize, end: usize) -> (usize, usize) {
        if self.pieces.is_empty() {
            return (start, end);
        }
        self.passed += self.count_beginning(self.passed, start);
        let last = self.passed + self.count_beginning(self.passed, end.saturating_sub(1));
        let from = self
            .piece_at(self.passed)
            .map_or(start, |piece| match piece.verbatim {
                true => piece.original + (start - piece.normal),
                false => piece.original,
            });
        let to = self
            .piece_at(last)
            .map_or(end, |piece| match piece.verbatim {
                true => piece.original + (end - piece.normal),
                false => self
                    .pieces
                    .get(last)
                    .map_or(self.original_length, |next| next.original),
            });
        (from, to)
    }

    /// How many pieces behind the first `passed` begin at or before `place`.
    fn count_beginning(&self, passed: usize, place: usize) -> usize {
        let ahead = self.pieces.get(passed..).unwrap_or_default();
        ahead
            .iter()
            .take_while(|piece| piece.normal <= place)
            .count()
    }

    /// The last of the first `passed` pieces.
    fn piece_at(&self, passed: usize) -> Option<&Piece> {
        self.pieces.get(passed.checked_sub(1)?)
    }
}

fn is_plain_text(text: &str) -> bool {
    text.is_ascii() || text.chars().all(|c| is_plain(c) || is_stable(c))
}

/// Whether `c` is its own normal form and never changes what stands before it, for the common
/// characters of which that can be told by a comparison.
fn is_plain(c: char) -> bool {
    match c {
        '\0'..='\u{9F}' => true,
        '\u{A0}'..='\u{BF}' => !matches!(
            c,
            '\u{A0}' | '¨' | 'ª' | '¯' | '²'..='µ' | '¸'..='º' | '¼'..='¾'
        ),
        '\u{C0}'..='\u{17E}' => !matches!(c, 'Ĳ' | 'ĳ' | 'Ŀ' | 'ŀ' | 'ŉ'),
        'Α'..='Ρ' | 'Σ'..='ώ' | 'Ѐ'..='ҁ' => true,
        '‒'..='―' | '‘'..='•' => true,
        '、'..='】' | 'ぁ'..='ゖ' | 'ァ'..='ヾ' => true,
        '\u{3400}'..='\u{9FFF}' | '가'..='힣' => true,
        _ => false,
    }
}

/// As [`is_plain`], by the tables.
fn is_stable(c: char) -> bool {
    canonical_combining_class(c) == 0 && is_nfkc_quick(std::iter::once(c)) == IsNormalized::Yes
}

/// Whether the normal form of `c` never composes with what stands before it.
fn begins_cluster(c: char) -> bool {
    if is_plain(c) || is_stable(c) {
        return true;
    }
    let mut first = None;
    decompose_compatible(c, |part| {
        first.get_or_insert(part);
    });
    first.is_some_and(|first| first != c && is_stable(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_told_by_comparison_agrees_with_the_tables() {
        for c in '\0'..=char::MAX {
            assert!(!is_plain(c) || is_stable(c), "{c:?}");
        }
    }

    #[track_caller]
    fn check(text: &str, part: &str, expected: &str) {
        let mut normal = Normal::default();
        let mut normalised = normal.of(text);
        let start = normalised.text.find(part).unwrap();
        let (from, to) = normalised.original(start, start + part.len());
        assert_eq!(&text[from..to], expected);
    }

    #[test]
    fn the_way_back_leads_to_what_a_part_was_made_of() {
        check("plain text", "text", "text");
        check("a ＦＵＬＬ width", "FULL", "ＦＵＬＬ");
        check("a ＦＵＬＬ width", "width", "width");
        check("the ﬁre", "fire", "ﬁre");
        check("株㍿株", "式会", "㍿");
        check("ｶﾞｷﾞ", "ギ", "ｷﾞ");
        check("cafe\u{301} au lait", "café", "cafe\u{301}");
        check("cafe\u{301} au lait", "au", "au");
        check("각 하나", "하나", "하나");
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{0,40}",
            "[a-cé\u{301}\u{323}ﬁＡ１ｶﾞﾟか゛\u{3099}㍿각ᄀ\u{1161}\u{11a8}ﷺ½ ]{0,40}",
        ]
    }

    proptest! {
        #[test]
        fn it_is_the_normal_form(text in texts()) {
            let expected: String = text.nfkc().collect();
            let mut normal = Normal::default();
            prop_assert_eq!(normal.of(&text).text, expected);
        }

        #[test]
        fn the_way_back_keeps_order_and_boundaries(text in texts()) {
            let mut normal = Normal::default();
            let mut normalised = normal.of(&text);
            let places: Vec<_> = normalised.text.char_indices().collect();
            let mut last = (0, 0);
            for (start, c) in places {
                let (from, to) = normalised.original(start, start + c.len_utf8());
                prop_assert!(text.is_char_boundary(from) && text.is_char_boundary(to));
                prop_assert!(from < to && to <= text.len());
                prop_assert!(last.0 <= from && last.1 <= to);
                last = (from, to);
            }
            prop_assert_eq!(last.1, text.len());
        }
    }
}
