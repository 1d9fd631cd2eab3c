//! merkle.json and tile.json.

use evidence::ids::{Hash, LeafIndex, TreeSize};
use evidence::merkle::tile::TilePath;
use evidence::merkle::{
    CompactRange, consistency_path, inclusion_path, leaf_hash, root_at, verify_consistency, verify_inclusion,
};
use serde_json::{Value, json};

use crate::{cases, held, kit, parsed, text};

const ENTRIES: u64 = 130;

fn flipped(hash: Hash) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[0] ^= 1;
    Hash::new(bytes)
}

/// A proof and the ways to break it: first hash changed, first and last exchanged, shortened, lengthened.
fn broken_paths(path: &[Hash]) -> Vec<(&'static str, Vec<Hash>)> {
    let mut broken = vec![("one hash more", [path, &[Hash::new([0; 32])]].concat())];
    if let Some((first, rest)) = path.split_first() {
        broken.push(("first hash changed", [&[flipped(*first)], rest].concat()));
        broken.push(("first hash missing", rest.to_vec()));
        broken.push(("last hash missing", path[..path.len() - 1].to_vec()));
    }
    if path.len() > 1 {
        broken.push(("order reversed", path.iter().rev().copied().collect()));
    }
    broken
}

fn inclusion(why: &str, leaf: Hash, index: u64, size: u64, path: &[Hash], root: Hash, holds: bool) -> Value {
    json!({
        "why": why, "leaf_hash": leaf, "index": LeafIndex::new(index), "size": TreeSize::new(size), "path": path,
        "root": root, "holds": holds,
    })
}

fn consistency(why: &str, from: (u64, Hash), to: (u64, Hash), path: &[Hash], holds: bool) -> Value {
    json!({
        "why": why, "from": TreeSize::new(from.0), "from_root": from.1, "to": TreeSize::new(to.0), "to_root": to.1,
        "path": path, "holds": holds,
    })
}

#[test]
fn merkle() {
    let leaves: Vec<Hash> = (0..ENTRIES).map(|entry| leaf_hash(&entry.to_be_bytes())).collect();
    let nodes = kit::nodes(leaves.iter().copied());
    let root = |size: u64| root_at(&nodes, TreeSize::new(size)).unwrap();

    let mut inclusions = Vec::new();
    for (index, size) in [
        (0, 1),
        (0, 2),
        (1, 2),
        (2, 3),
        (0, 5),
        (4, 5),
        (3, 7),
        (6, 7),
        (5, 8),
        (8, 9),
        (16, 17),
        (127, 128),
        (128, 129),
        (64, 130),
        (129, 130),
    ] {
        let leaf = leaves[index as usize];
        let path = inclusion_path(&nodes, LeafIndex::new(index), TreeSize::new(size)).unwrap();
        let case =
            |why, leaf, index, size, path: &[Hash], root, holds| inclusion(why, leaf, index, size, path, root, holds);
        inclusions.push(case("as made", leaf, index, size, &path, root(size), true));
        inclusions.push(case("another leaf", flipped(leaf), index, size, &path, root(size), false));
        inclusions.push(case("another root", leaf, index, size, &path, flipped(root(size)), false));
        inclusions.push(case("index + 1", leaf, index + 1, size, &path, root(size), false));
        inclusions.push(case("index beyond the size", leaf, size, size, &path, root(size), false));
        inclusions.push(case("size 0", leaf, 0, 0, &path, root(size), false));
        for (why, broken) in broken_paths(&path) {
            inclusions.push(case(why, leaf, index, size, &broken, root(size), false));
        }
    }

    let mut consistencies = Vec::new();
    for (from, to) in [
        (0, 0),
        (0, 1),
        (0, 7),
        (1, 1),
        (1, 2),
        (2, 3),
        (3, 4),
        (4, 8),
        (3, 7),
        (4, 7),
        (6, 7),
        (7, 7),
        (6, 8),
        (8, 9),
        (16, 17),
        (64, 130),
        (65, 130),
        (127, 128),
        (128, 130),
        (129, 130),
    ] {
        let path = consistency_path(&nodes, TreeSize::new(from), TreeSize::new(to)).unwrap();
        let (first, second) = ((from, root(from)), (to, root(to)));
        consistencies.push(consistency("as made", first, second, &path, true));
        consistencies.push(consistency("another first root", (from, flipped(first.1)), second, &path, false));
        if from > 0 || to == 0 {
            consistencies.push(consistency("another second root", first, (to, flipped(second.1)), &path, false));
        }
        if from < to {
            consistencies.push(consistency("the wrong way round", second, first, &path, false));
        }
        for (why, broken) in broken_paths(&path) {
            consistencies.push(consistency(why, first, second, &broken, false));
        }
    }

    let made = json!({
        "description": "The tree of RFC 6962 over entries that are 8-byte big-endian counters from 0. docs/spec/log.md",
        "roots": (0..=ENTRIES).map(root).collect::<Vec<_>>(),
        "inclusion": inclusions,
        "consistency": consistencies,
    });
    let file = held("merkle.json", &made);

    let mut range = CompactRange::new();
    let roots: Vec<Hash> = parsed(&file, "roots");
    assert_eq!(roots.len() as u64, ENTRIES + 1);
    for (entry, root) in (0_u64..).zip(&roots) {
        assert_eq!(range.root(), *root, "size {entry}");
        range.append(leaf_hash(&entry.to_be_bytes())).unwrap();
    }
    for case in cases(&file, "inclusion") {
        let path: Vec<Hash> = parsed(case, "path");
        let answer = verify_inclusion(
            &parsed(case, "leaf_hash"),
            parsed(case, "index"),
            parsed(case, "size"),
            &path,
            &parsed(case, "root"),
        );
        assert_eq!(answer.is_ok(), parsed::<bool>(case, "holds"), "{case}");
    }
    for case in cases(&file, "consistency") {
        let path: Vec<Hash> = parsed(case, "path");
        let answer = verify_consistency(
            parsed(case, "from"),
            &parsed(case, "from_root"),
            parsed(case, "to"),
            &parsed(case, "to_root"),
            &path,
        );
        assert_eq!(answer.is_ok(), parsed::<bool>(case, "holds"), "{case}");
    }
}

#[test]
fn tile() {
    let made = json!({
        "description": "Paths of tiles, and texts that are none. docs/spec/log.md",
        "paths": [
            "tile/0/000", "tile/0/x001/x234/067", "tile/1/000.p/17", "tile/63/999", "tile/entries/000.p/1", "tile/entries/x001/000",
            "tile/7/x018/x446/x744/x073/x709/x551/615.p/255",
        ],
        "refused": [
            "", "tile/0", "tile/0/0", "tile/00/000", "tile/64/000", "tile/-1/000", "tile/0/x000/001", "tile/0/001/002", "tile/0/x001",
            "tile/0/000/", "/tile/0/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/data/000",
            "tile/0/../000", "tile/7/x018/x446/x744/x073/x709/x551/616",
        ],
    });
    let file = held("tile.json", &made);
    for path in cases(&file, "paths") {
        let path = path.as_str().unwrap();
        assert_eq!(path.parse::<TilePath>().unwrap().to_string(), path);
    }
    for path in cases(&file, "refused") {
        assert!(path.as_str().unwrap().parse::<TilePath>().is_err(), "{path}");
    }
    assert_eq!(text(&file, "description"), made["description"]);
}
