//! What errors say, and what they keep of their causes.

use rustix::io::Errno;

use super::*;
use crate::mount::MountOperation;

fn on_the_mount(errno: Errno) -> Error {
    MountFailure::new(MountOperation::Read, "bundles/x", errno.into()).into()
}

fn on_this_machine(errno: Errno) -> Error {
    Error::io("/tmp/x", io::Error::from(errno))
}

#[test]
fn a_failure_of_the_mount_keeps_its_path_and_its_class() {
    let failure = MountFailure::new(MountOperation::Sync, "lock.1", Errno::NOSPC.into());
    let error = Error::from(failure);
    assert_eq!(error.path(), Some(Path::new("lock.1")));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        matches!(error.reason(), Reason::Mount(failure)
            if failure.class() == FailureClass::Full && failure.operation() == MountOperation::Sync),
        "{error:?}"
    );
    assert!(error.to_string().contains("full"), "{error}");
}

#[test]
fn what_the_mount_lost_is_stale_and_a_missing_local_file_is_not() {
    for errno in [Errno::STALE, Errno::BADF, Errno::IO, Errno::NOENT] {
        assert!(on_the_mount(errno).is_stale(), "{errno:?}");
        let local = on_this_machine(errno);
        assert!(!local.is_stale(), "{local}");
        assert!(matches!(local.reason(), Reason::Local(_)), "{errno:?}");
        assert_eq!(local.kind(), ErrorKind::Unavailable);
    }
    for errno in [Errno::NOSPC, Errno::ACCESS, Errno::ROFS, Errno::AGAIN] {
        assert!(!on_the_mount(errno).is_stale(), "{errno:?}");
    }
}

#[test]
fn everybody_who_waits_gets_the_same_error() {
    let cause = io::Error::from(Errno::IO);
    let first = Error::outcome_unknown("it is not known", on_the_mount(Errno::STALE)).at("HEAD");
    let damaged = Error::corrupt("HEAD", "it is damaged").because(cause);
    for error in [
        first,
        damaged,
        Error::new(ErrorKind::Fenced, "a newer writer"),
    ] {
        let copy = error.clone();
        assert_eq!(copy.kind(), error.kind());
        assert_eq!(copy.path(), error.path());
        assert_eq!(copy.to_string(), error.to_string());
        assert_eq!(copy.is_stale(), error.is_stale());
        match (error.source(), copy.source()) {
            (Some(one), Some(other)) => assert!(std::ptr::addr_eq(one, other), "one cause"),
            (one, other) => assert!(one.is_none() && other.is_none()),
        }
    }
}

#[test]
fn an_outcome_is_unknown_for_a_reason() {
    let unknown = Error::outcome_unknown("it is not known", on_the_mount(Errno::IO));
    assert!(unknown.is_stale(), "the newest version says what happened");
    assert!(matches!(unknown.reason(), Reason::OutcomeUnknown(_)));
    let full = Error::outcome_unknown("it is not known", on_the_mount(Errno::NOSPC));
    assert!(!full.is_stale());
    assert_eq!(full.kind(), ErrorKind::Unavailable);
}

#[test]
fn what_explains_damage_by_a_stale_read_is_damage() {
    let lost = Error::corrupt("bundles/x", "it is lost").because(on_the_mount(Errno::NOENT));
    assert!(!lost.is_stale());
    assert_eq!(lost.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_cause_is_told_once_however_deep_it_lies() {
    for (errno, cause) in [
        (Errno::ACCESS, "permission denied"),
        (Errno::IO, "os error 5"),
        (Errno::NOSPC, "full"),
    ] {
        for inner in [on_the_mount(errno), on_this_machine(errno)] {
            let path = inner.path().unwrap().display().to_string();
            let outer = Error::invalid("the source cannot be read").because(inner.clone());
            let outermost = Error::io("outer", outer.into_io());
            let unknown = Error::outcome_unknown("it is not known", outermost.clone());
            for error in [inner, outermost, unknown] {
                let text = error.to_string();
                assert_eq!(text.to_lowercase().matches(cause).count(), 1, "{text}");
                assert_eq!(text.matches(&path).count(), 1, "{text}");
            }
        }
    }
}

#[test]
fn who_has_no_descriptor_left_is_told_the_limit() {
    let limit = crate::descriptors::limit().to_string();
    for error in [on_the_mount(Errno::MFILE), on_this_machine(Errno::NFILE)] {
        let text = error.to_string();
        assert!(
            text.contains("ulimit -n") && text.contains(&limit),
            "{text}"
        );
    }
}
