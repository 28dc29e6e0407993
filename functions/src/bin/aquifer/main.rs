//! aquifer
fn main() {}
