//! Query parameters, refused where they are not known, so that a misspelt one is not silently
//! without effect.

use std::fmt::Display;
use std::str::FromStr;

use aquifer_indexer::numbers::Version;
use aquifer_indexer::quote::quoted;
use axum::extract::Query;
use axum::http::Uri;

use super::error::Problem;

/// Parameters that others add on the way: advertisements, mail campaigns, scripts that want no cached answer.
const ADDED: [&str; 19] = [
    "_",
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "dclid",
    "fbclid",
    "gad_source",
    "gbraid",
    "gclid",
    "gclsrc",
    "igshid",
    "mc_cid",
    "mc_eid",
    "msclkid",
    "srsltid",
    "ttclid",
    "twclid",
    "wbraid",
];

/// How the names of further ones begin; those of Amazon carry the signature of a request.
const ADDED_PREFIXES: [&str; 2] = ["utm_", "x-amz-"];

fn is_added(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ADDED.contains(&&*name) || ADDED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Reads them; only those in `known` may occur, besides those that others add.
    pub(crate) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let Query(mut pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Problem::invalid(error.body_text()))?;
        pairs.retain(|(name, _)| known.contains(&&**name) || !is_added(name));
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.contains(&&**name)) {
            let detail = if known.is_empty() {
                format!(
                    "the parameter {} is not known: none is understood here",
                    quoted(name)
                )
            } else {
                format!(
                    "the parameter {} is not known: use {}",
                    quoted(name),
                    known.join(", ")
                )
            };
            return Err(Problem::invalid(detail));
        }
        Ok(Self { pairs })
    }

    /// Every value of a parameter that may be repeated.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let of_name = move |pair: &&(String, String)| pair.0 == name;
        self.pairs.iter().filter(of_name).map(|(_, value)| &**value)
    }

    /// The values of a parameter that may be repeated and may hold several, between commas.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        let mut values = self.all(name).peekable();
        values.peek()?;
        let items = values.flat_map(|value| value.split(',')).map(str::trim);
        Some(
            items
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// The value of a parameter that has several `names` and may be given once.
    pub(crate) fn one(&self, names: &[&str]) -> Result<Option<&str>, Problem> {
        let mut values = names.iter().flat_map(|name| self.all(name));
        let value = values.next();
        if values.next().is_some() {
            let names = names.join(" or ");
            return Err(Problem::invalid(format!(
                "the parameter {names} is given more than once: give it once"
            )));
        }
        Ok(value)
    }

    /// A value that is read from its text, `meant` being what it should be.
    pub(crate) fn parsed<T>(&self, name: &str, meant: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(value) = self.one(&[name])? else {
            return Ok(None);
        };
        value.trim().parse().map(Some).map_err(|error| {
            Problem::invalid(format!(
                "the parameter {name} should be {meant}, not {}: {error}",
                quoted(value)
            ))
        })
    }

    /// The version that an answer has to have reached, where the request names one.
    pub(crate) fn min_version(&self) -> Result<Option<Version>, Problem> {
        let number = self.parsed("min_version", "a version number")?;
        Ok(number.map(Version::new))
    }

    /// A switch: `true`, `false`, or only its name.
    pub(crate) fn switch(&self, name: &str) -> Result<bool, Problem> {
        match self.one(&[name])?.map(str::trim) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(other) => Err(Problem::invalid(format!(
                "the parameter {name} should be true or false, not {}",
                quoted(other)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        let uri = format!("/x?{query}").parse().unwrap();
        Parameters::read(&uri, &["tag", "fields", "q", "query", "limit", "highlight"]).unwrap()
    }

    #[test]
    fn values_are_decoded_and_repeated_ones_kept_in_order() {
        let read = parameters("tag=a+b&tag=%E5%B7%A5&tag=x,y&q=a%26b");
        assert_eq!(read.all("tag").collect::<Vec<_>>(), ["a b", "工", "x,y"]);
        assert_eq!(read.one(&["q", "query"]).unwrap(), Some("a&b"));
    }

    #[test]
    fn lists_are_split_at_commas() {
        let read = parameters("fields=title,+tags&fields=lang,");
        assert_eq!(read.list("fields").unwrap(), ["title", "tags", "lang"]);
        assert_eq!(parameters("fields=").list("fields").unwrap(), [""; 0]);
        assert_eq!(parameters("").list("fields"), None);
    }

    #[test]
    fn what_others_add_on_the_way_is_no_mistake() {
        let read = parameters(
            "q=a&utm_source=mail&UTM_x=&fbclid=1&gclid=2&_=1700000000&X-Amz-Date=3&_ga=4",
        );
        assert_eq!(read.pairs, [("q".to_owned(), "a".to_owned())]);
        for unknown in ["utm", "clid", "__", "amz"] {
            let uri = format!("/x?{unknown}=1").parse().unwrap();
            Parameters::read(&uri, &["q"]).unwrap_err();
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
        let unknown = Parameters::read(&"/x?lmit=1".parse().unwrap(), &["limit"]).unwrap_err();
        assert!(format!("{unknown:?}").contains("use limit"), "{unknown:?}");
        let number = parameters("limit=ten").parsed::<usize>("limit", "a number");
        assert!(format!("{number:?}").contains("a number"), "{number:?}");
        let twice = parameters("q=a&query=b").one(&["q", "query"]).unwrap_err();
        assert!(format!("{twice:?}").contains("q or query"), "{twice:?}");
        assert!(parameters("highlight=maybe").switch("highlight").is_err());
        assert!(parameters("highlight").switch("highlight").unwrap());
    }
}
