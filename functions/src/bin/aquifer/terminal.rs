//! What people see: plain lines, and colours where they can be shown.
//!
//! Names, documents and answers come from others. Whatever of them is printed for people goes through here, so that no
//! escape sequence in them reaches a terminal.

use std::error::Error;
use std::io::{self, IsTerminal, Write};

use aquifer_functions::advice::followed;
use aquifer_indexer::error::joined;
use aquifer_indexer::quote::visible;

/// Writes a line to standard error, where nobody can be told if that fails.
pub(crate) fn complain(line: &str) {
    drop(writeln!(io::stderr(), "{}", visible(line)));
}

/// What the program ends with, and why.
pub(crate) fn complain_of(error: &anyhow::Error) {
    complain(&format!("error: {}", in_words(error)));
}

/// An error and its causes, each reported once, and how to fix it.
pub(crate) fn in_words(error: &anyhow::Error) -> String {
    let outermost: &(dyn Error + 'static) = error.as_ref();
    let text = joined(outermost.to_string(), outermost.source());
    let of_an_index = error.chain().find_map(|error| error.downcast_ref());
    match of_an_index {
        Some(error) => followed(text, error),
        None => text,
    }
}

/// How to set off parts of the text on standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    /// Colours when standard output is a terminal and `NO_COLOR` is not set (no-color.org).
    pub(crate) fn of_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            coloured: io::stdout().is_terminal() && !unwanted,
        }
    }

    pub(crate) fn title(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    /// A fragment of HTML with its `<em>` set off, and with its entities resolved.
    pub(crate) fn fragment(self, html: &str) -> String {
        let (open, close) = if self.coloured {
            ("\u{1b}[1;33m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        let text = visible(&one_line(html))
            .replace("<em>", open)
            .replace("</em>", close);
        let entities = [
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&#x27;", "'"),
            ("&#39;", "'"),
            ("&#x2F;", "/"),
            ("&amp;", "&"),
        ];
        let resolve = |text: String, (entity, plain)| text.replace(entity, plain);
        entities.into_iter().fold(text, resolve)
    }

    fn with(self, code: &str, text: &str) -> String {
        let text = one_line(text);
        let text = visible(&text);
        if self.coloured {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.into_owned()
        }
    }
}

/// White space made single spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_colours_are_escape_sequences() {
        let hostile = "a\u{1b}[2J\u{9b}0m\u{202e}b";
        let shown = r"a\u{1b}[2J\u{9b}0m\u{202e}b";
        let plain = Style { coloured: false };
        assert_eq!(plain.title(hostile), shown);
        assert_eq!(plain.fragment(hostile), shown);
        let coloured = Style { coloured: true }.faint(hostile);
        assert_eq!(coloured, format!("\u{1b}[2m{shown}\u{1b}[0m"));
    }

    #[test]
    fn fragments_become_text() {
        let html = "a <em>b</em>\n &lt;em&gt; &amp;lt; &#x27;";
        assert_eq!(Style { coloured: false }.fragment(html), "a b <em> &lt; '");
        let coloured = Style { coloured: true }.fragment(html);
        assert_eq!(coloured, "a \u{1b}[1;33mb\u{1b}[0m <em> &lt; '");
    }
}
