//! Who takes over the work that an invocation leaves undone.

/// The value of the variable that names no function.
const NOBODY: &str = "none";

/// What `AQUIFER_REINDEX_FUNCTION` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Receiver {
    /// Nothing: the writer hands nothing over, and the reindex function continues with itself.
    #[default]
    Unset,
    /// `none`: what is left waits for the next schedule.
    Nobody,
    /// The name or ARN of a function.
    Function(String),
}

impl Receiver {
    /// What the value of the variable means.
    pub fn of(value: Option<String>) -> Self {
        match value {
            None => Self::Unset,
            Some(name) if name == NOBODY => Self::Nobody,
            Some(name) => Self::Function(name),
        }
    }

    /// The function that the writer invokes.
    pub fn for_writer(&self) -> Option<&str> {
        match self {
            Self::Function(name) => Some(name),
            Self::Unset | Self::Nobody => None,
        }
    }

    /// The function that the reindex function, whose own name is `own`, invokes.
    pub fn for_reindex<'a>(&'a self, own: &'a str) -> Option<&'a str> {
        match self {
            Self::Function(name) => Some(name),
            Self::Unset => Some(own),
            Self::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_invokes_the_one_that_is_named_and_nobody_where_none_is() {
        let of = |value: Option<&str>| Receiver::of(value.map(str::to_owned));
        for (value, writer, reindex) in [
            (None, None, Some("own")),
            (Some("none"), None, None),
            (Some("other"), Some("other"), Some("other")),
        ] {
            assert_eq!(of(value).for_writer(), writer, "{value:?}");
            assert_eq!(of(value).for_reindex("own"), reindex, "{value:?}");
        }
    }
}
