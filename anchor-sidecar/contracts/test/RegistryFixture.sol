// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {AnchorRegistry} from "../src/AnchorRegistry.sol";
import {Counting} from "./Reference.sol";
import {Test} from "./Vm.sol";

/// @dev One registered log, and the steps that its tests are told in.
abstract contract RegistryFixture is Test, Counting {
    uint256 internal constant KEY = 0xA11CE;
    bytes32 internal constant ORIGIN = keccak256("log.example/1");
    bytes32 internal constant LOG_KEY = keccak256("key");
    address internal constant ADMIN = address(0xAD);
    address internal constant NEXT = address(0xBEEF);

    AnchorRegistry internal registry = new AnchorRegistry();
    address internal publisher = vm.addr(KEY);
    bytes32 internal id = registry.register(ORIGIN, LOG_KEY, publisher, ADMIN);

    /// @dev The publisher anchors the honest head of `size` leaves.
    function advance(uint256 size) internal {
        AnchorRegistry.Head memory head = registry.head(id);
        anchorAs(publisher, head.seq, size, mth(0, size), consistency(head.size, size));
    }

    // Cheat codes act on the next call, and hashing is one: these take their arguments ready made.

    function anchorAs(address who, uint64 expectedSeq, uint256 size, bytes32 root, bytes32[] memory proof) internal {
        vm.prank(who);
        registry.anchor(id, expectedSeq, uint64(size), root, proof);
    }

    function relayAs(address who, uint64 expectedSeq, uint256 size, bytes32[] memory proof, bytes memory signature)
        internal
    {
        bytes32 root = mth(0, size);
        vm.prank(who);
        registry.anchorSigned(id, expectedSeq, uint64(size), root, proof, signature);
    }

    function refuses(
        bytes memory refusal,
        address who,
        uint64 expectedSeq,
        uint256 size,
        bytes32 root,
        bytes32[] memory proof
    ) internal {
        vm.expectRevert(refusal);
        anchorAs(who, expectedSeq, size, root, proof);
    }

    function refusesSigned(bytes memory refusal, uint64 expectedSeq, uint256 size, bytes memory signature) internal {
        bytes32 root = mth(0, size);
        vm.expectRevert(refusal);
        registry.anchorSigned(id, expectedSeq, uint64(size), root, new bytes32[](0), signature);
    }

    function signed(uint256 key, uint64 expectedSeq, uint256 size) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, registry.headDigest(id, expectedSeq, uint64(size), mth(0, size)));
        return abi.encodePacked(r, s, v);
    }

    function notPublisher(bytes32 logId) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(AnchorRegistry.NotPublisher.selector, logId);
    }

    function notAnExtension(uint256 stored, uint256 size) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(AnchorRegistry.NotAnExtension.selector, uint64(stored), uint64(size));
    }

    function expectHead(address who, uint256 size, uint256 seq, bytes32 root) internal view {
        AnchorRegistry.Head memory head = registry.head(id);
        eq(head.publisher, who, "publisher");
        eq(head.size, size, "size");
        eq(head.seq, seq, "seq");
        eq(head.root, root, "root");
    }
}
