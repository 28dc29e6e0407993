//! Where in its file a text stands.

use std::fmt;

/// Where in its file a text stands. Lines and elements are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line.
    Line(u64),
    /// An element of an array.
    Element {
        /// Which one.
        number: u64,
        /// The line that it begins in.
        line: u64,
    },
    /// The file is the document, from this line on.
    Whole(u64),
}

/// A line of a file, and a column where it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Counted from 1.
    pub line: u64,
    /// Counted from 1.
    pub column: Option<u64>,
    /// Which element of an array it is in.
    pub element: Option<u64>,
}

impl Place {
    /// Where the text begins.
    pub fn spot(self) -> Spot {
        let (line, element) = match self {
            Self::Line(line) | Self::Whole(line) => (line, None),
            Self::Element { number, line } => (line, Some(number)),
        };
        Spot {
            line,
            column: None,
            element,
        }
    }

    /// Where in the file the given line and column of the text are, both counted from 1.
    pub fn within(self, (line, column): (usize, usize)) -> Spot {
        let begins = self.spot();
        // Of an element it is only known in which line it begins.
        let has_column = begins.element.is_none() || line > 1;
        Spot {
            line: begins.line + (line as u64).saturating_sub(1),
            column: has_column.then_some(column as u64),
            ..begins
        }
    }
}

impl Spot {
    /// The spot with the name of its file in front, as editors understand it.
    pub fn of_file(self, name: &str) -> String {
        let column = self.column.map(|column| format!(":{column}"));
        let element = self.element.map(|number| format!(", document {number}"));
        format!(
            "{name}:{}{}{}",
            self.line,
            column.unwrap_or_default(),
            element.unwrap_or_default()
        )
    }
}

/// The spot in an input that has no name.
impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = self.column {
            write!(f, ", column {column}")?;
        }
        if let Some(number) = self.element {
            write!(f, ", document {number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_text_is_one_in_its_file() {
        let element = Place::Element { number: 7, line: 3 };
        for (place, within, expected) in [
            (Place::Line(4), (1, 14), "a:4:14"),
            (Place::Whole(1), (3, 1), "a:3:1"),
            (Place::Whole(2), (3, 1), "a:4:1"),
            (element, (1, 9), "a:3, document 7"),
            (element, (2, 9), "a:4:9, document 7"),
        ] {
            assert_eq!(place.within(within).of_file("a"), expected);
        }
        assert_eq!(element.spot().to_string(), "line 3, document 7");
        assert_eq!(
            Place::Line(4).within((1, 2)).to_string(),
            "line 4, column 2"
        );
    }
}
