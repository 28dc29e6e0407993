//! The report of an examination for people: one line for each assumption.

use std::io::{self, Write};

use aquifer_indexer::doctor::{DoctorReport, Finding, Judgement, Latency};
use aquifer_indexer::quote::visible;

/// Writes the report.
pub(super) fn write(out: &mut impl Write, report: &DoctorReport) -> io::Result<()> {
    for line in lines(report) {
        writeln!(out, "{}", visible(&line))?;
    }
    Ok(())
}

fn lines(report: &DoctorReport) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", report.root.display(), mounted(report))];
    lines.push(format!("compared with {}", report.seen_from));
    lines.push(String::new());
    lines.extend(report.findings.iter().map(line));
    lines.push(String::new());
    lines.push(format!(
        "{:8}{:>7}{:>12}{:>12}",
        "call", "count", "p50", "max"
    ));
    lines.extend(report.latencies.iter().map(row));
    lines.push(String::new());
    let count = |judgement| report.judged(judgement).count();
    lines.push(format!(
        "{} assumptions: {} hold, {} do not hold, {} are only warnings, {} are not known ({} ms)",
        report.findings.len(),
        count(Judgement::Holds),
        count(Judgement::DoesNotHold),
        count(Judgement::Warning),
        count(Judgement::Unknown),
        report.took_ms
    ));
    if report.needs_a_peer() {
        lines.push(
            "Another machine may see something else: run `aquifer doctor --listen HOST:PORT` there, and add --peer here."
                .to_owned(),
        );
    }
    lines
}

fn mounted(report: &DoctorReport) -> String {
    match &report.mount {
        Some(mount) => format!(
            "{} of {} on {} ({})",
            mount.kind,
            mount.source,
            mount.folder,
            mount.options.join(",")
        ),
        None => "the system does not tell what is mounted there".to_owned(),
    }
}

fn line(finding: &Finding) -> String {
    let judged = finding.judgement.words();
    let Finding {
        check,
        assumed,
        seen,
        ..
    } = finding;
    let advice = finding.advice.map(|advice| format!(". {advice}"));
    let advice = advice.unwrap_or_default();
    format!("{judged:13}  {check:17} {assumed}: {seen}{advice}")
}

fn row(latency: &Latency) -> String {
    format!(
        "{:8}{:>7}{:>12}{:>12}",
        latency.call,
        latency.count,
        milliseconds(latency.p50_us),
        milliseconds(latency.max_us)
    )
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_what_to_do() {
        let finding = Finding {
            check: "lock",
            judgement: Judgement::DoesNotHold,
            assumed: "a lock has one holder",
            seen: "both got it".to_owned(),
            advice: Some("Run one writer."),
        };
        assert_eq!(
            line(&finding),
            "does not hold  lock              a lock has one holder: both got it. Run one writer."
        );
        assert_eq!(milliseconds(12_034), "12.034 ms");
    }
}
