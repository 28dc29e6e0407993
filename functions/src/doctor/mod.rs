//! The second process of an examination of the mount, and what it is told.
//!
//! A program that examines starts itself once more ([`SecondProcess`]) with the words `doctor-partner ROOT`. As such
//! ([`partner_if_asked`]) it reads [`Order`](aquifer_indexer::doctor::Order)s from standard input, a line of JSON each,
//! and writes a [`Reply`] for each. It ends with its input, so that it does not outlive the program that started it.

mod partner;
mod reply;
mod second_process;

pub use partner::partner_if_asked;
pub use reply::Reply;
pub use second_process::SecondProcess;

/// The first argument of a second process.
const PARTNER: &str = "doctor-partner";
