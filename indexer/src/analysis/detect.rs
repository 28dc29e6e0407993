//! Telling the language of a text that does not say.
//!
//! Every document without a `lang` comes through here, so what can be told by counting is not
//! given to the statistics of letters, which take as long as indexing a small document does.

use std::sync::LazyLock;

use whatlang::{Detector, Lang};

use super::Language;

/// The most text that is looked at, in bytes: a paragraph, which is enough to be sure.
const SAMPLE_BYTES: usize = 512;

/// The languages of the Latin alphabet that are told apart; detection knows more, but short texts
/// are too easily taken for one that hardly anybody writes in.
#[rustfmt::skip]
const LATIN: [Lang; 26] = [
    Lang::Eng, Lang::Fra, Lang::Deu, Lang::Spa, Lang::Por, Lang::Ita, Lang::Nld, Lang::Swe,
    Lang::Dan, Lang::Nob, Lang::Fin, Lang::Pol, Lang::Ces, Lang::Slk, Lang::Hun, Lang::Ron,
    Lang::Tur, Lang::Vie, Lang::Ind, Lang::Cat, Lang::Hrv, Lang::Slv, Lang::Est, Lang::Lav,
    Lang::Lit, Lang::Tgl,
];

/// The languages of the other alphabets that several share.
#[rustfmt::skip]
const OTHERS: [Lang; 14] = [
    Lang::Rus, Lang::Ukr, Lang::Bel, Lang::Bul, Lang::Srp, Lang::Mkd, Lang::Ara, Lang::Pes,
    Lang::Urd, Lang::Heb, Lang::Yid, Lang::Hin, Lang::Mar, Lang::Nep,
];

static DETECTOR: LazyLock<Detector> =
    LazyLock::new(|| Detector::with_allowlist([LATIN.as_slice(), OTHERS.as_slice()].concat()));

/// The language of the beginning of `text`, where that is beyond reasonable doubt.
pub fn detect(text: &str) -> Option<Language> {
    let end = text.floor_char_boundary(SAMPLE_BYTES);
    let sample = text.get(..end).unwrap_or_default();
    if !sample.is_ascii()
        && let Some(language) = by_script(sample)
    {
        return Some(language);
    }
    if is_english(sample) {
        return Some(Language::ENGLISH);
    }
    let info = DETECTOR.detect(sample)?;
    if !info.is_reliable() {
        return None;
    }
    info.lang().code().parse().ok()
}

/// Japanese, Chinese or Korean, by their characters.
fn by_script(sample: &str) -> Option<Language> {
    let (mut kana, mut han, mut hangul, mut other) = (0, 0, 0, 0);
    for c in sample.chars() {
        match c {
            'ぁ'..='ヿ' | 'ｦ'..='ﾟ' => kana += 1,
            '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFD}' => han += 1,
            '가'..='힣' | '\u{1100}'..='\u{11FF}' => hangul += 1,
            _ if c.is_alphabetic() => other += 1,
            _ => {}
        }
    }
    // One of these characters says as much as several letters, and names are often left in
    // letters: a fifth is enough.
    if (kana + han + hangul) * 4 <= other {
        return None;
    }
    if hangul > kana + han / 2 {
        Some(Language::KOREAN)
    } else if kana * 20 > kana + han {
        // A Chinese text may quote a word of Japanese; no Japanese one has this little kana.
        Some(Language::JAPANESE)
    } else {
        (han > 0).then_some(Language::CHINESE)
    }
}

/// Words that are frequent in English and in no other language with the same alphabet.
const ENGLISH_WORDS: [&str; 10] = [
    "the", "and", "of", "that", "with", "this", "from", "which", "are", "have",
];

/// Whether a tenth of the words are such words, and several of them.
fn is_english(sample: &str) -> bool {
    let (mut words, mut english) = (0, 0);
    for word in sample.split(|c: char| !c.is_alphabetic()) {
        if word.is_empty() {
            continue;
        }
        words += 1;
        let known = |known: &str| word.eq_ignore_ascii_case(known);
        english += usize::from(ENGLISH_WORDS.iter().any(|other| known(other)));
    }
    english >= 3 && english * 10 >= words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = detect(text);
        assert_eq!(found.as_ref().map(Language::as_str), expected, "{text}");
    }

    #[test]
    fn a_script_of_its_own_tells_the_language() {
        check("全文検索エンジンを作る", Some("ja"));
        check("ｶﾀｶﾅ ﾀﾞｹ", Some("ja"));
        check("全文搜索引擎的实现与优化", Some("zh"));
        check(
            "日本语里的「の」是一个很常见的助词，它的用法有很多种，学习者需要注意区分",
            Some("zh"),
        );
        check("전문 검색 엔진을 만든다", Some("ko"));
        check("Rust 全文検索ライブラリ tantivy の使い方", Some("ja"));
        check("Πλήρης αναζήτηση κειμένου", Some("el"));
        check("การค้นหาข้อความ", Some("th"));
    }

    #[test]
    fn an_alphabet_that_many_share_needs_a_sentence() {
        check(
            "The quick brown fox jumps over the lazy dog, and that is the end of the story.",
            Some("en"),
        );
        check(
            "Der schnelle braune Fuchs springt über den faulen Hund, und das ist das Ende der \
             Geschichte, die wir heute erzählen wollten.",
            Some("de"),
        );
        check(
            "Le renard brun saute par-dessus le chien paresseux, et voilà la fin de cette histoire \
             que nous voulions vous raconter aujourd'hui.",
            Some("fr"),
        );
        check(
            "Быстрая коричневая лиса прыгает через ленивую собаку, и на этом наша история \
             заканчивается.",
            Some("ru"),
        );
    }

    #[test]
    fn what_says_too_little_is_left_open() {
        check("", None);
        check("12345 --- 67.8", None);
        check("x", None);
        check("The Beatles", None);
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in any::<String>()) {
            let found = detect(&text);
            prop_assert!(found.is_none_or(|language| !language.as_str().is_empty()));
        }
    }
}
