// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title Proofs about the Merkle tree of RFC 6962, section 2.1, with SHA-256
/// @notice Pure functions: a tree is named by its size and its root. Every malformed proof (too short, too long, of
/// another shape) gives `false`, never a revert.
/// @dev The loops are those of RFC 9162, 2.1.3.2 and 2.1.4.2, in its variable names, told level by level: where the RFC
/// shifts `fn` and `sn` until a condition holds, these pass through a level that takes no hash from the proof. Hashes
/// are taken without a bounds check: what lies behind a proof may be read, but only a proof used up exactly convinces.
library Rfc6962 {
    /// @notice Root of the tree of no leaves: SHA-256 of the empty string.
    bytes32 internal constant EMPTY_ROOT = 0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855;

    /// @notice The chain did not run the SHA-256 precompile (address 2).
    error Sha256Unavailable();

    /// @notice Whether the tree (`second`, `secondRoot`) begins with the leaves of the tree (`first`, `firstRoot`).
    /// @dev RFC 9162, 2.1.4.2, and the cases that it leaves to the caller:
    /// - `first > second`: false;
    /// - `first == second`: the roots must be equal and the proof empty;
    /// - `first == 0`: everything extends the empty tree; its root must be the empty root and the proof empty.
    function isExtension(uint256 first, bytes32 firstRoot, uint256 second, bytes32 secondRoot, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        if (first > second) return false;
        if (first == second) return firstRoot == secondRoot && proof.length == 0;
        if (first == 0) return firstRoot == EMPTY_ROOT && proof.length == 0;

        unchecked {
            uint256 fn = first - 1;
            uint256 sn = second - 1;
            (uint256 next, uint256 end) = span(proof);
            while (fn & 1 == 1) {
                fn >>= 1;
                sn >>= 1;
            }

            // Step 2: a first tree of 2^k leaves is itself the first hash of the path, and the prover leaves it out.
            bytes32 fr = firstRoot;
            if (fn != 0) (fr, next) = take(next);
            bytes32 sr = fr;

            bytes32 c;
            for (; fn != 0; fn >>= 1) {
                if (fn & 1 == 1) {
                    (c, next) = take(next);
                    (fr, sr) = nodes(c, fr, sr);
                } else if (fn != sn) {
                    (c, next) = take(next);
                    sr = node(sr, c);
                }
                sn >>= 1;
            }
            for (; sn != 0; sn >>= 1) {
                (c, next) = take(next);
                sr = node(sr, c);
            }
            return next == end && fr == firstRoot && sr == secondRoot;
        }
    }

    /// @notice The root of the tree of `size` leaves in which `leafHash` stands at `index`, as `path` claims it.
    /// @dev RFC 9162, 2.1.3.2, without its last comparison.
    /// @return wellFormed whether `path` has exactly the length that `index` and `size` ask for
    /// @return root meaningless unless `wellFormed`
    function rootFrom(bytes32 leafHash, uint256 index, uint256 size, bytes32[] calldata path)
        internal
        view
        returns (bool wellFormed, bytes32 root)
    {
        if (index >= size) return (false, 0);
        unchecked {
            uint256 fn = index;
            uint256 sn = size - 1;
            (uint256 next, uint256 end) = span(path);
            root = leafHash;
            bytes32 c;
            for (; sn != 0; sn >>= 1) {
                if (fn & 1 == 1) {
                    (c, next) = take(next);
                    root = node(c, root);
                } else if (fn != sn) {
                    (c, next) = take(next);
                    root = node(root, c);
                }
                fn >>= 1;
            }
            wellFormed = next == end;
        }
    }

    /// @dev Where a proof begins and ends in calldata.
    function span(bytes32[] calldata proof) private pure returns (uint256 next, uint256 end) {
        assembly ("memory-safe") {
            next := proof.offset
            end := add(next, shl(5, proof.length))
        }
    }

    /// @dev The hash at `next`, and where the one after it stands. Past the end of calldata it is zero.
    function take(uint256 next) private pure returns (bytes32 hash, uint256 after_) {
        assembly ("memory-safe") {
            hash := calldataload(next)
            after_ := add(next, 0x20)
        }
    }

    /// @notice SHA-256(0x01 ‖ left ‖ right), the inner node of RFC 6962, 2.1.
    /// @dev Memory-safe: writes 65 bytes at the free pointer without moving it, and the digest into scratch space.
    function node(bytes32 left, bytes32 right) internal view returns (bytes32 hash) {
        bool done;
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore8(input, 0x01)
            mstore(add(input, 0x01), left)
            mstore(add(input, 0x21), right)
            // A call to an address without code succeeds and returns nothing: the length tells the two apart.
            // (Yul evaluates the last argument first: the call comes before `returndatasize`.)
            done := and(eq(returndatasize(), 0x20), staticcall(gas(), 0x02, input, 0x41, 0x00, 0x20))
            hash := mload(0x00)
        }
        if (!done) revert Sha256Unavailable();
    }

    /// @dev `node(left, a)` and `node(left, b)`; twice `node` for 100 gas less, and an anchor does it for half its hashes.
    function nodes(bytes32 left, bytes32 a, bytes32 b) private view returns (bytes32 hashA, bytes32 hashB) {
        bool done;
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore8(input, 0x01)
            mstore(add(input, 0x01), left)
            mstore(add(input, 0x21), a)
            done := and(eq(returndatasize(), 0x20), staticcall(gas(), 0x02, input, 0x41, 0x00, 0x20))
            mstore(add(input, 0x21), b)
            done := and(done, staticcall(gas(), 0x02, input, 0x41, 0x20, 0x20))
            hashA := mload(0x00)
            hashB := mload(0x20)
        }
        if (!done) revert Sha256Unavailable();
    }
}
