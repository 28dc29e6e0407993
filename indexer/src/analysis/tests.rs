//! What the analysers make of texts, and what holds for any text.

use proptest::prelude::*;
use tantivy::tokenizer::{TextAnalyzer, Token};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::*;

fn tokens(mut analyser: TextAnalyzer, text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    analyser
        .token_stream(text)
        .process(&mut |token| tokens.push(token.clone()));
    tokens
}

fn english() -> TextAnalyzer {
    analyser(&Language::ENGLISH).unwrap()
}

/// Checks the tokens, each as `text` or as `text=what it stands for in the original`.
#[track_caller]
fn check(analyser: TextAnalyzer, text: &str, expected: &str) {
    let mut found = Vec::new();
    for token in tokens(analyser, text) {
        let original = &text[token.offset_from..token.offset_to];
        if original == token.text {
            found.push(token.text);
        } else {
            found.push(format!("{}={original}", token.text));
        }
    }
    assert_eq!(found.join(" | "), expected);
}

#[test]
fn words_are_cut_and_put_into_lower_case() {
    check(fallback(), "Hello, WORLD!", "hello=Hello | world=WORLD");
    check(fallback(), "  ", "");
    check(fallback(), "x86 H2O 3D", "x86 | h2o=H2O | 3d=3D");
    check(
        fallback(),
        "report.pdf snake_case a:b",
        "report | pdf | snake | case | a | b",
    );
    check(
        fallback(),
        "3.14 1,000 2.0.1 5. 7,",
        "3.14 | 1,000 | 2.0.1 | 5 | 7",
    );
    check(
        fallback(),
        "naïve ΟΔΟΣ οδός",
        "naïve | οδοσ=ΟΔΟΣ | οδόσ=οδός",
    );
    check(
        fallback(),
        "İstanbul Größe",
        "istanbul=İstanbul | größe=Größe",
    );
    check(fallback(), "don't l’amour", "don | t | l | amour");
    check(fallback(), "co\u{AD}operate", "cooperate=co\u{AD}operate");
    check(fallback(), "हिन्दी में", "हिन्दी | में");
    check(fallback(), "\u{301}\u{301} a", "a");
}

#[test]
fn scripts_without_spaces_are_cut_into_pairs() {
    check(fallback(), "全文検索", "全文 | 文検 | 検索");
    check(fallback(), "食べる。", "食べ | べる");
    check(fallback(), "東 京", "東 | 京");
    check(
        fallback(),
        "iPhone用アプリ2024年",
        "iphone=iPhone | 用ア | アプ | プリ | 2024 | 年",
    );
    check(fallback(), "한국어 책", "한국 | 국어 | 책");
    check(fallback(), "ที่นี่", "ที่นี่");
    check(fallback(), "葛\u{E0100}城", "葛城=葛\u{E0100}城");
    check(fallback(), "データー", "デー | ータ | ター");
}

#[test]
fn compatibility_forms_are_found_by_their_plain_spelling() {
    check(fallback(), "ＡＢＣ　１２３", "abc=ＡＢＣ | 123=１２３");
    check(fallback(), "ｶﾞｷﾞ", "ガギ=ｶﾞｷﾞ");
    check(fallback(), "ﾃﾞｰﾀ", "デー=ﾃﾞｰ | ータ=ｰﾀ");
    check(fallback(), "the ﬁre…and", "the | fire=ﬁre | and");
    check(fallback(), "㍿", "株式=㍿ | 式会=㍿ | 会社=㍿");
    check(fallback(), "cafe\u{301}s", "cafés=cafe\u{301}s");
}

#[test]
fn english_is_stemmed() {
    check(english(), "Running dogs", "run=Running | dog=dogs");
    check(
        english(),
        "John's brothers’ don’t",
        "john=John's | brother=brothers | don't=don’t",
    );
    check(english(), "The the", "the=The | the");
    check(
        english(),
        "searching 全文検索",
        "search=searching | 全文 | 文検 | 検索",
    );
}

#[test]
fn a_token_that_is_too_long_leaves_a_gap() {
    let text = format!("a {} b {} c", "x".repeat(256), "y".repeat(255));
    let found: Vec<_> = tokens(fallback(), &text)
        .into_iter()
        .map(|token| (token.position, token.text.len()))
        .collect();
    assert_eq!(found, [(0, 1), (2, 1), (3, 255), (4, 1)]);
}

#[test]
fn an_analyser_can_be_used_again() {
    let mut analyser = fallback();
    for _ in 0..2 {
        let mut stream = analyser.token_stream("ﬁ 全文");
        assert_eq!(stream.next().unwrap().text, "fi");
        assert_eq!(stream.next().unwrap().text, "全文");
        assert!(stream.next().is_none());
    }
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9'’.,_ é\u{301}ﬁＡ１ｶﾞか全文検索㍿각ᄀ\u{1161}ไทยที่İς\u{AD}\u{200D}…]{0,60}",
    ]
}

proptest! {
    #[test]
    fn offsets_and_positions_fit_any_text(text in texts()) {
        for analyser in [fallback(), english()] {
            let mut last: Option<Token> = None;
            for token in tokens(analyser, &text) {
                prop_assert!(text.is_char_boundary(token.offset_from));
                prop_assert!(text.is_char_boundary(token.offset_to));
                prop_assert!(token.offset_from < token.offset_to && token.offset_to <= text.len());
                prop_assert!(!token.text.is_empty() && token.text.len() <= 255);
                if let Some(last) = last {
                    prop_assert!(last.offset_from <= token.offset_from);
                    prop_assert!(last.offset_to <= token.offset_to);
                    prop_assert!(last.position < token.position);
                }
                last = Some(token);
            }
        }
    }

    #[test]
    fn the_normal_form_has_the_same_tokens(text in texts()) {
        let normal: String = text.nfkc().collect();
        for analyser in [fallback(), english()] {
            let texts = |text: &str| -> Vec<_> {
                tokens(analyser.clone(), text).into_iter().map(|token| token.text).collect()
            };
            prop_assert_eq!(texts(&text), texts(&normal));
        }
    }

    #[test]
    fn a_run_without_spaces_gives_every_pair(run in "[一-龥ぁ-ゖァ-ヺ가-힣]{2,40}") {
        let characters: Vec<char> = run.chars().collect();
        let pairs: Vec<String> = characters.windows(2).map(String::from_iter).collect();
        let found: Vec<_> = tokens(fallback(), &run).into_iter().map(|token| token.text).collect();
        prop_assert_eq!(found, pairs);
    }

    #[test]
    fn words_are_those_of_unicode(text in "[a-zA-Z0-9àéîõüßñøåćžğα-ωа-яא-ת\u{301} ,!?()-]{0,60}") {
        let text: String = text.nfkc().collect();
        // Numbers that only a comma joins and marks that begin a word are beside the point.
        let marks_nothing = |pair: &[char]| pair[1] == '\u{301}' && !pair[0].is_alphanumeric();
        let characters: Vec<char> = text.chars().collect();
        prop_assume!(!text.starts_with('\u{301}') && !characters.windows(2).any(marks_nothing));
        let expected: Vec<String> = text.unicode_words().map(str::to_owned).collect();
        let found: Vec<String> = tokens(fallback(), &text)
            .into_iter()
            .map(|token| text[token.offset_from..token.offset_to].to_owned())
            .collect();
        prop_assert_eq!(found, expected);
    }
}
