//! How requests come to a function and how its answers leave, as its environment says.

use aquifer_indexer::Result;
use axum::http::HeaderValue;

use super::environment::wrong;
use super::event::Event;
use crate::http::{AllowedOrigins, DEFAULT_CACHE_CONTROL, ServedIndexes};

/// The settings; the table in [`super`] says what each means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doors {
    /// `AQUIFER_BASE_PATH`, with a slash before it and none behind; empty without one.
    pub base_path: String,
    /// `AQUIFER_PATH`, likewise.
    pub own_path: String,
    /// `AQUIFER_CORS_ORIGINS`.
    pub origins: AllowedOrigins,
    /// `AQUIFER_CACHE_CONTROL`.
    pub cache_control: HeaderValue,
    /// `AQUIFER_COMPRESSION`.
    pub compression: Compression,
    /// `AQUIFER_INDEXES`.
    pub served: ServedIndexes,
}

/// Whether answers are packed for clients that unpack them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Where the sender passes a packed answer on however it is set up: everywhere but behind a REST API, which hands out
    /// base64 as it is unless it lists binary media types.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Compression {
    pub(super) fn applies(self, event: &Event<'_>) -> bool {
        match self {
            Self::Auto => !event.is_rest(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl Doors {
    /// Reads the variables that `get` finds.
    ///
    /// # Errors
    /// [`aquifer_indexer::ErrorKind::Invalid`], naming the variable and what it should hold.
    pub(super) fn of(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str| get(name).unwrap_or_default();
        let origins = text("AQUIFER_CORS_ORIGINS");
        let compression = text("AQUIFER_COMPRESSION");
        Ok(Self {
            base_path: path(&text("AQUIFER_BASE_PATH")),
            own_path: path(&text("AQUIFER_PATH")),
            origins: AllowedOrigins::listed(&origins)
                .map_err(|error| wrong("AQUIFER_CORS_ORIGINS", &origins, &error))?,
            cache_control: cache_control(get("AQUIFER_CACHE_CONTROL"))?,
            compression: match compression.trim() {
                "" | "auto" => Compression::Auto,
                "always" => Compression::Always,
                "never" => Compression::Never,
                other => {
                    return Err(wrong(
                        "AQUIFER_COMPRESSION",
                        other,
                        "write auto, always or never",
                    ));
                }
            },
            served: ServedIndexes::listed(&text("AQUIFER_INDEXES")),
        })
    }
}

fn cache_control(text: Option<String>) -> Result<HeaderValue> {
    let Some(text) = text else {
        return Ok(HeaderValue::from_static(DEFAULT_CACHE_CONTROL));
    };
    let value = HeaderValue::from_str(text.trim());
    value.map_err(|error| wrong("AQUIFER_CACHE_CONTROL", &text, &error.to_string()))
}

/// A path with a slash before it and none behind; nothing for the root.
fn path(text: &str) -> String {
    match text.trim().trim_matches('/') {
        "" => String::new(),
        inner => format!("/{inner}"),
    }
}
