//! Who holds a port: so that a taken port is an error that says what to stop.

use std::fs;
use std::path::Path;

/// Which kind of port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The gate's.
    Udp,
    /// The admin API's.
    Tcp,
}

impl Protocol {
    /// As people say it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Udp => "UDP",
            Protocol::Tcp => "TCP",
        }
    }

    /// Chooses another port.
    pub fn flag(self) -> &'static str {
        match self {
            Protocol::Udp => "--port",
            Protocol::Tcp => "--admin-port",
        }
    }
}

/// Message and hint about ports that are taken: all at once, so that one change is enough.
pub fn taken(ports: &[(Protocol, u16)]) -> (String, String) {
    let (mut lines, mut stops, mut flags) = (Vec::new(), Vec::new(), Vec::new());
    for &(protocol, port) in ports {
        let name = protocol.name();
        match holder(protocol, port) {
            Some((pid, command)) => {
                lines.push(format!("The {name} port `{port}` is taken by `{command}`, process `{pid}`."));
                stops.push(format!("`kill {pid}`"));
            }
            None => lines.push(format!("The {name} port `{port}` is taken by another user's process.")),
        }
        let other = port.checked_add(100).unwrap_or(port - 100);
        flags.push(format!("{} {other}", protocol.flag()));
    }
    stops.dedup();
    let ports = if ports.len() == 1 { "another port" } else { "other ports" };
    let flags = flags.join(" ");
    let hint = match stops.is_empty() {
        true => format!("Use {ports}: `{flags}`."),
        false => format!(
            "Stop what holds it with {} (a `dev` of ours: `everwake shutdown` in its folder), or use {ports}: `{flags}`.",
            stops.join(" and ")
        ),
    };
    (lines.join("\n"), hint)
}

/// Process and command line name that hold a port; none if that cannot be seen.
pub fn holder(protocol: Protocol, port: u16) -> Option<(u32, String)> {
    let tables: &[&str] = match protocol {
        Protocol::Udp => &["/proc/net/udp", "/proc/net/udp6"],
        Protocol::Tcp => &["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let texts: Vec<String> = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).collect();
    let inode = texts.iter().find_map(|text| inode_of(text, port))?;
    let wanted = format!("socket:[{inode}]");
    let mut pids: Vec<u32> = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|it| it.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let pid = pids.into_iter().find(|pid| holds(*pid, &wanted))?;
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, command.trim().to_owned()))
}

fn holds(pid: u32, socket: &str) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|it| fs::read_link(it.path()).is_ok_and(|target| target == Path::new(socket)))
}

/// Inode of the socket that is bound to a port, in the text of `/proc/net/udp` and the like.
fn inode_of(table: &str, port: u16) -> Option<u64> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state) = (fields.get(1)?, fields.get(3)?);
        // 0A listens (TCP), 07 is bound (UDP); others are connections.
        let bound = local.ends_with(&suffix) && matches!(*state, "0A" | "07");
        fields.get(9).filter(|_| bound)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_sockets_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            1: 0100007F:128B 0100007F:9999 01 00000000:00000000 00:00000000 00000000  0 0 11 2\n\
            2: 0100007F:128B 00000000:0000 07 00000000:00000000 00:00000000 00000000  0 0 4711 2\n";
        assert_eq!(inode_of(table, 4747), Some(4711));
        assert_eq!(inode_of(table, 4748), None);
        assert_eq!(inode_of("", 1), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn our_own_port_is_held_by_us() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(holder(Protocol::Udp, port).map(|it| it.0), Some(std::process::id()));
        let (message, hint) = taken(&[(Protocol::Udp, port)]);
        assert!(message.contains(&port.to_string()) && hint.contains("--port"), "{message} {hint}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let other = listener.local_addr().unwrap().port();
        let (message, hint) = taken(&[(Protocol::Udp, port), (Protocol::Tcp, other)]);
        assert_eq!(message.lines().count(), 2, "{message}");
        assert!(message.contains(&format!("UDP port `{port}`")), "{message}");
        assert!(message.contains(&format!("TCP port `{other}`")), "{message}");
        assert_eq!(hint.matches("`kill ").count(), 1, "one process holds both: {hint}");
        assert!(hint.contains("other ports: `--port ") && hint.contains(" --admin-port "), "{hint}");
    }
}
