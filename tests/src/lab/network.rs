//! Two bridges in the namespace: one for NFS, one for the test's orders.

use std::process::Command;

/// The network that carries NFS and suffers the faults.
pub(super) const NFS: Network = Network {
    bridge: "nfs",
    prefix: "10.99.0",
};
/// The network that carries orders and HTTP.
pub(super) const CONTROL: Network = Network {
    bridge: "control",
    prefix: "10.98.0",
};
/// The server's number in both.
pub(super) const SERVER: u8 = 1;
/// The number of the namespace itself.
pub(super) const HERE: u8 = 254;
/// The number of client A; the others follow.
const FIRST_CLIENT: u8 = 11;

/// One of the two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    pub(super) bridge: &'static str,
    prefix: &'static str,
}

impl Network {
    pub(super) fn address(self, number: u8) -> String {
        format!("{}.{number}", self.prefix)
    }

    /// The name of a machine's plug.
    pub(super) fn tap(self, machine: char) -> String {
        format!("{machine}-{}", self.bridge)
    }

    /// Makes the plug of a machine, and plugs it in. A frame must never be larger than the machine's buffers, so
    /// nothing may leave segmenting to it: a machine that cannot take a frame never receives one again.
    pub(super) fn plug_new(self, machine: char) {
        let tap = self.tap(machine);
        ip(&["tuntap", "add", &tap, "mode", "tap"]);
        let small = ["gso_max_segs", "1", "gso_max_size", "1515"];
        ip(&[
            &["link", "set", &tap, "master", self.bridge, "up"][..],
            &small[..],
        ]
        .concat());
    }

    /// Pulls the plug. Never by taking the interface down, after which the machine's driver stays dead for ever.
    pub(super) fn unplug(self, machine: char) {
        ip(&["link", "set", &self.tap(machine), "nomaster"]);
    }

    pub(super) fn plug(self, machine: char) {
        ip(&["link", "set", &self.tap(machine), "master", self.bridge]);
    }
}

/// The number of a client in both networks.
pub(super) fn number(client: char) -> u8 {
    let letter = u8::try_from(client).unwrap();
    FIRST_CLIENT + (letter - b'A')
}

/// Makes both, with the namespace's own addresses.
pub(super) fn lay() {
    ip(&["link", "set", "lo", "up"]);
    for network in [NFS, CONTROL] {
        ip(&["link", "add", network.bridge, "type", "bridge"]);
        ip(&["link", "set", network.bridge, "up"]);
        give(network, HERE);
    }
}

/// Gives the namespace an address.
pub(super) fn give(network: Network, number: u8) {
    let address = format!("{}/24", network.address(number));
    ip(&["address", "add", &address, "dev", network.bridge]);
}

#[track_caller]
fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {error}");
}
