#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use evidence::{
    ids::{Hash, LeafIndex, TreeSize},
    merkle::{CompactRange, NodeSource as _, inclusion_path, leaf_hash, root_at, verify_inclusion},
};
use tempfile::TempDir;

use super::Nodes;
use crate::tiles::{TileError, Tiles};

fn leaf(number: u64) -> Hash {
    leaf_hash(&number.to_be_bytes())
}

/// Without any tile on disk the edge alone must answer for every node of a tree that was never trimmed.
#[test]
fn the_edge_gives_every_root_and_every_proof() {
    let dir = TempDir::new().unwrap();
    let nodes = Nodes::empty(Tiles::of_log(dir.path()));
    let mut range = CompactRange::new();
    for number in 0..1500 {
        nodes.append(&[leaf(number)]);
        range.append(leaf(number)).unwrap();
        let size = TreeSize::new(number + 1);
        assert_eq!(nodes.size(), size);
        if number % 97 == 0 || (number + 1).is_power_of_two() {
            assert_eq!(root_at(&nodes, size).unwrap(), range.root());
            for index in [0, number / 2, number] {
                let index = LeafIndex::new(index);
                let path = inclusion_path(&nodes, index, size).unwrap();
                verify_inclusion(&leaf(index.get()), index, size, &path, &range.root()).unwrap();
            }
        }
    }
}

#[test]
fn every_size_has_its_root_not_only_the_newest() {
    let dir = TempDir::new().unwrap();
    let nodes = Nodes::empty(Tiles::of_log(dir.path()));
    let hashes: Vec<Hash> = (0..700).map(leaf).collect();
    nodes.append(&hashes);
    let mut range = CompactRange::new();
    for (hash, size) in hashes.iter().zip(1..) {
        range.append(*hash).unwrap();
        assert_eq!(root_at(&nodes, TreeSize::new(size)).unwrap(), range.root());
    }
}

#[test]
fn a_trimmed_node_without_its_tile_is_an_error_not_another_hash() {
    let dir = TempDir::new().unwrap();
    let nodes = Nodes::empty(Tiles::of_log(dir.path()));
    nodes.append(&(0..300).map(leaf).collect::<Vec<_>>());
    nodes.trim(TreeSize::new(300));
    assert!(matches!(nodes.node(0, 5), Err(super::NodeError::Tile(TileError::Absent { .. }))));
    assert_eq!(nodes.node(0, 299).unwrap(), leaf(299));
    assert!(nodes.node(0, 300).is_err());
}
