//! The type and the options of the mount.

use super::super::evidence::{Checked, fails, holds, unknown};
use super::super::session::Session;

/// The versions of NFS that the index was tested on, and those that differ from them only by additions.
const VERSIONS: [&str; 2] = ["4.1", "4.2"];

pub(in super::super) fn are_known(session: &Session<'_>) -> Checked {
    let Some(mount) = session.mount else {
        return Ok(unknown("the system does not tell what is mounted there"));
    };
    let kind = &mount.kind;
    if mount.is_local() {
        return Ok(holds(format!("{kind}, for the processes of one machine")));
    }
    if !mount.is_nfs() {
        return Ok(unknown(format!(
            "{kind}, on which the index was not tested"
        )));
    }
    // `softerr` and `softreval` fail in their own ways, but they fail.
    if let Some(soft) = ["soft", "softerr"].into_iter().find(|soft| mount.has(soft)) {
        return Ok(fails(format!("the mount has the option `{soft}`")));
    }
    let version = mount.value("vers").unwrap_or("unknown");
    Ok(if VERSIONS.contains(&version) {
        holds(format!("NFS {version} with `hard`"))
    } else {
        unknown(format!("NFS {version}, on which the index was not tested"))
    })
}
