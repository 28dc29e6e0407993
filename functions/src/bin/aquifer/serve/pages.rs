//! What web pages and caches may do: the arguments of a server that browsers reach.

use std::net::IpAddr;

use aquifer_functions::http::{AllowedHosts, AllowedOrigins, DEFAULT_CACHE_CONTROL, host_name};
use axum::http::HeaderValue;
use clap::Args;

/// Hosts, origins and caches.
#[derive(Args, Debug)]
pub(crate) struct Pages {
    /// A host name that requests may ask for, besides localhost and the loopback addresses; several
    /// comma-separated or repeated; * allows every name. On a loopback address no other name is
    /// answered, elsewhere every name is until this is given
    #[arg(long = "allowed-host", env = "AQUIFER_ALLOWED_HOSTS", value_name = "NAME", value_delimiter = ',',
          value_parser = host_name)]
    allowed_hosts: Vec<String>,
    /// Origins of web pages that may read answers and write, comma-separated, such as
    /// `https://www.example.com`; * allows every page [default: none]
    #[arg(long = "cors-origin", env = "AQUIFER_CORS_ORIGINS", value_name = "LIST", default_value = "",
          hide_default_value = true, value_parser = AllowedOrigins::listed)]
    cors_origins: AllowedOrigins,
    /// The header Cache-Control of searches and documents that are read with GET
    #[arg(long, env = "AQUIFER_CACHE_CONTROL", value_name = "VALUE", default_value = DEFAULT_CACHE_CONTROL)]
    cache_control: HeaderValue,
}

impl Pages {
    /// The names that a server on this address answers to.
    pub(crate) fn hosts(&self, address: IpAddr) -> AllowedHosts {
        AllowedHosts::on(address, &self.allowed_hosts)
    }

    /// The pages that are allowed.
    pub(crate) fn origins(&self) -> AllowedOrigins {
        self.cors_origins.clone()
    }

    /// What caches are told.
    pub(crate) fn cache_control(&self) -> HeaderValue {
        if self.cache_control.is_empty() {
            return HeaderValue::from_static(DEFAULT_CACHE_CONTROL);
        }
        self.cache_control.clone()
    }
}
