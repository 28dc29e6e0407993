//! Namespaces of its own for each story: network, processes and mounts.
//!
//! The test starts itself again inside them, as the first process there: when it ends, the kernel ends everything
//! else. Its standard input is a pipe from the outer process; when that dies, the pipe closes, and the story ends too.

use std::env;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use super::packages::Packages;

/// Tells the inner process its story.
const STORY: &str = "AQUIFER_LAB_STORY";

/// The story this process was started for, if it runs inside.
pub fn story() -> Option<String> {
    env::var(STORY).ok()
}

pub(super) fn inside() -> bool {
    story().is_some()
}

/// Why no lab can run here, in a line; `None` when it can.
pub fn missing() -> Option<String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some("user-mode Linux needs Linux on x86-64".into());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("namespaces and the NFS server need root".into());
    }
    for program in ["apt-get", "dpkg"] {
        if !Path::new("/usr/bin").join(program).exists() {
            return Some(format!("there is no {program}: its packages are Debian's"));
        }
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("there is no /dev/net/tun".into());
    }
    let tried = unshare(Path::new("true")).output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr);
            Some(format!("unshare failed: {}", error.trim()))
        }
        Err(error) => Some(format!("unshare failed: {error}")),
    }
}

fn unshare(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--pid", "--mount", "--fork", "--mount-proc"])
        .args(["--kill-child", "--propagation", "private", "--"])
        .arg(program);
    command
}

/// Starts this program again inside namespaces of its own, to run `story` there, and waits for its end. Gives what it
/// printed, as an error when it failed.
pub fn enter(story: &str) -> Result<String, String> {
    let run = || {
        let packages = Packages::unpacked();
        let child = unshare(&env::current_exe()?)
            .env(STORY, story)
            .env("PATH", packages.path())
            .env("LD_LIBRARY_PATH", packages.libraries())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.wait_with_output_keeping_stdin()
    };
    let output = run().map_err(|error: std::io::Error| error.to_string())?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    if output.status.success() {
        Ok(printed)
    } else {
        Err(format!("{printed}\n{story}: {}", output.status))
    }
}

/// Ends this process when the one that started it has died.
pub fn end_with_parent() {
    thread::spawn(|| {
        // It says nothing; the end of the pipe is the message.
        let ended = std::io::stdin().read(&mut [0]);
        // Whoever would read it may have ended too.
        drop(writeln!(
            std::io::stderr(),
            "whoever started this story has ended: {ended:?}"
        ));
        std::process::exit(1);
    });
}

/// [`std::process::Child::wait_with_output`] closes standard input, which would end the story at once.
trait KeepingStdin {
    fn wait_with_output_keeping_stdin(self) -> std::io::Result<std::process::Output>;
}

impl KeepingStdin for std::process::Child {
    fn wait_with_output_keeping_stdin(mut self) -> std::io::Result<std::process::Output> {
        let open = self.stdin.take();
        let output = self.wait_with_output();
        drop(open);
        output
    }
}
