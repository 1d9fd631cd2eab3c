#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::time::Duration;

use evidence::{
    ids::TreeSize,
    merkle::{root_at, tile::TileKind},
};

use super::INTEGRATED_FILE;
use crate::{
    log::LogError,
    testlog::{TestLog, add, addition, assert_proves, stream},
    tiles::tile_path,
};

/// Adds in groups of these sizes, each of which is integrated before the next.
async fn grow(test: &TestLog, groups: &[u64]) -> u64 {
    let mut first = 0;
    for count in groups {
        let log = test.open();
        let end = first + count;
        while first < end {
            let step = (end - first).min(1000);
            add(&log, addition(stream(1), first, step)).await.unwrap();
            first += step;
        }
        log.stop();
        assert_eq!(log.integrated.borrow().as_ref().unwrap().size.get(), end);
    }
    first
}

#[tokio::test]
async fn tiles_of_every_shape_are_whole_and_proofs_come_from_them() {
    for groups in [&[1][..], &[255, 1], &[256], &[257, 511, 3], &[300, 700, 70_000, 1, 65_536]] {
        let test = TestLog::new();
        let size = grow(&test, groups).await;
        assert_eq!(test.differences(), Vec::<String>::new(), "{groups:?}");
        let log = test.open();
        assert_eq!(log.nodes.size().get(), size);
        for first in [0, size / 3, size - 1] {
            let asked = addition(stream(1), first, 1);
            let receipt = add(&log, asked.clone()).await.unwrap();
            assert_proves(&log, &receipt, &asked);
        }
        log.stop();
    }
}

#[tokio::test]
async fn full_tiles_replace_their_partial_ones() {
    let test = TestLog::new();
    grow(&test, &[100, 300]).await;
    let tiles = crate::tiles::Tiles::of_log(&test.log_dir());
    for kind in [TileKind::Hashes { level: 0 }, TileKind::Entries] {
        assert!(!tiles.file(&tile_path(kind, 0, 100).unwrap()).exists());
        assert!(tiles.file(&tile_path(kind, 0, 256).unwrap()).exists());
        assert!(tiles.file(&tile_path(kind, 1, 144).unwrap()).exists());
    }
    // A reader of the old checkpoint still gets its partial tile: the full one begins with it.
    assert_eq!(tiles.hashes(0, 0, 100).unwrap().len(), 100);
}

#[tokio::test]
async fn lost_and_damaged_tiles_at_the_edge_are_made_again() {
    let test = TestLog::new();
    let size = grow(&test, &[600]).await;
    let tiles = crate::tiles::Tiles::of_log(&test.log_dir());
    let edge = tiles.file(&tile_path(TileKind::Hashes { level: 0 }, 2, 88).unwrap());
    let root = root_at(&*test.open().nodes, TreeSize::new(size)).unwrap();

    std::fs::remove_file(&edge).unwrap();
    reopened(&test, size, root).await;
    let mut bytes = std::fs::read(&edge).unwrap();
    bytes[40] ^= 0x10;
    std::fs::write(&edge, bytes).unwrap();
    reopened(&test, size, root).await;
    // CRASH: before the checkpoint file was renamed the tiles count as not written.
    std::fs::remove_file(test.log_dir().join(INTEGRATED_FILE)).unwrap();
    reopened(&test, size, root).await;
}

/// Opens, adds nothing new, and waits until the tiles are there again.
async fn reopened(test: &TestLog, size: u64, root: evidence::ids::Hash) {
    let log = test.open();
    assert_eq!(root_at(&*log.nodes, TreeSize::new(size)).unwrap(), root);
    let mut integrated = log.integrated.clone();
    let whole = integrated.wait_for(|head| head.as_ref().is_some_and(|head| head.size.get() == size));
    tokio::time::timeout(Duration::from_secs(10), whole).await.unwrap().unwrap();
    log.stop();
    drop(log);
    assert_eq!(test.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_record_store_behind_its_checkpoint_is_refused() {
    let test = TestLog::new();
    grow(&test, &[10, 10]).await;
    let database = rusqlite::Connection::open(test.log_dir().join(crate::store::FILE)).unwrap();
    database.execute("DELETE FROM records WHERE size > 10", []).unwrap();
    assert!(matches!(test.open_idle(), Err(LogError::ShownUnknown { size: 20, .. })));
}
