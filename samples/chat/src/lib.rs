//! A chat: log in, join a room, talk.
//!
//! Everyone begins as an [`Account`], which can only log in. It then gives its client to an
//! [`Avatar`] and is gone. Rooms are spaces; the one [`Lobby`] knows names and rooms.

use everwake::*;

mod account;
#[cfg(not(feature = "v2"))]
mod avatar;
#[cfg(feature = "v2")]
#[path = "avatar_v2.rs"]
mod avatar;
mod lobby;
mod room;
#[cfg(feature = "trouble")]
mod trouble;

pub use account::Account;
pub use avatar::Avatar;
pub use lobby::Lobby;
pub use room::Room;

// The second version says more; its rules are tested with the first one's in `tests/`.
#[cfg(all(test, not(feature = "v2")))]
mod tests;

/// Which version this is, in every answer to `version`. Set `CHAT_VERSION` while building to
/// make versions that differ in nothing else.
pub const VERSION: &str = match option_env!("CHAT_VERSION") {
    Some(version) => version,
    None if cfg!(feature = "v2") => "2",
    None => "1",
};

/// From version 2 on, everything said carries a mark, so that people see which code ran.
fn marked(text: String) -> String {
    if VERSION == "1" { text } else { format!("{text} [v{VERSION}]") }
}

module! {
    name: "chat",
    label: "chat",
    types: [Account, Avatar, Room, Lobby],
    capabilities: ["broadcast"],
}
