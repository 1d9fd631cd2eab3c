//! A program as a container engine runs it: in a root that holds what the image holds and nothing else, read-only, as user 65532, with one volume.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use super::process::{Part, Running};

/// The user and group of the images.
pub const USER: u32 = 65_532;

/// Where the one volume is mounted.
pub const VOLUME: &str = "/data";

/// What a runtime gives every container.
const DEVICES: [&str; 4] = ["null", "zero", "random", "urandom"];

/// In a mount namespace of its own: the root read-only, then the volume over its mount point, then what the runtime gives; no environment.
const ENTER: &str = r#"set -e
root="$1"; volume="$2"; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$volume" "$root/data"
mount -t proc proc "$root/proc"
for device in null zero random urandom; do mount --bind "/dev/$device" "$root/dev/$device"; done
exec env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot --userspec=65532:65532 --groups= "$root" "$@""#;

/// A root for one image.
#[derive(Debug)]
pub struct EmptyRoot {
    folder: PathBuf,
    volume: PathBuf,
    program: String,
}

impl EmptyRoot {
    /// Whether this machine lets us make one; the reason where it does not.
    pub async fn possible() -> Result<()> {
        let enter = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "chroot", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .context("unshare (util-linux) is missing")?;
        ensure!(enter.success(), "a mount namespace needs the rights of root here");
        Ok(())
    }

    /// Makes the root with this program in it: certificates, users, and for a program that is not static the libraries of the base `cc`.
    ///
    /// # Errors
    /// When it cannot be made, or the program needs a library that no base image has.
    pub async fn make(folder: &Path, program: &Path) -> Result<Self> {
        let root = folder.join("root");
        for below in ["usr/bin", "etc/ssl/certs", "etc/sealgate", "data", "proc", "dev", "tmp"] {
            std::fs::create_dir_all(root.join(below))?;
        }
        for device in DEVICES {
            std::fs::write(root.join("dev").join(device), "")?;
        }
        std::fs::write(
            root.join("etc/passwd"),
            "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n",
        )?;
        std::fs::write(root.join("etc/group"), "root:x:0:\nnonroot:x:65532:\n")?;
        let authorities = Path::new("/etc/ssl/certs/ca-certificates.crt");
        if authorities.exists() {
            std::fs::copy(authorities, root.join("etc/ssl/certs/ca-certificates.crt"))?;
        }
        let name = program.file_name().and_then(|name| name.to_str()).context("a program without a name")?;
        std::fs::copy(program, root.join("usr/bin").join(name))?;
        for library in libraries(program).await? {
            let place = root.join(library.strip_prefix("/")?);
            std::fs::create_dir_all(place.parent().context("a library without a folder")?)?;
            std::fs::copy(&library, place)?;
        }
        let volume = folder.join("volume");
        std::fs::create_dir_all(&volume)?;
        let made = Self { folder: root, volume, program: format!("/usr/bin/{name}") };
        made.give(&made.volume)?;
        Ok(made)
    }

    /// The volume, as it is seen from outside.
    #[must_use]
    pub fn volume(&self) -> &Path {
        &self.volume
    }

    /// Writes a file into the image's `/etc/sealgate`, as a ConfigMap does; gives its path inside.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, name: &str, text: &str) -> Result<String> {
        let inside = format!("etc/sealgate/{name}");
        std::fs::write(self.folder.join(&inside), text)?;
        Ok(format!("/{inside}"))
    }

    /// Puts a file into the volume; only the program's user may read it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        let file = self.volume.join(name);
        std::fs::write(&file, content)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
        self.give(&file)
    }

    /// Runs the program to its end; gives what it printed.
    ///
    /// # Errors
    /// When it does not succeed.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("unshare");
        command.args(self.entering()?).args(arguments).stdin(Stdio::null());
        let output = command.output().await.context("unshare (util-linux) is missing")?;
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{} {arguments:?} ({}):\n{text}", self.program, output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts the program, to run on.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, name: &str, arguments: &[&str]) -> Result<Running> {
        Part::new(name, "unshare").args(self.entering()?).args(arguments).start()
    }

    /// Every file of the root that is not as it was put there: the program may write to its volume only.
    ///
    /// # Errors
    /// When the root cannot be read.
    pub fn files(&self) -> Result<Vec<(PathBuf, u64)>> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else {
                    files.push((entry.path(), entry.metadata()?.len()));
                }
            }
        }
        files.sort();
        Ok(files)
    }

    fn entering(&self) -> Result<Vec<String>> {
        let text =
            |path: &Path| path.to_str().map(str::to_owned).with_context(|| format!("{} is no text", path.display()));
        let before = ["--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"].map(str::to_owned);
        let after = [text(&self.folder)?, text(&self.volume)?, self.program.clone()];
        Ok(before.into_iter().chain(after).collect())
    }

    fn give(&self, path: &Path) -> Result<()> {
        std::os::unix::fs::chown(path, Some(USER), Some(USER))
            .with_context(|| format!("{} cannot be given to user {USER}", path.display()))
    }
}

/// The libraries of a program: none of a static one, only those of distroless `cc` of another.
async fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    const OF_THE_BASE: [&str; 6] = ["libc.so", "libm.so", "libgcc_s.so", "libdl.so", "libpthread.so", "ld-linux"];
    let output = Command::new("ldd").arg(program).output().await.context("ldd is missing")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut found = Vec::new();
    if !output.status.success() || text.contains("statically linked") {
        return Ok(found);
    }
    for path in text.split_whitespace().filter(|word| word.starts_with('/')) {
        if !OF_THE_BASE.iter().any(|name| path.rsplit('/').next().is_some_and(|file| file.starts_with(name))) {
            bail!("{path} is in no base image");
        }
        found.push(PathBuf::from(path));
    }
    Ok(found)
}
