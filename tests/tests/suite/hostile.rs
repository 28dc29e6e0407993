//! Clients that are slow, greedy or broken, and one server that must go on answering everybody else.

mod bodies;
mod connections;
mod logging;
mod memory;
mod quoting;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Longer than anything here may take; only a broken server needs as much.
const PATIENCE: Duration = Duration::from_secs(90);

const MIB: usize = 1024 * 1024;

/// A connection to a server, on which nothing was sent.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The beginning of a request with a body of `length` bytes.
fn head(path: &str, length: usize, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{headers}\r\n")
}

/// Everything that comes until the server closes the connection.
fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection may also be reset; what came before that counts.
    drop(stream.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends one request with a gzip body on a connection of its own, and gives the whole answer.
fn post_gzip(address: SocketAddr, path: &str, packed: &[u8]) -> String {
    send_gzip(address, "POST", path, packed)
}

fn send_gzip(address: SocketAddr, method: &str, path: &str, packed: &[u8]) -> String {
    let mut stream = connect(address);
    let length = packed.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-encoding: gzip\r\n\
         content-length: {length}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    // It may be refused before it has come whole.
    drop(stream.write_all(packed));
    read_all(&mut stream)
}

fn status_of(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    status
        .parse()
        .unwrap_or_else(|_| panic!("no answer: {answer:?}"))
}

/// `before`, so many times `repeated`, and `after`, packed.
fn gzip(before: &str, repeated: &str, times: usize, after: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(before.as_bytes()).unwrap();
    for _ in 0..times {
        packer.write_all(repeated.as_bytes()).unwrap();
    }
    packer.write_all(after.as_bytes()).unwrap();
    packer.finish().unwrap()
}
