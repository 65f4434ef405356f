use everwake::*;

#[client_methods]
pub trait DoorClient {
    fn opened(with: List<Secret<String>>);
}

#[entity(client = DoorClient)]
pub struct Door {
    #[attr(client)]
    code: Secret<String>,
}

#[methods]
impl Door {
    #[rpc(all_clients)]
    fn read(&mut self) -> Option<Secret<String>> {
        None
    }
}

fn main() {}
