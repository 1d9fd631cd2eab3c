// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {AnchorRegistry} from "../src/AnchorRegistry.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

/// @dev Registering, anchoring, proving.
contract AnchorRegistryTest is RegistryFixture {
    // --- register

    function test_register_computes_the_id_and_stores_the_empty_tree() external view {
        eq(id, keccak256(abi.encode(block.chainid, address(registry), ORIGIN, LOG_KEY, publisher, ADMIN)), "log id");
        expectHead(publisher, 0, 0, sha256(""));
        (address admin, address pending, uint256 from) = registry.governance(id);
        eq(admin, ADMIN, "admin");
        eq(pending, address(0), "pending");
        eq(from, 0, "acceptable from");
    }

    function test_register_emits() external {
        bytes32 other = keccak256(abi.encode(block.chainid, address(registry), ORIGIN, LOG_KEY, NEXT, ADMIN));
        vm.expectEmit(address(registry));
        emit AnchorRegistry.Registered(other, ORIGIN, LOG_KEY, NEXT, ADMIN);
        registry.register(ORIGIN, LOG_KEY, NEXT, ADMIN);
    }

    function test_register_refuses_a_second_time_even_after_heads() external {
        advance(3);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.AlreadyRegistered.selector, id));
        registry.register(ORIGIN, LOG_KEY, publisher, ADMIN);
    }

    function test_register_refuses_after_freeze() external {
        vm.prank(ADMIN);
        registry.freeze(id);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.AlreadyRegistered.selector, id));
        registry.register(ORIGIN, LOG_KEY, publisher, ADMIN);
    }

    function test_register_refuses_the_zero_publisher() external {
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.ZeroPublisher.selector));
        registry.register(ORIGIN, LOG_KEY, address(0), ADMIN);
    }

    function testFuzz_logs_do_not_touch_each_other(bytes32 origin, bytes32 key, address other, uint8 size) external {
        if (other == address(0) || (origin == ORIGIN && key == LOG_KEY && other == publisher)) return;
        bytes32 second = registry.register(origin, key, other, ADMIN);
        advance(size);
        eq(registry.head(second).root, sha256(""), "the other log's root");
        eq(registry.head(second).seq, 0, "the other log's seq");
    }

    // --- anchor

    function test_anchor_moves_the_head_and_emits() external {
        bytes32 root = mth(0, 5);
        vm.expectEmit(address(registry));
        emit AnchorRegistry.Anchored(id, 1, 5, root);
        anchorAs(publisher, 0, 5, root, new bytes32[](0));
        expectHead(publisher, 5, 1, mth(0, 5));
        advance(11);
        expectHead(publisher, 11, 2, mth(0, 11));
    }

    function testFuzz_anchor_follows_any_growth(uint256 a, uint256 b, uint256 c) external {
        a = bound(a, 0, 60);
        b = bound(b, a, 90);
        c = bound(c, b, 120);
        advance(a);
        advance(b);
        advance(c);
        expectHead(publisher, c, 3, mth(0, c));
    }

    function test_anchor_of_the_same_head_is_a_sign_of_life() external {
        advance(0);
        expectHead(publisher, 0, 1, sha256(""));
        advance(7);
        advance(7);
        expectHead(publisher, 7, 3, mth(0, 7));
    }

    function test_anchor_refuses_the_same_size_with_another_root() external {
        advance(7);
        refuses(notAnExtension(7, 7), publisher, 1, 7, mth(1, 8), new bytes32[](0));
        refuses(notAnExtension(7, 7), publisher, 1, 7, mth(0, 7), consistency(3, 7));
    }

    function test_anchor_refuses_a_root_for_no_leaves() external {
        refuses(notAnExtension(0, 0), publisher, 0, 0, mth(0, 1), new bytes32[](0));
    }

    function test_anchor_refuses_a_proof_from_the_empty_tree() external {
        refuses(notAnExtension(0, 7), publisher, 0, 7, mth(0, 7), consistency(3, 7));
    }

    function testFuzz_anchor_refuses_to_shrink(uint256 m, uint256 n) external {
        n = bound(n, 1, 90);
        m = bound(m, 0, n - 1);
        advance(n);
        refuses(notAnExtension(n, m), publisher, 1, m, mth(0, m), consistency(m, n));
    }

    function testFuzz_anchor_refuses_another_history(uint256 m, uint256 n, uint256 from) external {
        m = bound(m, 1, 90);
        n = bound(n, m + 1, 120);
        from = bound(from, 1, 5);
        advance(m);
        // A tree of n leaves of which the first m are others, with every proof that its publisher could think of.
        bytes32 forged = mth(from, from + n);
        refuses(notAnExtension(m, n), publisher, 1, n, forged, consistency(m, n));
        refuses(notAnExtension(m, n), publisher, 1, n, forged, new bytes32[](0));
        expectHead(publisher, m, 1, mth(0, m));
    }

    function testFuzz_anchor_refuses_a_seq_that_is_not_the_stored_one(uint64 expected) external {
        if (expected == 1) return;
        advance(3);
        bytes memory refusal = abi.encodeWithSelector(AnchorRegistry.SeqMoved.selector, expected, uint64(1));
        refuses(refusal, publisher, expected, 4, mth(0, 4), consistency(3, 4));
    }

    function testFuzz_anchor_never_truncates_a_size(uint64 size) external {
        size = uint64(bound(size, 1 << 48, type(uint64).max));
        bytes memory refusal = abi.encodeWithSelector(AnchorRegistry.SizeOutOfRange.selector, size);
        refuses(refusal, publisher, 0, size, mth(0, 4), new bytes32[](0));
    }

    function test_anchor_takes_the_largest_size() external {
        anchorAs(publisher, 0, type(uint48).max, mth(0, 4), new bytes32[](0));
        expectHead(publisher, type(uint48).max, 1, mth(0, 4));
    }

    function testFuzz_anchor_is_for_the_publisher(address who) external {
        if (who == publisher) return;
        refuses(notPublisher(id), who, 0, 4, mth(0, 4), new bytes32[](0));
    }

    function testFuzz_anchor_refuses_an_unknown_log(bytes32 unknown, address who) external {
        if (unknown == id || who == address(0)) return;
        id = unknown;
        refuses(notPublisher(unknown), who, 0, 4, mth(0, 4), new bytes32[](0));
    }

    function test_unknown_logs_have_no_head() external {
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.UnknownLog.selector, ORIGIN));
        registry.head(ORIGIN);
    }

    function test_no_ether() external {
        vm.deal(address(this), 1 ether);
        (bool sent,) = address(registry).call{value: 1}("");
        yes(!sent, "plain transfer");
        (sent,) = address(registry).call{value: 1}(abi.encodeCall(AnchorRegistry.head, (id)));
        yes(!sent, "transfer with a call");
    }

    // --- storage layout, which proof bundles rely on

    function testFuzz_storage_layout(uint256 a, uint256 b) external {
        a = bound(a, 0, 40);
        b = bound(b, a, 60);
        advance(a);
        advance(b);
        vm.prank(ADMIN);
        registry.rotatePublisher(id, NEXT);
        uint256 slot = uint256(keccak256(abi.encode(id, uint256(0))));
        eq(
            vm.load(address(registry), bytes32(slot)),
            bytes32(uint256(uint160(publisher)) | b << 160 | uint256(2) << 208),
            "slot 0"
        );
        eq(vm.load(address(registry), bytes32(slot + 1)), mth(0, b), "slot 1");
        eq(vm.load(address(registry), bytes32(slot + 2)), bytes32(uint256(uint160(ADMIN))), "slot 2");
        eq(
            vm.load(address(registry), bytes32(slot + 3)),
            bytes32(uint256(uint160(NEXT)) | block.timestamp << 160),
            "slot 3"
        );
    }

    // --- verifyInclusion

    function testFuzz_verify_inclusion(uint256 i, uint256 m, uint256 n) external {
        n = bound(n, 1, 120);
        m = bound(m, 1, n);
        i = bound(i, 0, m - 1);
        advance(n);
        yes(
            registry.verifyInclusion(id, leaf(i), uint64(i), uint64(m), path(i, 0, m), consistency(m, n)),
            "a leaf of the log"
        );
        yes(
            !registry.verifyInclusion(id, leaf(i + 1), uint64(i), uint64(m), path(i, 0, m), consistency(m, n)),
            "another leaf"
        );
        if (m < n) {
            yes(
                !registry.verifyInclusion(id, leaf(i), uint64(i), uint64(m), path(i, 0, m), new bytes32[](0)),
                "a tree that the head does not vouch for"
            );
        }
        yes(
            !registry.verifyInclusion(id, leaf(n), uint64(n), uint64(n + 1), path(n, 0, n + 1), consistency(n, n + 1)),
            "a tree larger than the head"
        );
    }

    function test_the_empty_tree_includes_nothing() external view {
        yes(!registry.verifyInclusion(id, sha256(""), 0, 0, new bytes32[](0), new bytes32[](0)), "empty");
    }
}
