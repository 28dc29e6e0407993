//! The server does what it is asked, and its reply is lost.

use std::thread;
use std::time::Duration;

use aquifer_tests::eventually;
use aquifer_tests::lab::{Lab, Mounted, Plan, Proxy, Setting};

use crate::scene::{View, batch, check};

/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);

/// What becomes of the server before the client gets through again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// It remembers the session, and what it answered.
    Remembers,
    /// It was killed and started again: the client asks anew for what was done already.
    Forgets,
}

pub(crate) fn the_nonce_decides(setting: Setting) {
    let lab = Lab::boot(Plan::new(setting, 2));
    let proxy = Proxy::start();
    lab.client('A').mount(Mounted::Through(proxy.port()));
    lab.client('B').mount(Mounted::ReadOnly);
    let (writer, reader) = (
        lab.client('A').serve().start(),
        lab.client('B').serve().read_only().start(),
    );
    let lost = [
        ("CREATE", Server::Remembers),
        ("CREATE", Server::Forgets),
        ("OPEN", Server::Remembers),
        ("WRITE", Server::Remembers),
        ("WRITE", Server::Forgets),
        ("LOCK", Server::Remembers),
        ("LOCKU", Server::Remembers),
    ];
    // Where there are no locks, the server is not asked for any.
    let applies = |(operation, _): &(&str, Server)| {
        setting.has_locks() || !["LOCK", "LOCKU"].contains(operation)
    };
    for (number, (operation, server)) in lost.into_iter().filter(applies).enumerate() {
        // The first posts to an index take the lock.
        let index = format!("index-{number}");
        writer.create_index(&index);
        let [writer, reader] = [&writer, &reader].map(|serving| View::new(serving, &index));
        writer.post(&batch("base", 0..1));
        let before = reader.version();
        proxy.forget();
        proxy.lose_reply(operation);
        let own = writer.clone();
        let asked = thread::spawn(move || own.post(&batch("lost", 0..1)));
        eventually("the reply is lost", PATIENCE, || {
            proxy.is_closed().then_some(())
        });
        if server == Server::Forgets {
            lab.server().kill();
            lab.server().restart();
        }
        proxy.allow();
        let version = asked.join().unwrap();
        let what = format!("{operation}, the server {server:?}");
        assert!(
            proxy.called(operation) >= 2,
            "{what}: it was not asked again"
        );
        assert_eq!(reader.count("lost"), 1, "{what}");
        // Once, whatever the client was told the second time.
        assert_eq!(
            (version, reader.version()),
            (before + 1, before + 1),
            "{what}"
        );
        check(lab.client('A'), &index);
    }
}

/// What is asked of the index `wanted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Create,
    Delete,
}

pub(crate) fn an_index_is_created_and_deleted_once(setting: Setting) {
    let lab = Lab::boot(Plan::new(setting, 2));
    let proxy = Proxy::start();
    lab.client('A').mount(Mounted::Through(proxy.port()));
    lab.client('B').mount(Mounted::ReadOnly);
    let (writer, reader) = (
        lab.client('A').serve().start(),
        lab.client('B').serve().read_only().start(),
    );
    let lost = [
        (Asked::Create, "RENAME", Server::Remembers),
        (Asked::Delete, "RENAME", Server::Remembers),
        (Asked::Create, "RENAME", Server::Forgets),
        (Asked::Delete, "RENAME", Server::Forgets),
        (Asked::Create, "RENAME", Server::Remembers),
        (Asked::Delete, "REMOVE", Server::Forgets),
    ];
    for (act, operation, server) in lost {
        proxy.forget();
        proxy.lose_reply(operation);
        let client = (*writer).clone();
        let asked = thread::spawn(move || match act {
            Asked::Create => client.try_put("/indexes/wanted"),
            Asked::Delete => client.try_delete("/indexes/wanted"),
        });
        eventually("the reply is lost", PATIENCE, || {
            proxy.is_closed().then_some(())
        });
        if server == Server::Forgets {
            lab.server().kill();
            lab.server().restart();
        }
        proxy.allow();
        let answer = asked.join().unwrap().unwrap();
        let what = format!("{act:?}, {operation}, the server {server:?}");
        let there = reader.get("/indexes/wanted").status;
        match act {
            Asked::Create => assert_eq!((answer.status, there), (201, 200), "{what}: {answer:?}"),
            Asked::Delete => assert_eq!((answer.status, there), (204, 404), "{what}: {answer:?}"),
        }
        if act == Asked::Create {
            let view = View::new(&writer, "wanted");
            view.post(&batch("new", 0..3));
            assert_eq!(View::new(&reader, "wanted").count("new"), 3, "{what}");
        }
    }
}
