//! What a process uses, by `/proc`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

/// The length of a tick of `/proc/PID/stat`: 100 a second on every Linux that we run on (`USER_HZ`).
const TICK_MS: f64 = 10.0;

/// A process under measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Its id.
    pub pid: u32,
}

/// What it holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// Threads.
    pub threads: u64,
    /// File descriptors that are no TCP connections.
    pub files: u64,
    /// TCP connections by local port; the port it listens on has those of its clients.
    pub connections: BTreeMap<u16, u64>,
}

impl Measured {
    /// CPU time so far, user and system, in milliseconds.
    pub fn cpu_ms(self) -> f64 {
        let text = self.read("stat").unwrap_or_default();
        // The name before the last parenthesis may hold anything.
        let after = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
        (ticks(11) + ticks(12)) * TICK_MS
    }

    /// Most memory that was resident since [`Measured::forget_peak`], in KiB.
    pub fn peak_kib(self) -> u64 {
        self.status("VmHWM:")
    }

    /// Memory that is resident, in KiB.
    pub fn resident_kib(self) -> u64 {
        self.status("VmRSS:")
    }

    /// Begins a new peak where the kernel allows it.
    pub fn forget_peak(self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid), "5");
    }

    /// Whether it lives.
    pub fn lives(self) -> bool {
        self.read("stat").is_ok_and(|text| !text.contains(") Z "))
    }

    /// What it holds now.
    pub fn held(self) -> Held {
        let mut held = Held { threads: self.status("Threads:"), ..Held::default() };
        let mut sockets = BTreeSet::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten() {
            let link = fs::read_link(entry.path()).unwrap_or_default();
            let text = link.to_string_lossy();
            match text.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
                Some(inode) => drop(sockets.insert(inode.to_owned())),
                None => held.files += 1,
            }
        }
        for line in self.read("net/tcp").unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, state, ..] = fields.as_slice() else { continue };
            let inode = fields.get(9).copied().unwrap_or_default();
            // 0A: it listens.
            if !sockets.contains(inode) || *state == "0A" {
                continue;
            }
            let port = local.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
            *held.connections.entry(port.unwrap_or_default()).or_default() += 1;
        }
        held
    }

    fn status(self, name: &str) -> u64 {
        let text = self.read("status").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    }

    fn read(self, name: &str) -> io::Result<String> {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid))
    }
}

impl Held {
    /// Connections of clients on `port`.
    pub fn clients(&self, port: u16) -> u64 {
        self.connections.get(&port).copied().unwrap_or_default()
    }

    /// Connections to others than the clients of these ports.
    pub fn outbound(&self, ports: &[u16]) -> u64 {
        self.connections.iter().filter(|(port, _)| !ports.contains(port)).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process};

    use super::*;

    #[test]
    fn this_process_is_seen_as_it_is() {
        let own = Measured { pid: process::id() };
        // Other tests of this process grow it between two looks.
        let resident = own.resident_kib();
        assert!(own.lives() && own.peak_kib() >= resident && resident > 1000);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        assert_eq!(own.held().clients(address.port()), 0);
        let client = std::net::TcpStream::connect(address).expect("a connection");
        let accepted = listener.accept().expect("a connection");
        let held = own.held();
        assert_eq!((held.clients(address.port()), held.threads > 0, held.files > 0), (1, true, true));
        drop((client, accepted));
        assert_eq!(own.held().clients(address.port()), 0);
    }
}
