//! Fields: the walk through an object, which finds out what the mapping makes of each member.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Reader, Result};
use crate::document::error::{DocumentError, kind};
use crate::document::tree::{Node, Object};
use crate::document::{Stored, limits};
use crate::mapping::{Declared, Dynamic, is_ignored};
use crate::quote::quoted;

impl Reader<'_> {
    pub(super) fn object(&mut self, object: &Object<'_>) -> Result<()> {
        let outer = self.path.len();
        for (name, node) in object {
            if matches!(node, Node::Null) {
                continue;
            }
            if outer > 0 {
                self.path.push('.');
            }
            self.path.push_str(name);
            self.member(name, node)?;
            self.path.truncate(outer);
        }
        Ok(())
    }

    fn member(&mut self, name: &str, node: &Node<'_>) -> Result<()> {
        match self.schema.declared(&self.path) {
            Some(Declared::Key) => Ok(()),
            Some(Declared::Lang) => self.language(node),
            Some(Declared::Slot(slot)) => self.slot(slot, node),
            Some(Declared::Object { .. }) => self.members_of(node),
            None => self.undeclared(name, node),
        }
    }

    fn language(&mut self, node: &Node<'_>) -> Result<()> {
        let Node::Str(tag) = node else {
            return Err(self.wrong_type("a language tag such as \"en\"", node));
        };
        let language = tag.parse().map_err(|error| {
            DocumentError::new(
                kind::INVALID_LANGUAGE,
                format!(
                    "`lang` is {}, which is not a language: {error}",
                    quoted(tag)
                ),
            )
        })?;
        self.lang = Some(language);
        Ok(())
    }

    /// The members of a declared object, or of each of an array of them.
    fn members_of(&mut self, node: &Node<'_>) -> Result<()> {
        match node {
            Node::Null => Ok(()),
            Node::Object(object) => self.object(object),
            Node::Array(nodes) => nodes.iter().try_for_each(|node| self.members_of(node)),
            _ => Err(self.wrong_type("an object", node)),
        }
    }

    fn slot(&mut self, slot: usize, node: &Node<'_>) -> Result<()> {
        if let Node::Array(nodes) = node {
            return nodes.iter().try_for_each(|node| self.slot(slot, node));
        }
        let Some(kind) = self.schema.slot(slot).map(|slot| slot.kind) else {
            return Ok(());
        };
        if let Some(value) = self.typed(kind, node)? {
            self.declared.push((slot, value));
        }
        Ok(())
    }

    fn undeclared(&mut self, name: &str, node: &Node<'_>) -> Result<()> {
        if is_ignored(&self.path) {
            return Ok(());
        }
        if !self.schema.takes_undeclared(&self.path) {
            return match self.schema.definition().mapping.dynamic {
                Dynamic::Accept | Dynamic::Ignore => Ok(()),
                Dynamic::Strict => Err(DocumentError::new(
                    kind::UNKNOWN_FIELD,
                    format!(
                        "the field {} is not in the mapping, which is strict: leave it out, or \
                         declare it",
                        quoted(&self.path)
                    ),
                )),
            };
        }
        self.check_name(name)?;
        self.undeclared_value(node)
    }

    fn undeclared_value(&mut self, node: &Node<'_>) -> Result<()> {
        let value = match node {
            Node::Null => return Ok(()),
            Node::Array(nodes) => {
                return nodes
                    .iter()
                    .try_for_each(|node| self.undeclared_value(node));
            }
            Node::Object(object) => return self.object(object),
            Node::Bool(value) => Stored::Bool(*value),
            Node::I64(value) => Stored::I64(*value),
            Node::U64(value) => Stored::U64(*value),
            Node::F64(value, _) => Stored::F64(*value),
            Node::Str(text) => self.text(text),
        };
        // The values of an array share one path.
        let path = match self.undeclared.last() {
            Some((path, _)) if **path == *self.path => Arc::clone(path),
            _ => self.path.as_str().into(),
        };
        self.undeclared.push((path, value));
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<()> {
        let problem = if name.split('.').any(str::is_empty) {
            "is empty, or has an empty part between dots: give it a name".to_owned()
        } else if name.chars().any(char::is_control) {
            "holds a control character: leave it out".to_owned()
        } else if self.path.len() > limits::FIELD_PATH_BYTES {
            format!(
                "is longer than {} bytes: shorten it",
                limits::FIELD_PATH_BYTES
            )
        } else {
            return Ok(());
        };
        Err(DocumentError::new(
            kind::INVALID_FIELD_NAME,
            format!("the field name {} {problem}", quoted(&self.path)),
        ))
    }

    pub(super) fn check_counts(&self) -> Result<()> {
        if let Some(Declared::Slot(tags)) = self.schema.declared("tags") {
            let count = self
                .declared
                .iter()
                .filter(|(slot, _)| *slot == tags)
                .count();
            if count > limits::TAGS {
                return Err(DocumentError::new(
                    kind::TOO_MANY,
                    format!(
                        "there are {count} tags and the limit is {}: keep fewer",
                        limits::TAGS
                    ),
                ));
            }
        }
        if self.undeclared.len() > limits::DYNAMIC_FIELDS {
            let paths: HashSet<&str> = self.undeclared.iter().map(|(path, _)| &**path).collect();
            if paths.len() > limits::DYNAMIC_FIELDS {
                return Err(DocumentError::new(
                    kind::TOO_MANY,
                    format!(
                        "there are {} undeclared fields and the limit is {}: put what need not be \
                         found into one string",
                        paths.len(),
                        limits::DYNAMIC_FIELDS
                    ),
                ));
            }
        }
        Ok(())
    }
}
