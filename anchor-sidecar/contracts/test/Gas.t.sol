// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {AnchorRegistry} from "../src/AnchorRegistry.sol";
import {Uniform} from "./Reference.sol";
import {Test} from "./Vm.sol";

/// @dev What a whole transaction costs (21,000 and calldata included). `check` compares with `gas/`.
contract GasTest is Test, Uniform {
    uint256 private constant KEY = 0xA11CE;
    AnchorRegistry private registry = new AnchorRegistry();
    address private publisher = vm.addr(KEY);

    function test_register() external {
        registry.register("origin", "key", publisher, address(this));
        vm.snapshotGasLastCall("register");
    }

    function test_anchor_first() external {
        measure(0, 1000, 0, "anchor, first head");
    }

    function test_anchor_heartbeat() external {
        measure(65_536, 65_536, 0, "anchor, same head");
    }

    /// @dev The goals hold for 95 of 100 pairs of sizes: proofs of 16 hashes around 65 k leaves (batches to 5,000 leaves;
    /// the median is 14), of 21 around 1 M (the median is 17).
    function test_anchor_65k() external {
        uint256 gas = measure(69_419, 74_298, 16, "anchor, 65 k leaves");
        yes(gas <= 54_000, "goal at 65 k leaves");
    }

    function test_anchor_1m() external {
        uint256 gas = measure(1_015_357, 1_018_642, 21, "anchor, 1 M leaves");
        yes(gas <= 60_000, "goal at 1 M leaves");
    }

    function test_anchor_1g() external {
        measure(1_000_000_007, 1_000_100_003, 28, "anchor, 1 G leaves");
    }

    function test_anchor_signed_65k() external {
        (uint256 from, uint256 to) = (69_419, 74_298);
        bytes32 id = prepared(from);
        bytes32 root = mth(0, to);
        bytes32[] memory proof = consistency(from, to);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, registry.headDigest(id, 1, uint64(to), root));
        registry.anchorSigned(id, 1, uint64(to), root, proof, abi.encodePacked(r, s, v));
        vm.snapshotGasLastCall("anchorSigned, 65 k leaves");
    }

    function measure(uint256 from, uint256 to, uint256 hashes, string memory name) private returns (uint256) {
        bytes32 id = prepared(from);
        bytes32 root = mth(0, to);
        bytes32[] memory proof = consistency(from, to);
        eq(proof.length, hashes, "hashes in the proof");
        uint64 seq = from == 0 ? 0 : 1;
        vm.prank(publisher);
        registry.anchor(id, seq, uint64(to), root, proof);
        return vm.snapshotGasLastCall(name);
    }

    function prepared(uint256 size) private returns (bytes32 id) {
        id = registry.register("origin", "key", publisher, address(this));
        bytes32 root = mth(0, size);
        if (size == 0) return id;
        vm.prank(publisher);
        registry.anchor(id, 0, uint64(size), root, new bytes32[](0));
    }
}
