#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::collections::HashMap;

use proptest::prelude::*;

use super::tile::{TILE_WIDTH, TileError, TileKind, TilePath, TileRange, hashes_at, node_in_tile};
use super::*;

/// RFC 6962 section 2.1, word for word: the oracle that everything else is held to.
mod oracle {
    use super::{Hash, empty_root, node_hash};

    fn split(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    pub(super) fn mth(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => empty_root(),
            1 => leaves[0],
            n => node_hash(&mth(&leaves[..split(n)]), &mth(&leaves[split(n)..])),
        }
    }

    pub(super) fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
        let n = leaves.len();
        if n == 1 {
            return Vec::new();
        }
        let k = split(n);
        let (mut path, sibling) = if m < k {
            (path(m, &leaves[..k]), mth(&leaves[k..]))
        } else {
            (path(m - k, &leaves[k..]), mth(&leaves[..k]))
        };
        path.push(sibling);
        path
    }

    pub(super) fn proof(m: usize, leaves: &[Hash]) -> Vec<Hash> {
        subproof(m, leaves, true)
    }

    fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        let n = leaves.len();
        if m == n {
            return if whole { Vec::new() } else { vec![mth(leaves)] };
        }
        let k = split(n);
        let (mut proof, sibling) = if m <= k {
            (subproof(m, &leaves[..k], whole), mth(&leaves[k..]))
        } else {
            (subproof(m - k, &leaves[k..], false), mth(&leaves[..k]))
        };
        proof.push(sibling);
        proof
    }
}

/// Every complete subtree, as appending shows it.
#[derive(Default)]
struct Nodes(HashMap<(u8, u64), Hash>);

impl NodeSource for Nodes {
    type Error = MerkleError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, MerkleError> {
        Ok(*self.0.get(&(level, index)).expect("only complete subtrees are asked for"))
    }
}

fn leaves(n: u64) -> Vec<Hash> {
    (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

fn grown(leaves: &[Hash]) -> (CompactRange, Nodes) {
    let (mut range, mut nodes) = (CompactRange::new(), Nodes::default());
    for leaf in leaves {
        range
            .append_visiting(*leaf, |level, index, hash| {
                assert!(nodes.0.insert((level, index), hash).is_none(), "a node is shown once");
            })
            .unwrap();
    }
    (range, nodes)
}

const SIZES: u64 = 130;

#[test]
fn roots_are_those_of_the_oracle_and_a_restart_changes_nothing() {
    let leaves = leaves(SIZES);
    let (_, nodes) = grown(&leaves);
    let mut range = CompactRange::new();
    for size in 0..=SIZES {
        assert_eq!(range.size(), TreeSize::new(size));
        assert_eq!(range.root(), oracle::mth(&leaves[..size as usize]), "size {size}");
        assert_eq!(root_at(&nodes, TreeSize::new(size)), Ok(range.root()));
        range = CompactRange::from_peaks(range.size(), range.peaks().to_vec()).unwrap();
        if let Some(leaf) = leaves.get(size as usize) {
            assert_eq!(range.append(*leaf), Ok(LeafIndex::new(size)));
        }
    }
    let mut at_once = CompactRange::new();
    assert_eq!(at_once.append_all(leaves.iter().copied()), Ok(LeafIndex::new(0)));
    assert_eq!(at_once.root(), oracle::mth(&leaves));
}

#[test]
fn inclusion_holds_for_every_leaf_of_every_size_and_for_no_other_place() {
    let leaves = leaves(SIZES);
    let (_, nodes) = grown(&leaves);
    for size in 1..=SIZES {
        let root = oracle::mth(&leaves[..size as usize]);
        for index in 0..size {
            let (index, size) = (LeafIndex::new(index), TreeSize::new(size));
            let leaf = &leaves[index.get() as usize];
            let path = inclusion_path(&nodes, index, size).unwrap();
            assert_eq!(path, oracle::path(index.get() as usize, &leaves[..size.get() as usize]));
            assert_eq!(verify_inclusion(leaf, index, size, &path, &root), Ok(()));
            if let Some(next) = index.checked_add(1) {
                assert!(verify_inclusion(leaf, next, size, &path, &root).is_err());
            }
            assert!(verify_inclusion(&root, index, size, &path, &root).is_err() || size.get() == 1);
            let mut longer = path.clone();
            longer.push(root);
            assert!(matches!(
                verify_inclusion(leaf, index, size, &longer, &root),
                Err(MerkleError::WrongLength { .. })
            ));
            if let Some((_, shorter)) = path.split_last() {
                assert!(matches!(
                    verify_inclusion(leaf, index, size, shorter, &root),
                    Err(MerkleError::WrongLength { .. })
                ));
            }
        }
    }
}

#[test]
fn consistency_holds_for_every_pair_of_sizes() {
    let leaves = leaves(SIZES);
    let (_, nodes) = grown(&leaves);
    let roots: Vec<Hash> = (0..=SIZES as usize).map(|size| oracle::mth(&leaves[..size])).collect();
    for to in 0..=SIZES {
        for from in 0..=to {
            let (first, second) = (&roots[from as usize], &roots[to as usize]);
            let path = consistency_path(&nodes, from.into(), to.into()).unwrap();
            if from > 0 {
                assert_eq!(path, oracle::proof(from as usize, &leaves[..to as usize]));
            }
            assert_eq!(verify_consistency(from.into(), first, to.into(), second, &path), Ok(()));
            let other = leaf_hash(b"other");
            assert!(verify_consistency(from.into(), &other, to.into(), second, &path).is_err(), "{from} {to}");
            // From the empty tree everything is consistent, whatever the second root (as the contract has it).
            if from > 0 || to == 0 {
                assert!(verify_consistency(from.into(), first, to.into(), &other, &path).is_err(), "{from} {to}");
            }
            let mut longer = path.clone();
            longer.push(other);
            assert!(verify_consistency(from.into(), first, to.into(), second, &longer).is_err());
            if let Some((_, shorter)) = path.split_last() {
                assert!(verify_consistency(from.into(), first, to.into(), second, shorter).is_err());
            }
        }
    }
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let (range, nodes) = grown(&leaves(5));
    let size = range.size();
    assert!(inclusion_path(&nodes, LeafIndex::new(5), size).is_err());
    assert!(inclusion_path(&nodes, LeafIndex::new(0), TreeSize::new(0)).is_err());
    assert!(consistency_path(&nodes, size, TreeSize::new(4)).is_err());
    let root = range.root();
    assert!(verify_inclusion(&root, LeafIndex::new(0), TreeSize::new(0), &[], &root).is_err());
    assert!(verify_consistency(TreeSize::new(6), &root, size, &root, &[]).is_err());
    assert!(CompactRange::from_peaks(TreeSize::new(5), vec![root]).is_err());
}

#[test]
fn the_largest_sizes_do_not_overflow() {
    let hash = leaf_hash(b"x");
    let (last, size) = (LeafIndex::new(u64::MAX - 1), TreeSize::new(u64::MAX));
    let error = root_from_inclusion(&hash, last, size, &[]).unwrap_err();
    // 2^64 − 1 leaves: the last is a right child of a left child 63 times.
    assert_eq!(error, MerkleError::WrongLength { found: 0, needed: 63 });
    assert!(root_from_inclusion(&hash, last, size, &[hash; 63]).is_ok());
    assert!(root_from_inclusion(&hash, LeafIndex::new(0), size, &[hash; 64]).is_ok());
    for from in [1, 2, 3, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX - 1] {
        for length in 0..130 {
            let _ = verify_consistency(from.into(), &hash, size, &hash, &vec![hash; length]);
        }
    }
    let mut full = CompactRange::from_peaks(size, vec![hash; 64]).unwrap();
    assert_eq!(full.append(hash), Err(MerkleError::Full));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_hash_never_passes(size in 2_u64..600, at in any::<prop::sample::Index>(), bit in 0_usize..256, which in any::<prop::sample::Index>()) {
        let leaves = leaves(size);
        let (range, nodes) = grown(&leaves);
        let index = at.index(size as usize) as u64;
        let mut path = inclusion_path(&nodes, index.into(), size.into()).unwrap();
        let place = which.index(path.len());
        let mut bytes = *path[place].as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        path[place] = Hash::new(bytes);
        prop_assert!(verify_inclusion(&leaves[index as usize], index.into(), size.into(), &path, &range.root()).is_err());
    }

    #[test]
    fn a_rewritten_leaf_breaks_consistency(size in 2_u64..300, from in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
        let honest = leaves(size);
        let from = from.index(size as usize - 1) + 1;
        let mut rewritten = honest.clone();
        rewritten[at.index(from)] = leaf_hash(b"rewritten");
        let (range, nodes) = grown(&rewritten);
        let path = consistency_path(&nodes, (from as u64).into(), size.into()).unwrap();
        prop_assert!(verify_consistency((from as u64).into(), &oracle::mth(&honest[..from]), size.into(), &range.root(), &path).is_err());
    }
}

#[test]
fn tile_paths_are_those_of_c2sp() {
    let path = |kind, index, width| TilePath::new(kind, index, width).unwrap().to_string();
    let hashes = |level| TileKind::Hashes { level };
    assert_eq!(path(hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(path(hashes(1), 0, 17), "tile/1/000.p/17");
    assert_eq!(path(TileKind::Entries, 999, 256), "tile/entries/999");
    assert_eq!(path(TileKind::Entries, 1000, 1), "tile/entries/x001/000.p/1");
    for text in [
        "tile/0/x001/x234/067",
        "tile/63/000",
        "tile/entries/x001/000.p/255",
        "tile/7/x018/x446/x744/x073/x709/x551/615",
    ] {
        assert_eq!(text.parse::<TilePath>().unwrap().to_string(), text);
    }
}

#[test]
fn other_tile_paths_are_refused() {
    for text in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/x001",
        "tile/0/X001/002",
        "tile/0/000/",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/01",
        "tile/0/000.p/1/2",
        "tile/0/000.p/+1",
        "tile/0/000.p/1.p/1",
        "tile/data/000",
        "tile/entries/abc",
        "tile/0/../000",
        "tile/0/٠٠٠",
        "tile/7/x018/x446/x744/x073/x709/x551/616",
    ] {
        assert_eq!(text.parse::<TilePath>(), Err(TileError::Path), "{text}");
    }
    for text in ["tile/64/000", "tile/256/000", "tile/65536/000"] {
        assert_eq!(text.parse::<TilePath>(), Err(TileError::Level), "{text}");
    }
    for text in ["tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/65536"] {
        assert_eq!(text.parse::<TilePath>(), Err(TileError::Width), "{text}");
    }
    assert_eq!(TilePath::new(TileKind::Entries, 0, 257), Err(TileError::Width));
}

#[test]
fn a_node_is_the_root_over_its_place_in_a_tile() {
    let (_, nodes) = grown(&leaves(70_000));
    for ((level, index), hash) in &nodes.0 {
        let TileRange { tile_level, tile_index, first, count } = node_in_tile(*level, *index).unwrap();
        let start = tile_index * u64::from(TILE_WIDTH) + u64::from(first);
        let below: Vec<Hash> = (start..start + u64::from(count)).map(|i| nodes.0[&(tile_level * 8, i)]).collect();
        assert!(first + count <= TILE_WIDTH);
        assert_eq!(oracle::mth(&below), *hash, "level {level} index {index}");
    }
    assert!(node_in_tile(64, 0).is_err());
    assert!(node_in_tile(63, 2).is_err());
    assert!(node_in_tile(7, u64::MAX).is_err());
}

#[test]
fn the_widths_of_70000_leaves_are_those_of_c2sp() {
    // C2SP tlog-tiles, Partial Tiles.
    assert_eq!([hashes_at(0, 70_000) / 256, hashes_at(0, 70_000) % 256], [273, 112]);
    assert_eq!([hashes_at(1, 70_000) / 256, hashes_at(1, 70_000) % 256], [1, 17]);
    assert_eq!([hashes_at(2, 70_000) / 256, hashes_at(2, 70_000) % 256], [0, 1]);
    assert_eq!(hashes_at(8, u64::MAX), 0);
}

proptest! {
    #[test]
    fn every_tile_path_reads_back(level in 0_u8..=63, index in any::<u64>(), width in 1_u16..=256, entries in any::<bool>()) {
        let kind = if entries { TileKind::Entries } else { TileKind::Hashes { level } };
        let path = TilePath::new(kind, index, width).unwrap();
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }
}
