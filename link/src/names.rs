//! Who is at an end of a link: role, name, and which life of the process.

use crate::limits::NAME_BYTES_MAX;
use everwake_protocol::cluster::Incarnation;
use std::fmt;
use std::str::FromStr;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Runs spaces.
    Game,
    /// Routes messages.
    Dispatcher,
    /// Holds clients.
    Gate,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Game, Role::Dispatcher, Role::Gate];

    /// As in a greeting.
    pub const fn code(self) -> u8 {
        match self {
            Role::Game => 1,
            Role::Dispatcher => 2,
            Role::Gate => 3,
        }
    }

    /// From a greeting.
    pub fn from_code(code: u8) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.code() == code)
    }

    /// As in a certificate and in texts.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Game => "game",
            Role::Dispatcher => "dispatcher",
            Role::Gate => "gate",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Names a process among those of its role, over all its lives. Written `role/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName {
    role: Role,
    name: String,
}

/// A text that names no process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Another role.
    #[error("`{0}` is no role; hint: use `game`, `dispatcher` or `gate`")]
    Role(String),
    /// Characters or length.
    #[error("`{0}` is no name of a process; hint: use 1 to {NAME_BYTES_MAX} of a-z, 0-9, `-` and `_`")]
    Name(String),
    /// Not `role/name`.
    #[error("`{0}` is not of the form `role/name`")]
    Form(String),
}

impl PeerName {
    /// A name of 1 to 64 bytes, each of a-z, 0-9, `-` or `_`: it stands in certificates and logs as it is.
    pub fn new(role: Role, name: &str) -> Result<PeerName, NameError> {
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(fine) {
            return Err(NameError::Name(name.chars().take(NAME_BYTES_MAX).collect()));
        }
        Ok(PeerName { role, name: name.to_owned() })
    }

    /// The only one of its role, in a process that has all of them.
    pub fn only(role: Role) -> PeerName {
        PeerName { role, name: "only".to_owned() }
    }

    /// What it does.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its name among those of its role.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.role, self.name)
    }
}

impl FromStr for PeerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<PeerName, NameError> {
        let (role, name) = text.split_once('/').ok_or_else(|| NameError::Form(text.to_owned()))?;
        let found = Role::ALL.into_iter().find(|known| known.word() == role);
        PeerName::new(found.ok_or_else(|| NameError::Role(role.to_owned()))?, name)
    }
}

/// One life of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which process.
    pub peer: PeerName,
    /// Which of its lives. The start counter must be greater with each start.
    pub incarnation: Incarnation,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (start {})", self.peer, self.incarnation.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_and_read() {
        let peer: PeerName = "gate/west-1".parse().unwrap();
        assert_eq!(
            (peer.role(), peer.name(), peer.to_string().as_str()),
            (Role::Gate, "west-1", "gate/west-1")
        );
        for bad in ["gate", "gate/", "gate/A", "gate/a/b", "fox/a", "gate/a b", "gate/\u{e9}"] {
            assert!(bad.parse::<PeerName>().is_err(), "{bad}");
        }
        assert!(PeerName::new(Role::Game, &"a".repeat(64)).is_ok());
        assert!(PeerName::new(Role::Game, &"a".repeat(65)).is_err());
        for role in Role::ALL {
            assert_eq!(Role::from_code(role.code()), Some(role));
        }
        assert_eq!(Role::from_code(0), None);
    }
}
