//! Chance from the operating system: the one seed that a process draws.

use std::io::Read as _;

/// 256 bits that nobody can guess.
pub fn seed() -> std::io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}
