// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Rfc6962} from "../src/Rfc6962.sol";
import {Counting} from "./Reference.sol";
import {Test} from "./Vm.sol";

/// @dev Gives the library calldata.
contract Verifier {
    function isExtension(uint256 m, bytes32 mRoot, uint256 n, bytes32 nRoot, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return Rfc6962.isExtension(m, mRoot, n, nRoot, proof);
    }

    function includes(bytes32 leafHash, uint256 index, uint256 size, bytes32 root, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        (bool wellFormed, bytes32 claimed) = Rfc6962.rootFrom(leafHash, index, size, path);
        return wellFormed && claimed == root;
    }

    function node(bytes32 left, bytes32 right) external view returns (bytes32) {
        return Rfc6962.node(left, right);
    }
}

contract Rfc6962Test is Test, Counting {
    uint256 private constant MAX = 160;
    Verifier private verifier = new Verifier();

    function test_empty_root_is_sha256_of_nothing() external pure {
        eq(Rfc6962.EMPTY_ROOT, sha256(""), "empty root");
    }

    function testFuzz_node(bytes32 left, bytes32 right) external view {
        eq(verifier.node(left, right), sha256(abi.encodePacked(bytes1(0x01), left, right)), "node");
    }

    function test_every_pair_of_small_sizes_is_consistent() external view {
        for (uint256 n = 0; n <= 18; ++n) {
            for (uint256 m = 0; m <= n; ++m) {
                yes(verifier.isExtension(m, mth(0, m), n, mth(0, n), consistency(m, n)), "consistency");
            }
        }
    }

    function test_every_leaf_of_small_trees_is_included() external view {
        for (uint256 n = 1; n <= 18; ++n) {
            for (uint256 i = 0; i < n; ++i) {
                yes(verifier.includes(leaf(i), i, n, mth(0, n), path(i, 0, n)), "inclusion");
            }
        }
    }

    function testFuzz_consistency(uint256 m, uint256 n) external view {
        n = bound(n, 1, MAX);
        m = bound(m, 0, n);
        yes(verifier.isExtension(m, mth(0, m), n, mth(0, n), consistency(m, n)), "consistency");
    }

    function testFuzz_inclusion(uint256 i, uint256 n) external view {
        n = bound(n, 1, MAX);
        i = bound(i, 0, n - 1);
        yes(verifier.includes(leaf(i), i, n, mth(0, n), path(i, 0, n)), "inclusion");
    }

    function testFuzz_consistency_refuses_any_change(uint256 m, uint256 n, uint256 where, uint256 bit) external view {
        n = bound(n, 2, MAX);
        m = bound(m, 1, n - 1);
        bytes32 mRoot = mth(0, m);
        bytes32 nRoot = mth(0, n);
        bytes32[] memory proof = consistency(m, n);
        bytes32 flip = bytes32(uint256(1) << bound(bit, 0, 255));

        yes(!verifier.isExtension(m, mRoot ^ flip, n, nRoot, proof), "other first root");
        yes(!verifier.isExtension(m, mRoot, n, nRoot ^ flip, proof), "other second root");
        yes(!verifier.isExtension(n, nRoot, m, mRoot, proof), "backwards");
        yes(!verifier.isExtension(0, mRoot, n, nRoot, proof), "proof from the empty tree");
        yes(!verifier.isExtension(n, nRoot, n, nRoot, proof), "proof to itself");
        yes(!verifier.isExtension(n, mRoot, n, nRoot, new bytes32[](0)), "equal size, other root");
        yes(!verifier.isExtension(0, mRoot, n, nRoot, new bytes32[](0)), "not the empty root");
        yes(!verifier.isExtension(m, mRoot, n, nRoot, longer(proof, flip)), "too long");
        yes(!verifier.isExtension(m, mRoot, n, nRoot, shorter(proof)), "too short");
        proof[bound(where, 0, proof.length - 1)] ^= flip;
        yes(!verifier.isExtension(m, mRoot, n, nRoot, proof), "other proof");
    }

    function testFuzz_inclusion_refuses_any_change(uint256 i, uint256 n, uint256 where, uint256 bit) external view {
        n = bound(n, 2, MAX);
        i = bound(i, 0, n - 1);
        bytes32 root = mth(0, n);
        bytes32[] memory proof = path(i, 0, n);
        bytes32 flip = bytes32(uint256(1) << bound(bit, 0, 255));

        yes(!verifier.includes(leaf(i) ^ flip, i, n, root, proof), "other leaf");
        yes(!verifier.includes(leaf(i), i, n, root ^ flip, proof), "other root");
        yes(!verifier.includes(leaf(i), (i + 1) % n, n, root, proof), "other index");
        yes(!verifier.includes(leaf(i), n, n, root, proof), "index past the end");
        yes(!verifier.includes(leaf(i), i, n, root, longer(proof, flip)), "too long");
        yes(!verifier.includes(leaf(i), i, n, root, shorter(proof)), "too short");
        proof[bound(where, 0, proof.length - 1)] ^= flip;
        yes(!verifier.includes(leaf(i), i, n, root, proof), "other proof");
    }

    function testFuzz_garbage_never_reverts(uint64 m, bytes32 a, uint64 n, bytes32 b, bytes32[] calldata proof)
        external
        view
    {
        if (m == n && a == b) return;
        if (m == 0 && a == Rfc6962.EMPTY_ROOT) return;
        yes(!verifier.isExtension(m, a, n, b, proof), "garbage");
        yes(!verifier.includes(a, m, n, b, proof) || (n == 1 && a == b), "garbage");
    }

    function longer(bytes32[] memory proof, bytes32 last) private pure returns (bytes32[] memory changed) {
        changed = new bytes32[](proof.length + 1);
        for (uint256 i = 0; i < proof.length; ++i) {
            changed[i] = proof[i];
        }
        changed[proof.length] = last;
    }

    function shorter(bytes32[] memory proof) private pure returns (bytes32[] memory changed) {
        changed = new bytes32[](proof.length - 1);
        for (uint256 i = 0; i < changed.length; ++i) {
            changed[i] = proof[i];
        }
    }
}
