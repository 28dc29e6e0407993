//! `aquifer search`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use aquifer_functions::http::search_answer;
use aquifer_indexer::quote::visible;
use aquifer_indexer::search::{Hit, Operator, SearchRequest, SearchResponse, Sort};
use clap::Args;
use serde_json::Value;

use crate::place::Place;
use crate::report::grouped;
use crate::terminal::{Style, one_line};

/// How long a search may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Characters of a document's text that are shown where nothing in it is highlighted.
const EXCERPT_CHARACTERS: usize = 150;

/// Search an index
///
/// Words (any may match, more and closer ones come first), "phrases", -not, OR, field:value,
/// ranges such as updated_at:>=2024-01-01, prefix*. Put a query that begins with a hyphen behind
/// `--`, or the whole query in quotation marks.
#[derive(Args, Debug)]
pub(crate) struct Search {
    #[command(flatten)]
    place: Place,
    /// Only documents with this tag; given more than once, with all of them
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// The language of the words (en, ja, ...); without it, every language of the index
    #[arg(long, visible_alias = "lang", alias = "default-language")]
    language: Option<String>,
    /// A condition that does not score, such as updated_at:>=2024-01-01
    #[arg(long)]
    filter: Vec<String>,
    /// The order, such as updated_at:desc,price; without it, the best first
    #[arg(long, value_parser = Sort::parse_list)]
    sort: Vec<Vec<Sort>>,
    /// Whether any word may match (or) or all must (and)
    #[arg(long, default_value = "or")]
    operator: Operator,
    /// How many results
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// How many results to pass over
    #[arg(long, default_value_t = 0)]
    offset: usize,
    /// Print the answer as the service would give it
    #[arg(long)]
    json: bool,
    /// What to look for; nothing finds everything
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
}

impl Search {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let started = Instant::now();
        let index = self.place.read()?;
        let request = SearchRequest {
            query: self.words.join(" "),
            operator: self.operator,
            lang: self.language,
            tags: self.tag,
            filter: self.filter,
            sort: self.sort.into_iter().flatten().collect(),
            limit: self.limit,
            offset: self.offset,
            highlight: !self.json,
            ..SearchRequest::default()
        };
        let response = index.search(&request, started + PATIENCE)?;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut out = io::stdout().lock();
        if self.json {
            out.write_all(&search_answer(&request, response, took_ms)?)?;
            writeln!(out)?;
        } else {
            out.write_all(readable(&request, &response, took_ms, Style::of_stdout())?.as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn readable(
    request: &SearchRequest,
    response: &SearchResponse,
    took_ms: u64,
    style: Style,
) -> Result<String> {
    let mut text = String::new();
    for (at, hit) in response.hits.iter().enumerate() {
        write_hit(&mut text, request.offset + at + 1, hit, style)?;
    }
    let summary = format!(
        "{} of {} results (version {}, {took_ms} ms)",
        response.hits.len(),
        grouped(response.count.get()),
        response.version
    );
    writeln!(text, "{}", style.faint(&summary))?;
    Ok(text)
}

fn write_hit(text: &mut String, number: usize, hit: &Hit, style: Style) -> Result<()> {
    let source: Value = serde_json::from_str(hit.source.get())?;
    let field = |name: &str| {
        source
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let title = field("title").unwrap_or(&hit.unique_key);
    writeln!(text, "{number:>3}. {}", style.title(title))?;
    let mut facts = vec![hit.unique_key.clone()];
    facts.extend(field("lang").map(str::to_owned));
    let tags: Vec<_> = match source.get("tags") {
        Some(Value::Array(tags)) => tags.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(tag)) => vec![tag],
        _ => Vec::new(),
    };
    if !tags.is_empty() {
        facts.push(format!("tags: {}", tags.join(", ")));
    }
    facts.extend(hit.score.map(|score| format!("score {score:.2}")));
    writeln!(text, "     {}", style.faint(&facts.join(" | ")))?;
    // The title stands above already.
    let fragments = hit.highlight.iter().filter(|(name, _)| *name != "title");
    let mut snippet: Vec<_> = fragments
        .flat_map(|(_, fragments)| fragments)
        .take(2)
        .collect();
    snippet.retain(|fragment| !fragment.trim().is_empty());
    if snippet.is_empty() {
        let content = one_line(field("content").unwrap_or_default());
        let excerpt: String = content.chars().take(EXCERPT_CHARACTERS).collect();
        if !excerpt.is_empty() {
            let more = if excerpt.len() < content.len() {
                " ..."
            } else {
                ""
            };
            writeln!(text, "     {}{more}", visible(&excerpt))?;
        }
    }
    for fragment in snippet {
        writeln!(text, "     {}", style.fragment(fragment))?;
    }
    writeln!(text)?;
    Ok(())
}
