//! The log's directory: one holder at a time, never a network file system, and files that are whole or absent.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Why the directory cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// Another process holds it.
    #[error("{dir} is held by another sidecar; a log has one writer: stop that one or correct log.dir")]
    Held {
        /// The directory.
        dir: String,
    },
    /// It lies on a network file system.
    #[error(
        "{dir} lies on a network file system ({kind}), where locks and syncs may lie; \
         move log.dir to a local volume, or accept the danger with log.danger_network_file_system = true"
    )]
    Network {
        /// The directory.
        dir: String,
        /// The file system's name.
        kind: String,
    },
    /// The file system failed.
    #[error("{path}: {source}")]
    Io {
        /// File or directory that failed.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl VolumeError {
    /// An error of the file system at `path`.
    pub fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }
}

/// The directory, held exclusively until dropped.
///
/// INVARIANT: at most one live `Volume` a directory and machine (an OS lock on the file `lock`, which the kernel
/// releases when the holder dies). What the lock cannot see, the lease epoch in the record store fences.
#[derive(Debug)]
pub struct Volume {
    dir: PathBuf,
    _lock: File,
}

impl Volume {
    /// Makes the directory when absent and holds it.
    ///
    /// # Errors
    /// [`VolumeError`] when it is held, on a network file system (unless allowed), or cannot be written.
    pub fn hold(dir: &Path, allow_network: bool) -> Result<Self, VolumeError> {
        ensure_dir(dir)?;
        let dir = dir.canonicalize().map_err(|error| VolumeError::io(dir, error))?;
        if let Some(kind) = network_file_system(&dir).filter(|_| !allow_network) {
            return Err(VolumeError::Network { dir: dir.display().to_string(), kind });
        }
        let path = dir.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| VolumeError::io(&path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(VolumeError::Held { dir: dir.display().to_string() }),
            Err(TryLockError::Error(error)) => Err(VolumeError::io(&path, error)),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The name of the network file system that holds `dir`, where it is one (Linux; elsewhere unknown and allowed).
fn network_file_system(dir: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mount_kind(&mounts, dir).filter(|kind| is_network(kind))
}

/// The file system of the innermost mount over `dir`, out of the text of `mountinfo` (proc(5)).
fn mount_kind(mounts: &str, dir: &Path) -> Option<String> {
    mounts
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let point = unescape(before.split(' ').nth(4)?);
            let kind = after.split(' ').next()?;
            dir.starts_with(&point).then(|| (Path::new(&point).components().count(), kind.to_owned()))
        })
        // Of equally deep mounts the last one covers the others.
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, kind)| kind)
}

/// Undoes the octal escapes of `mountinfo` for the characters that it escapes.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn is_network(kind: &str) -> bool {
    const NETWORK: [&str; 19] = [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "9p",
        "ceph",
        "glusterfs",
        "lustre",
        "beegfs",
        "gpfs",
        "ocfs2",
        "gfs2",
        "orangefs",
        "davfs",
        "sshfs",
        "virtiofs",
    ];
    NETWORK.contains(&kind.strip_prefix("fuse.").unwrap_or(kind))
}

/// Makes a directory and its missing parents, each durable in its parent.
///
/// # Errors
/// [`VolumeError::Io`] when one cannot be made or synced.
pub fn ensure_dir(dir: &Path) -> Result<(), VolumeError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = parent_of(dir);
    ensure_dir(parent)?;
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(VolumeError::io(dir, error)),
    }
    sync_dir(parent)
}

/// The directory that lists a path; the present one for a bare name.
fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes what a directory lists durable.
///
/// # Errors
/// [`VolumeError::Io`] when the system refuses.
pub fn sync_dir(dir: &Path) -> Result<(), VolumeError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| VolumeError::io(dir, error))
}

/// Replaces one file durably.
///
/// CRASH: temporary file, sync, rename, sync of the directory; a reader and a restart see the old file or the new one.
///
/// # Errors
/// [`VolumeError::Io`]; the old file is then still whole.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), VolumeError> {
    let mut batch = Batch::default();
    batch.write(path, bytes)?;
    batch.finish()
}

/// Several durable files; each is whole when written, all are durable when [`Batch::finish`] returns.
#[derive(Debug, Default)]
pub struct Batch {
    dirs: BTreeSet<PathBuf>,
}

impl Batch {
    /// Writes one file under a temporary name, syncs it and renames it into its place.
    ///
    /// # Errors
    /// [`VolumeError::Io`].
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), VolumeError> {
        let dir = parent_of(path);
        if !self.dirs.contains(dir) {
            ensure_dir(dir)?;
        }
        // One writer holds the volume, so one temporary name a file is enough; a leftover is overwritten.
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&temporary, path)).map_err(|error| VolumeError::io(path, error))?;
        self.dirs.insert(dir.to_owned());
        Ok(())
    }

    /// Makes every rename durable.
    ///
    /// # Errors
    /// [`VolumeError::Io`].
    pub fn finish(self) -> Result<(), VolumeError> {
        self.dirs.iter().try_for_each(|dir| sync_dir(dir))
    }
}

/// Writes a new file that only its owner may read; an existing one is never overwritten.
///
/// # Errors
/// [`VolumeError::Io`], with `AlreadyExists` when the file is there.
pub fn create_secret(path: &Path, bytes: &[u8]) -> Result<(), VolumeError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| VolumeError::io(path, error))?;
    sync_dir(parent_of(path))
}

#[cfg(test)]
mod tests;
