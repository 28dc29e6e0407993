//! What people see: plain lines, and colours where they can be shown.

use std::io::{self, IsTerminal, Write};

/// Writes a line to standard error, where nobody can be told if that fails.
pub(crate) fn complain(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
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
        let text = html.replace("<em>", open).replace("</em>", close);
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
        one_line(&entities.into_iter().fold(text, resolve))
    }

    fn with(self, code: &str, text: &str) -> String {
        let text = one_line(text);
        if self.coloured {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text
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
    fn fragments_become_text() {
        let html = "a <em>b</em>\n &lt;em&gt; &amp;lt; &#x27;";
        assert_eq!(Style { coloured: false }.fragment(html), "a b <em> &lt; '");
        let coloured = Style { coloured: true }.fragment(html);
        assert_eq!(coloured, "a \u{1b}[1;33mb\u{1b}[0m <em> &lt; '");
    }
}
