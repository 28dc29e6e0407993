//! Each rule is broken in the smallest way, and is the one that is reported.

mod build;
mod drafts;
mod past;
mod present;
mod ranges;
mod steps;
mod storage;

use std::collections::BTreeSet;

use self::build::Pair;
use super::*;

/// The names of all rules that `verdict` finds broken.
fn broken(verdict: impl Fn(Check) -> Verdict) -> Vec<&'static str> {
    let judged = RULES.iter().map(|rule| (rule, verdict(rule.check)));
    let mut names = Vec::new();
    for (rule, verdict) in judged {
        if let Err(violation) = verdict {
            assert_eq!(violation.rule, rule.number, "{}: {violation}", rule.name);
            names.push(rule.name);
        }
    }
    names
}

/// The names of the cheap rules that a version breaks on its base.
fn broken_by(pair: &Pair) -> Vec<&'static str> {
    broken(|check| match check {
        Check::Version(check) => check(&pair.next),
        Check::Step(check) => check(&pair.base, &pair.next),
        _ => Ok(()),
    })
}

#[test]
fn every_rule_has_been_seen_broken() {
    let mut seen: BTreeSet<&str> = steps::cases().iter().map(|case| case.rule).collect();
    seen.extend(past::cases().iter().map(|case| case.rule));
    seen.extend(present::RULES_BROKEN);
    seen.extend(drafts::RULES_BROKEN);
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(seen, all);
    assert_eq!(all.len(), RULES.len(), "two rules have one name");
}
