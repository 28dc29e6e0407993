//! Which of the indexes in the root folder are served.

/// All indexes, or those that are listed. Any other is answered like one that does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServedIndexes(Option<Vec<String>>);

impl ServedIndexes {
    /// Only those in a comma-separated list; all where it is empty.
    pub fn listed(text: &str) -> Self {
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(str::to_owned).collect();
        Self((!names.is_empty()).then_some(names))
    }

    /// Whether an index is served.
    pub fn includes(&self, name: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|names| names.iter().any(|known| known == name))
    }
}
