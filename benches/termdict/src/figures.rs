//! Figures as they are measured, and the table made of two variants' figures.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Appends figures to a file, one line each: name, unit, value.
pub(crate) struct Figures {
    file: File,
}

impl Figures {
    pub(crate) fn append_to(path: &Path) -> Result<Figures> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Figures {
            file: file.with_context(|| format!("cannot write {}", path.display()))?,
        })
    }

    pub(crate) fn add(&mut self, name: &str, unit: &str, value: f64) -> Result<()> {
        eprintln!("  {name}: {}", shown(value, unit));
        Ok(writeln!(self.file, "{name}\t{unit}\t{value}")?)
    }
}

/// Half of the values are at most this.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// A share `share` (0 to 1) of the values are at most this; sorts the values.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a length is a small positive number"
    )]
    let rank = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(rank).copied().unwrap_or(f64::NAN)
}

struct Row {
    name: String,
    unit: String,
    /// The figures of each variant, one for each run.
    values: Vec<Vec<f64>>,
}

/// Prints, as Markdown, the figures of the files side by side (the median where a figure was
/// measured more than once), and those of each over those of the first.
pub(crate) fn print_table(files: &[PathBuf], out: &mut impl Write) -> Result<()> {
    let names: Vec<_> = files
        .iter()
        .filter_map(|file| file.file_stem()?.to_str())
        .collect();
    let first = names.first().copied().unwrap_or_default();
    let ratios = names.iter().skip(1).map(|name| format!("{name} / {first}"));
    let columns: Vec<_> = names
        .iter()
        .map(|name| (*name).to_owned())
        .chain(ratios)
        .collect();
    writeln!(out, "| | {} |", columns.join(" | "))?;
    writeln!(out, "|---|{}", "---:|".repeat(columns.len()))?;
    for row in rows(files)? {
        let mut runs = row.values;
        let values: Vec<f64> = runs.iter_mut().map(|runs| median(runs)).collect();
        let base = values.first().copied().unwrap_or(f64::NAN);
        let shown = values.iter().map(|value| shown(*value, &row.unit));
        let ratios = values.iter().skip(1).map(|value| ratio(*value, base));
        let cells: Vec<_> = shown.chain(ratios).collect();
        writeln!(out, "| {} | {} |", row.name, cells.join(" | "))?;
    }
    Ok(())
}

fn rows(files: &[PathBuf]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for (variant, path) in files.iter().enumerate() {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        for line in BufReader::new(file).lines() {
            let line = line?;
            let mut parts = line.split('\t');
            let (Some(name), Some(unit), Some(value)) = (parts.next(), parts.next(), parts.next())
            else {
                anyhow::bail!("{}: not a figure: {line}", path.display());
            };
            let place = rows
                .iter()
                .position(|row| row.name == name)
                .unwrap_or_else(|| {
                    let values = vec![Vec::new(); files.len()];
                    rows.push(Row {
                        name: name.to_owned(),
                        unit: unit.to_owned(),
                        values,
                    });
                    rows.len() - 1
                });
            let values = rows
                .get_mut(place)
                .and_then(|row| row.values.get_mut(variant));
            values.context("no such row")?.push(value.parse()?);
        }
    }
    Ok(rows)
}

fn shown(value: f64, unit: &str) -> String {
    match unit {
        _ if value.is_nan() => "-".to_owned(),
        "bytes" if value >= 1e6 => format!("{:.1} MB", value / 1e6),
        "bytes" if value >= 1e3 => format!("{:.1} KB", value / 1e3),
        "bytes" => format!("{value:.0} B"),
        "µs" if value >= 1e3 => format!("{:.2} ms", value / 1e3),
        "µs" => format!("{value:.2} µs"),
        "s" => format!("{value:.1} s"),
        _ => format!("{value:.0}"),
    }
}

fn ratio(value: f64, base: f64) -> String {
    let ratio = value / base;
    match ratio {
        _ if !ratio.is_finite() => "-".to_owned(),
        _ if ratio < 0.1 => format!("{ratio:.3}"),
        _ => format!("{ratio:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_list() {
        let mut values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(median(&mut values), 3.0);
        assert_eq!(quantile(&mut values, 0.99), 5.0);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn table_has_medians_and_ratios() {
        let folder = std::env::temp_dir().join(format!("termdict-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = [folder.join("A.tsv"), folder.join("B.tsv")];
        std::fs::write(&files[0], "size\tbytes\t2000\nonly A\t\t1\n").unwrap();
        std::fs::write(
            &files[1],
            "size\tbytes\t9\nsize\tbytes\t1000\nsize\tbytes\t9000\n",
        )
        .unwrap();
        let mut table = Vec::new();
        print_table(&files, &mut table).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let expected = "| | A | B | B / A |\n|---|---:|---:|---:|\n\
                        | size | 2.0 KB | 1.0 KB | 0.50 |\n| only A | 1 | - | - |\n";
        assert_eq!(String::from_utf8(table).unwrap(), expected);
    }
}
