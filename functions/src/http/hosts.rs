//! The host names that a server answers to.
//!
//! A web page can point its own name at a loopback address (DNS rebinding). Its browser then takes the server there
//! for the page's own, and lets it read and delete everything. Only the Host header still carries the page's name.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::uri::Authority;

/// The name that allows every other one.
const ANY: &str = "*";

/// Which names in Host are answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Rule);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Rule {
    /// All of them: whoever routes requests here has chosen the name.
    #[default]
    Any,
    /// The names of the loopback address, and these.
    Listed {
        names: Vec<String>,
        /// Every address is answered too. An address is no name, so that nobody can point it elsewhere.
        addresses: bool,
    },
}

impl AllowedHosts {
    /// What a server that listens on `address` answers to besides its own loopback names. Elsewhere than on a loopback
    /// address, `names` are the only ones once there are any.
    pub fn on(address: IpAddr, names: &[String]) -> Self {
        // A variable that is empty lists nothing.
        let names: Vec<String> = names
            .iter()
            .map(|name| plain(name))
            .filter(|name| !name.is_empty())
            .collect();
        let any = names.iter().any(|name| name == ANY);
        let local = address.is_loopback();
        if any || (!local && names.is_empty()) {
            return Self(Rule::Any);
        }
        Self(Rule::Listed {
            names,
            addresses: !local,
        })
    }

    /// Whether a Host header with this value is answered, whatever its port.
    pub(crate) fn allow(&self, host: &str) -> bool {
        let Rule::Listed { names, addresses } = &self.0 else {
            return true;
        };
        let Some(name) = name_of(host) else {
            return false;
        };
        match address(&name) {
            Some(address) => address.is_loopback() || *addresses || names.contains(&name),
            None => name == "localhost" || name.ends_with(".localhost") || names.contains(&name),
        }
    }
}

/// Checks an entry of a list of allowed names.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub fn host_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let has_port = text.parse::<SocketAddr>().is_ok()
        || text
            .parse::<Authority>()
            .is_ok_and(|host| host.port().is_some());
    if text.is_empty() || text == ANY || (!has_port && name_of(text).is_some()) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is no host name: write it without a scheme, a port or a path, such as search.example.com"
    ))
}

/// The name in a Host header, without its port.
fn name_of(host: &str) -> Option<String> {
    if host.contains('@') {
        return None;
    }
    let authority: Authority = host.trim().parse().ok()?;
    Some(plain(authority.host()))
}

/// One spelling for each name.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn address(name: &str) -> Option<IpAddr> {
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match inner {
        Some(inner) => inner
            .parse::<Ipv6Addr>()
            .ok()
            .map(|address| IpAddr::V6(address).to_canonical()),
        None => name.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(address: &str, names: &[&str]) -> AllowedHosts {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        AllowedHosts::on(address.parse().unwrap(), &names)
    }

    #[track_caller]
    fn check(hosts: &AllowedHosts, allowed: bool, names: &[&str]) {
        for name in names {
            assert_eq!(hosts.allow(name), allowed, "{name}");
        }
    }

    #[test]
    fn a_loopback_server_answers_to_loopback_names_only() {
        for address in ["127.0.0.1", "127.9.8.7", "::1"] {
            let hosts = on(address, &[]);
            let own = [
                "localhost",
                "LOCALHOST:8080",
                "localhost.",
                "app.localhost:1",
                "127.0.0.1:80",
            ];
            check(&hosts, true, &own);
            check(
                &hosts,
                true,
                &["127.255.0.9", "[::1]", "[::1]:8080", "[::ffff:127.0.0.1]"],
            );
            let others = [
                "evil.example",
                "localhost.evil.example:8080",
                "notlocalhost",
                "10.0.0.1",
            ];
            check(&hosts, false, &others);
            check(
                &hosts,
                false,
                &[
                    "",
                    "localhost@evil.example",
                    "evil.example@localhost",
                    "a b",
                    "[::2]",
                ],
            );
        }
    }

    #[test]
    fn a_name_that_is_listed_is_answered_too() {
        let hosts = on("127.0.0.1", &["Search.example.com"]);
        check(
            &hosts,
            true,
            &["search.example.com:443", "SEARCH.EXAMPLE.COM.", "localhost"],
        );
        check(&hosts, false, &["example.com", "x.search.example.com"]);
        check(&on("127.0.0.1", &["*"]), true, &["evil.example"]);
    }

    #[test]
    fn elsewhere_every_name_is_answered_until_some_are_listed() {
        check(&on("0.0.0.0", &[]), true, &["evil.example", "10.0.0.1"]);
        let hosts = on("0.0.0.0", &["search.example.com"]);
        // A health check uses the address.
        check(
            &hosts,
            true,
            &[
                "search.example.com",
                "10.0.0.1:8080",
                "[fd00::1]",
                "localhost",
            ],
        );
        check(&hosts, false, &["evil.example"]);
    }

    #[test]
    fn only_names_can_be_listed() {
        for right in ["", "*", "search.example.com", "10.0.0.1", "[fd00::1]"] {
            assert_eq!(host_name(right).unwrap(), right);
        }
        for wrong in ["http://x", "x:80", "x/y", "a b", "a@b", "[::1]:80"] {
            assert!(
                host_name(wrong).unwrap_err().contains("without a scheme"),
                "{wrong}"
            );
        }
    }
}
