use everwake::*;

#[client_methods]
pub trait DoorClient {
    fn creaked(&self, volume: u32) -> bool;
    fn slammed(how: &str) {}
}

fn main() {}
