//! `aquifer doctor` on a real mount: alone, and with another machine as its peer.

use std::time::Duration;

use aquifer_tests::eventually;
use aquifer_tests::lab::{Lab, Machine, Mounted, Plan, Process, ROOT, Setting};
use serde_json::Value;

/// What both sides know.
const TOKEN: &str = "0123456789abcdef";
/// Bounds what must happen at all.
const PATIENCE: Duration = Duration::from_secs(600);

/// The program in `machine` as the other machine; and where it listens.
fn listen(machine: &Machine) -> (Process<'_>, String) {
    let listen = format!("{}:0", machine.address());
    let arguments = ["doctor", "--listen", &listen];
    let environment = [("AQUIFER_DOCTOR_TOKEN", TOKEN)];
    let process = machine.start_aquifer("peer", &arguments, &environment);
    let url = eventually("the peer listens", PATIENCE, || {
        let printed = process.out();
        let first = printed.lines().next()?.strip_prefix("listening on ")?;
        Some(first.to_owned())
    });
    (process, url)
}

/// Examines in `machine`, and expects this exit status; gives the report.
#[track_caller]
fn examine(machine: &Machine, peer: Option<&str>, expected: i32) -> Value {
    let mut arguments = vec!["doctor", "--json"];
    if let Some(url) = peer {
        arguments.extend(["--token", TOKEN, "--peer", url]);
    }
    let (code, out, err) = machine.aquifer(&arguments);
    assert_eq!(code, Some(expected), "{out}{err}");
    assert_eq!(machine.names(""), Vec::<String>::new(), "something is left");
    serde_json::from_str(&out).unwrap()
}

/// The findings with this judgement.
fn judged<'a>(report: &'a Value, judgement: &str) -> Vec<&'a Value> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["judgement"] == judgement)
        .collect()
}

pub(crate) fn finds_a_mount_well_from_one_machine_and_from_two(setting: Setting) {
    let lab = Lab::boot(Plan::new(setting, 2));
    let (a, b) = (lab.client('A'), lab.client('B'));
    for machine in [a, b] {
        machine.mount(Mounted::ReadWrite);
    }
    a.run(&["mkdir", ROOT]);
    let alone = examine(a, None, 0);
    assert_eq!(judged(&alone, "holds").len(), 16, "{alone:#}");
    assert_eq!(alone["mount"]["kind"], "nfs4", "{alone:#}");
    let options = alone["mount"]["options"].as_array().unwrap();
    assert!(options.contains(&"hard".into()), "{options:?}");

    let (peer, url) = listen(b);
    let together = examine(a, Some(&url), 0);
    assert_eq!(judged(&together, "holds").len(), 16, "{together:#}");
    assert_eq!(together["other_machine"], true);
    peer.kill();
}

pub(crate) fn finds_locks_that_stay_on_one_machine(setting: Setting) {
    let lab = Lab::boot(Plan::new(setting, 2));
    let (a, b) = (lab.client('A'), lab.client('B'));
    for machine in [a, b] {
        machine.mount(Mounted::ReadWrite);
    }
    a.run(&["mkdir", ROOT]);
    let checks = |findings: Vec<&Value>| -> Vec<String> {
        let named = findings.iter().map(|finding| finding["check"].as_str());
        named.map(|name| name.unwrap().to_owned()).collect()
    };
    // The options say so; on one machine nothing else does.
    let alone = examine(a, None, 0);
    assert_eq!(
        checks(judged(&alone, "unknown")),
        ["mount-options", "lock"],
        "{alone:#}"
    );
    let (peer, url) = listen(b);
    let together = examine(a, Some(&url), 1);
    assert_eq!(
        checks(judged(&together, "does_not_hold")),
        ["lock"],
        "{together:#}"
    );
    peer.kill();
}
