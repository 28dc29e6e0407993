//! A language, named by the primary subtag of its BCP 47 tag.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest primary subtag of BCP 47, in letters.
const LONGEST: usize = 8;

/// A language: the primary subtag of a BCP 47 tag in lower case (`en`, `ja`, `zh`, `und`).
///
/// Region, script and variant are dropped: `en-US` and `EN_gb` are both `en`. A three-letter code
/// of a language that has a two-letter one becomes that (`eng` is `en`, `cmn` is `zh`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language([u8; LONGEST]);

/// What is wrong with a text that should name a language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a language is a tag of BCP 47 such as \"en\", \"ja\" or \"zh-Hant\": two or three letters, then \
     optional parts of up to eight letters or digits behind hyphens"
)]
pub struct MalformedLanguage;

impl Language {
    /// English.
    pub const ENGLISH: Self = Self(*b"en\0\0\0\0\0\0");
    /// Japanese.
    pub const JAPANESE: Self = Self(*b"ja\0\0\0\0\0\0");
    /// Chinese, in any script or variety.
    pub const CHINESE: Self = Self(*b"zh\0\0\0\0\0\0");
    /// Korean.
    pub const KOREAN: Self = Self(*b"ko\0\0\0\0\0\0");
    /// Not determined: read by the fallback alone.
    pub const UNDETERMINED: Self = Self(*b"und\0\0\0\0\0");

    /// The subtag.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().take_while(|&&byte| byte != 0).count();
        self.0
            .get(..length)
            .and_then(|letters| std::str::from_utf8(letters).ok())
            .unwrap_or("und")
    }
}

impl FromStr for Language {
    type Err = MalformedLanguage;

    fn from_str(tag: &str) -> Result<Self, Self::Err> {
        let mut subtags = tag.trim().split(['-', '_']);
        let primary = subtags.next().unwrap_or_default();
        let well_formed = (2..=LONGEST).contains(&primary.len())
            && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
            && subtags.all(|subtag| {
                (1..=8).contains(&subtag.len())
                    && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
        if !well_formed {
            return Err(MalformedLanguage);
        }
        let mut letters = [0; LONGEST];
        for (to, from) in letters.iter_mut().zip(primary.bytes()) {
            *to = from.to_ascii_lowercase();
        }
        Ok(Self(letters).shortest())
    }
}

impl Language {
    /// The two-letter code where a three-letter one was given, so that a language has one name.
    fn shortest(self) -> Self {
        TWO_LETTERS
            .iter()
            .find(|(three, _)| *three == self.as_str())
            .and_then(|(_, two)| two.parse().ok())
            .unwrap_or(self)
    }
}

/// ISO 639-3 to ISO 639-1, for the languages that detection may name.
#[rustfmt::skip]
const TWO_LETTERS: &[(&str, &str)] = &[
    ("eng", "en"), ("jpn", "ja"), ("cmn", "zh"), ("zho", "zh"), ("kor", "ko"), ("deu", "de"),
    ("fra", "fr"), ("spa", "es"), ("por", "pt"), ("ita", "it"), ("nld", "nl"), ("swe", "sv"),
    ("dan", "da"), ("nob", "nb"), ("fin", "fi"), ("pol", "pl"), ("ces", "cs"), ("slk", "sk"),
    ("hun", "hu"), ("ron", "ro"), ("tur", "tr"), ("vie", "vi"), ("ind", "id"), ("cat", "ca"),
    ("hrv", "hr"), ("slv", "sl"), ("est", "et"), ("lav", "lv"), ("lit", "lt"), ("rus", "ru"),
    ("ukr", "uk"), ("bel", "be"), ("bul", "bg"), ("srp", "sr"), ("mkd", "mk"), ("ell", "el"),
    ("ara", "ar"), ("heb", "he"), ("yid", "yi"), ("pes", "fa"), ("urd", "ur"), ("hin", "hi"),
    ("mar", "mr"), ("nep", "ne"), ("ben", "bn"), ("guj", "gu"), ("kan", "kn"), ("mal", "ml"),
    ("ori", "or"), ("pan", "pa"), ("sin", "si"), ("tam", "ta"), ("tel", "te"), ("tha", "th"),
    ("khm", "km"), ("mya", "my"), ("kat", "ka"), ("hye", "hy"), ("amh", "am"), ("aze", "az"),
    ("uzb", "uz"), ("tuk", "tk"), ("jav", "jv"), ("tgl", "tl"), ("epo", "eo"), ("lat", "la"),
    ("afr", "af"), ("aka", "ak"), ("zul", "zu"), ("sna", "sn"), ("cym", "cy"),
];

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Language({self})")
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tag = String::deserialize(deserializer)?;
        tag.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(tag: &str, expected: &str) {
        assert_eq!(tag.parse::<Language>().unwrap().as_str(), expected, "{tag}");
    }

    #[test]
    fn a_tag_is_reduced_to_its_primary_subtag() {
        check("en", "en");
        check("en-US", "en");
        check("EN_gb", "en");
        check("zh-Hant-TW", "zh");
        check("cmn", "zh");
        check("eng", "en");
        check("haw", "haw");
        check(" ja ", "ja");
        check("und", "und");
    }

    #[test]
    fn what_is_not_a_tag_is_refused() {
        for tag in [
            "",
            "e",
            "english language",
            "en-",
            "-en",
            "日本語",
            "en--us",
            "1a",
            "abcdefghi",
        ] {
            assert_eq!(tag.parse::<Language>(), Err(MalformedLanguage), "{tag:?}");
        }
    }

    #[test]
    fn the_constants_are_what_parsing_gives() {
        for language in [
            Language::ENGLISH,
            Language::JAPANESE,
            Language::CHINESE,
            Language::KOREAN,
            Language::UNDETERMINED,
        ] {
            assert_eq!(language.as_str().parse(), Ok(language));
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(tag in ".{0,20}") {
            if let Ok(language) = tag.parse::<Language>() {
                prop_assert_eq!(language.as_str().parse(), Ok(language));
            }
        }
    }
}
