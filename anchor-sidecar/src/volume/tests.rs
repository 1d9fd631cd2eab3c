#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::{io, path::Path};

use tempfile::TempDir;

use super::{Volume, VolumeError, create_secret, mount_kind, network_file_system, replace};

#[test]
fn a_second_holder_is_refused_until_the_first_is_gone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a/b");
    let first = Volume::hold(&path, false).unwrap();
    assert!(matches!(Volume::hold(&path, false), Err(VolumeError::Held { .. })));
    drop(first);
    Volume::hold(&path, false).unwrap();
}

#[test]
fn network_mounts_are_known_by_the_innermost_mount() {
    let mounts = "\
        22 27 0:21 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
        23 27 0:22 / /srv rw - nfs4 host:/export rw\n\
        24 27 0:23 / /srv/local\\040disk rw - xfs /dev/vdb rw\n\
        25 27 0:24 / /home rw - fuse.sshfs host: rw\n";
    let kind = |path: &str| mount_kind(mounts, Path::new(path));
    assert_eq!(kind("/var/lib").as_deref(), Some("ext4"));
    assert_eq!(kind("/srv/log").as_deref(), Some("nfs4"));
    assert_eq!(kind("/srv/local disk/log").as_deref(), Some("xfs"));
    assert_eq!(kind("/srvlog").as_deref(), Some("ext4"));
    assert_eq!(kind("/home/log").as_deref(), Some("fuse.sshfs"));
    for (kind, network) in [("nfs4", true), ("fuse.sshfs", true), ("ext4", false), ("tmpfs", false), ("overlay", false)]
    {
        assert_eq!(super::is_network(kind), network, "{kind}");
    }
}

#[test]
fn the_test_directory_is_local() {
    assert_eq!(network_file_system(&TempDir::new().unwrap().path().canonicalize().unwrap()), None);
}

#[test]
fn replacing_leaves_one_whole_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("deep/er/file");
    replace(&path, b"one").unwrap();
    replace(&path, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_secret_is_never_overwritten_and_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("key");
    create_secret(&path, b"one").unwrap();
    let second = create_secret(&path, b"two");
    assert!(matches!(second, Err(VolumeError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists));
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_bare_name_lies_in_the_present_directory() {
    assert_eq!(super::parent_of(Path::new("proof.json")), Path::new("."));
    assert_eq!(super::parent_of(Path::new("/a/b")), Path::new("/a"));
    super::ensure_dir(Path::new(".")).unwrap();
}
