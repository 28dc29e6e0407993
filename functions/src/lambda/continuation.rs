//! Whether an invocation that had no time for everything goes on in another one.
//!
//! The next schedule would repair everything, so a chain of invocations is only for speed, and
//! is ended rather too early than too late.

use super::order::{Continuation, Order};
use super::round::IndexReport;

/// Invocations after the first in one chain. Lambda itself ends a chain of a function that invokes
/// itself at about sixteen, and tells nobody but its owner's mailbox.
pub const CONTINUATIONS_MAX: u32 = 14;

/// Invocations in a row that may change nothing: the first may have had bad luck.
pub const IDLE_MAX: u32 = 2;

/// How a chain goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Nothing is left.
    Done,
    /// This is left to the next invocation.
    Continue(Order),
    /// Something is left, to the next schedule: for this reason.
    Stop(&'static str),
}

/// What follows on `order`, whose rounds came to `reports`; there was no time for the indexes `unreached`.
pub fn next(order: &Order, reports: &[IndexReport], unreached: &[String]) -> Next {
    let left = reports.iter().filter(|report| report.is_left());
    let mut indexes: Vec<String> = left.map(|report| report.index.clone()).collect();
    indexes.extend_from_slice(unreached);
    if indexes.is_empty() {
        return Next::Done;
    }
    let unstarted = reports.iter().any(|report| report.unstarted)
        || reports.is_empty() && order.reindex.is_some();
    // An index that is through is progress too: the list gets shorter.
    let progressed = reports
        .iter()
        .any(|report| report.progressed || !report.is_left());
    let before = order.continuation;
    let continuation = Continuation {
        count: before.count + 1,
        idle: if progressed { 0 } else { before.idle + 1 },
    };
    if continuation.idle >= IDLE_MAX {
        return Next::Stop("nothing changed in the last invocations");
    }
    if continuation.count > CONTINUATIONS_MAX {
        return Next::Stop("the chain of invocations is as long as it may become");
    }
    Next::Continue(Order {
        indexes: Some(indexes),
        tasks: Some(order.tasks()),
        reindex: order.reindex.clone().filter(|_| unstarted),
        continuation,
    })
}

#[cfg(test)]
mod tests {
    use aquifer_indexer::reindex::ReindexRequest;

    use super::super::order::Task;
    use super::*;

    fn report(index: &str, left: &[Task], progressed: bool) -> IndexReport {
        IndexReport {
            index: index.to_owned(),
            left: left.to_vec(),
            progressed,
            ..IndexReport::default()
        }
    }

    fn names(next: Next) -> (Vec<String>, Continuation) {
        match next {
            Next::Continue(order) => (order.indexes.unwrap(), order.continuation),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_is_left_goes_on() {
        let order = Order::default();
        assert_eq!(next(&order, &[report("a", &[], false)], &[]), Next::Done);
        let reports = [report("a", &[], true), report("b", &[Task::Merge], false)];
        let (indexes, continuation) = names(next(&order, &reports, &["c".to_owned()]));
        assert_eq!(indexes, ["b", "c"]);
        assert_eq!(continuation, Continuation { count: 1, idle: 0 });
    }

    #[test]
    fn a_chain_that_gets_nowhere_ends() {
        let mut order = Order::default();
        let stuck = [report("a", &[Task::Reindex], false)];
        match next(&order, &stuck, &[]) {
            Next::Continue(next) => order = next,
            other => panic!("{other:?}"),
        }
        assert_eq!(order.continuation, Continuation { count: 1, idle: 1 });
        let stopped = next(&order, &stuck, &[]);
        assert!(matches!(stopped, Next::Stop(_)), "{stopped:?}");
        // Once it moves, the count of what was in vain begins anew.
        let moved = [report("a", &[Task::Reindex], true)];
        assert_eq!(names(next(&order, &moved, &[])).1.idle, 0);
    }

    #[test]
    fn a_chain_that_gets_somewhere_ends_too() {
        let moved = [report("a", &[Task::Reindex], true)];
        let mut order = Order::default();
        for _ in 0..CONTINUATIONS_MAX {
            match next(&order, &moved, &[]) {
                Next::Continue(next) => order = next,
                other => panic!("{other:?}"),
            }
        }
        let stopped = next(&order, &moved, &[]);
        assert!(matches!(stopped, Next::Stop(_)), "{stopped:?}");
    }

    #[test]
    fn a_job_is_started_once() {
        let order = Order {
            indexes: Some(vec!["a".to_owned()]),
            reindex: Some(ReindexRequest::default()),
            ..Order::default()
        };
        let check = |reports: &[IndexReport], unreached: &[String], expected: bool| match next(
            &order, reports, unreached,
        ) {
            Next::Continue(next) => assert_eq!(next.reindex.is_some(), expected, "{next:?}"),
            other => panic!("{other:?}"),
        };
        check(&[report("a", &[Task::Reindex], true)], &[], false);
        let unstarted = IndexReport {
            unstarted: true,
            ..report("a", &[Task::Reindex], false)
        };
        check(&[unstarted], &[], true);
        check(&[], &["a".to_owned()], true);
    }
}
