//! What a lab's clients mount, and how: the server, and where their locks are kept.

use std::fmt;

use super::server::Kind;

/// A server, and how its clients mount it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The server.
    pub server: Kind,
    /// Where locks are kept.
    pub locks: Locks,
}

/// Where the locks of a mount are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locks {
    /// On the server, for all clients: NFS 4.1.
    OnServer,
    /// In each client, for its own processes: NFS 3 with `nolock`, as Cloud Run mounts. The Linux client of NFS 4 takes
    /// neither `nolock` nor `local_lock`.
    InClient,
}

impl Setting {
    /// NFS-Ganesha, by NFS 4.1.
    pub const GANESHA: Self = Self::new(Kind::Ganesha, Locks::OnServer);
    /// The kernel's server, by NFS 4.1.
    pub const KERNEL: Self = Self::new(Kind::Kernel, Locks::OnServer);
    /// NFS-Ganesha, by NFS 3 without locks.
    pub const GANESHA_NOLOCK: Self = Self::new(Kind::Ganesha, Locks::InClient);

    const fn new(server: Kind, locks: Locks) -> Self {
        Self { server, locks }
    }

    /// Whether a lock of one client keeps the others out.
    pub fn has_locks(self) -> bool {
        self.locks == Locks::OnServer
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = match self.server {
            Kind::Ganesha => "ganesha",
            Kind::Kernel => "kernel",
        };
        match self.locks {
            Locks::OnServer => formatter.write_str(server),
            Locks::InClient => write!(formatter, "{server}-nolock"),
        }
    }
}
