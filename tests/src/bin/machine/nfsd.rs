//! The NFS server of the Linux kernel, without its daemons: what they would answer is written into the kernel's
//! caches beforehand.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::mount::{MountFlags, mount, mount_bind};

/// The server's disk, which outlives the machine.
const DISK: &str = "/dev/ubda";
const STORE: &str = "/run/store";
/// As a time: never.
const NEVER: u32 = i32::MAX.cast_unsigned();
/// Insecure ports, no check of sub-trees, an identity of its own, from the kernel's `nfsd/export.h`.
const EXPORT_FLAGS: u32 = 0x2402;

/// Exports a folder of the disk to everybody on the NFS network.
pub(crate) fn serve(lease_seconds: &str) -> Result<()> {
    fs::create_dir(STORE)?;
    mount(DISK, STORE, "ext4", MountFlags::empty(), None).context("the server's disk")?;
    let (export, recovery) = (format!("{STORE}/export"), format!("{STORE}/recovery"));
    let fresh = !fs::exists(&recovery)?;
    fs::create_dir_all(&export)?;
    fs::create_dir_all(&recovery)?;
    mount_bind(&export, &export)?;
    mount("nfsd", "/proc/fs/nfsd", "nfsd", MountFlags::empty(), None)?;
    // Must come first: with leases it would grant delegations, which EFS never does.
    set("/proc/sys/fs/leases-enable", "0")?;
    // Nobody is asked about clients of before: the kernel keeps them in this folder itself.
    nfsd("nfsv4recoverydir", &recovery)?;
    nfsd("versions", "-2 -3 +4 -4.0 +4.1 -4.2")?;
    nfsd("nfsv4leasetime", lease_seconds)?;
    nfsd("nfsv4gracetime", lease_seconds)?;
    // With little memory the default is less than what EFS takes.
    nfsd("max_block_size", "1048576")?;
    nfsd("portlist", "tcp 2049")?;
    for number in (2..=60).chain([254]) {
        set(
            "/proc/net/rpc/auth.unix.ip/channel",
            &format!("nfsd 10.99.0.{number} {NEVER} lab"),
        )?;
    }
    set(
        "/proc/net/rpc/nfsd.export/channel",
        &format!("lab {export} {NEVER} {EXPORT_FLAGS} -2 -2 0"),
    )?;
    set(
        "/proc/net/rpc/nfsd.fh/channel",
        &format!("lab 1 \\x00000000 {NEVER} {export}"),
    )?;
    nfsd("threads", "8")?;
    if fresh {
        nfsd("v4_end_grace", "Y")?;
    }
    let status = Command::new("sync").status()?;
    ensure!(status.success(), "sync: {status}");
    Ok(())
}

fn nfsd(name: &str, value: &str) -> Result<()> {
    set(&format!("/proc/fs/nfsd/{name}"), value)
}

fn set(path: &str, value: &str) -> Result<()> {
    // A line at once: the kernel takes neither less nor more.
    fs::write(path, format!("{value}\n")).with_context(|| format!("{path} = {value}"))
}
