// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @dev The definitions of RFC 6962, section 2.1, word for word: recursive, slow, and sharing nothing with the verifier
/// under test. `D[lo:hi]` are leaves `lo` to `hi - 1` of the tree that a heir describes by `leaf`.
abstract contract Reference {
    /// @dev Hash of leaf `i`, SHA-256(0x00 ‖ d(i)).
    function leaf(uint256 i) internal view virtual returns (bytes32);

    /// @dev MTH(D[lo:hi]), 2.1.
    function mth(uint256 lo, uint256 hi) internal view virtual returns (bytes32) {
        if (lo == hi) return sha256("");
        if (hi - lo == 1) return leaf(lo);
        uint256 k = split(hi - lo);
        return sha256(abi.encodePacked(bytes1(0x01), mth(lo, lo + k), mth(lo + k, hi)));
    }

    /// @dev PATH(m, D[lo:hi]), 2.1.1.
    function path(uint256 m, uint256 lo, uint256 hi) internal view returns (bytes32[] memory) {
        if (hi - lo == 1) return new bytes32[](0);
        uint256 k = split(hi - lo);
        return m < k ? append(path(m, lo, lo + k), mth(lo + k, hi)) : append(path(m - k, lo + k, hi), mth(lo, lo + k));
    }

    /// @dev PROOF(m, D[n]), 2.1.2; empty where RFC 6962 defines none (m = 0).
    function consistency(uint256 m, uint256 n) internal view returns (bytes32[] memory) {
        if (m == 0) return new bytes32[](0);
        return subproof(m, 0, n, true);
    }

    function subproof(uint256 m, uint256 lo, uint256 hi, bool whole) private view returns (bytes32[] memory) {
        uint256 n = hi - lo;
        if (m == n) return whole ? new bytes32[](0) : append(new bytes32[](0), mth(lo, hi));
        uint256 k = split(n);
        return m <= k
            ? append(subproof(m, lo, lo + k, whole), mth(lo + k, hi))
            : append(subproof(m - k, lo + k, hi, false), mth(lo, lo + k));
    }

    /// @dev The largest power of two smaller than `n`.
    function split(uint256 n) internal pure returns (uint256 k) {
        for (k = 1; k << 1 < n;) {
            k <<= 1;
        }
    }

    function append(bytes32[] memory list, bytes32 last) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](list.length + 1);
        for (uint256 i = 0; i < list.length; ++i) {
            longer[i] = list[i];
        }
        longer[list.length] = last;
    }
}

/// @dev A log whose leaf `i` holds the number `i`.
abstract contract Counting is Reference {
    function leaf(uint256 i) internal pure override returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), i));
    }
}

/// @dev A log whose leaves are all the same, so that a subtree depends on its size alone and trees of millions are cheap.
abstract contract Uniform is Reference {
    function leaf(uint256) internal pure override returns (bytes32) {
        return sha256(hex"00");
    }

    function mth(uint256 lo, uint256 hi) internal pure override returns (bytes32 root) {
        uint256 n = hi - lo;
        if (n == 0) return sha256("");
        // Complete subtrees from the right, joined as they are met.
        bytes32 complete = leaf(0);
        for (bool any; n != 0; n >>= 1) {
            if (n & 1 == 1) {
                root = any ? sha256(abi.encodePacked(bytes1(0x01), complete, root)) : complete;
                any = true;
            }
            complete = sha256(abi.encodePacked(bytes1(0x01), complete, complete));
        }
    }
}
