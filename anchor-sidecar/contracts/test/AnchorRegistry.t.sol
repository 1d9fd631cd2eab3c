// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {AnchorRegistry, IERC1271} from "../src/AnchorRegistry.sol";
import {Counting} from "./Reference.sol";
import {Test} from "./Vm.sol";

/// @dev A wallet that accepts what its owner's key signed, or whatever it is told to answer.
contract Wallet {
    address private immutable OWNER;
    bytes private answer;

    constructor(address owner) {
        OWNER = owner;
    }

    function answerAlways(bytes calldata with) external {
        answer = with;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (answer.length != 0) {
            bytes memory raw = answer;
            assembly {
                return(add(raw, 0x20), mload(raw))
            }
        }
        address by = ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), bytes32(signature[32:64]));
        return by == OWNER ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}

contract AnchorRegistryTest is Test, Counting {
    uint256 private constant KEY = 0xA11CE;
    bytes32 private constant ORIGIN = keccak256("log.example/1");
    bytes32 private constant LOG_KEY = keccak256("key");
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    address private constant ADMIN = address(0xAD);
    address private constant NEXT = address(0xBEEF);

    AnchorRegistry private registry = new AnchorRegistry();
    address private publisher = vm.addr(KEY);
    bytes32 private id = registry.register(ORIGIN, LOG_KEY, publisher, ADMIN);

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

    // --- anchorSigned

    function test_digest_is_eip712() external view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Sealgate AnchorRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Head(bytes32 logId,uint64 expectedSeq,uint64 size,bytes32 root)"),
                id,
                uint64(4),
                uint64(9),
                mth(0, 9)
            )
        );
        eq(registry.headDigest(id, 4, 9, mth(0, 9)), keccak256(abi.encodePacked("\x19\x01", domain, message)), "digest");
    }

    function testFuzz_anyone_relays_a_signed_head(address relay, uint256 a, uint256 b) external {
        a = bound(a, 0, 60);
        b = bound(b, a, 90);
        bytes memory first = signed(KEY, 0, a);
        bytes memory second = signed(KEY, 1, b);
        relayAs(relay, 0, a, new bytes32[](0), first);
        relayAs(relay, 1, b, consistency(a, b), second);
        expectHead(publisher, b, 2, mth(0, b));
    }

    function test_a_signed_head_cannot_rewrite_either() external {
        advance(5);
        bytes memory signature = signed(KEY, 1, 4);
        refusesSigned(notAnExtension(5, 4), 1, 4, signature);
    }

    function test_a_signature_works_once() external {
        bytes memory signature = signed(KEY, 0, 5);
        relayAs(address(this), 0, 5, new bytes32[](0), signature);
        refusesSigned(abi.encodeWithSelector(AnchorRegistry.SeqMoved.selector, uint64(0), uint64(1)), 0, 5, signature);
    }

    function testFuzz_a_changed_signature_is_refused(uint256 where, uint8 xor) external {
        if (xor == 0) return;
        bytes memory signature = signed(KEY, 0, 5);
        where = bound(where, 0, 64);
        signature[where] = bytes1(uint8(signature[where]) ^ xor);
        refusesSigned(notPublisher(id), 0, 5, signature);
    }

    function test_signatures_of_other_shapes_are_refused() external {
        refusesSigned(notPublisher(id), 0, 5, "");
        refusesSigned(notPublisher(id), 0, 5, new bytes(65));
        refusesSigned(notPublisher(id), 0, 5, new bytes(64));
        refusesSigned(notPublisher(id), 0, 5, abi.encodePacked(signed(KEY, 0, 5), bytes1(0x00)));
        refusesSigned(notPublisher(id), 0, 5, signed(KEY + 1, 0, 5));
        refusesSigned(notPublisher(id), 0, 5, signed(KEY, 1, 5));
        refusesSigned(notPublisher(id), 0, 5, signed(KEY, 0, 6));
    }

    function test_the_malleated_twin_is_refused() external {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, registry.headDigest(id, 0, 5, mth(0, 5)));
        refusesSigned(
            notPublisher(id), 0, 5, abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27))
        );
    }

    function test_a_signature_is_bound_to_chain_and_contract() external {
        bytes memory signature = signed(KEY, 0, 5);
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        refusesSigned(notPublisher(id), 0, 5, signature);
        vm.chainId(here);
        AnchorRegistry other = new AnchorRegistry();
        bytes32 there = other.register(ORIGIN, LOG_KEY, publisher, ADMIN);
        (registry, id) = (other, there);
        refusesSigned(notPublisher(there), 0, 5, signature);
    }

    function test_a_wallet_signs_by_erc1271() external {
        Wallet wallet = new Wallet(publisher);
        id = registry.register(ORIGIN, LOG_KEY, address(wallet), ADMIN);
        refusesSigned(notPublisher(id), 0, 5, signed(KEY + 1, 0, 5));
        wallet.answerAlways(hex"1626ba7e");
        refusesSigned(notPublisher(id), 0, 5, "short answer");
        wallet.answerAlways(abi.encodePacked(bytes4(0x1626ba7e), bytes28(uint224(1))));
        refusesSigned(notPublisher(id), 0, 5, "dirty answer");
        wallet.answerAlways("");
        relayAs(address(this), 0, 5, new bytes32[](0), signed(KEY, 0, 5));
        expectHead(address(wallet), 5, 1, mth(0, 5));
    }

    function test_a_key_with_delegated_code_still_signs_by_ecdsa() external {
        vm.etch(publisher, hex"fe");
        relayAs(address(this), 0, 5, new bytes32[](0), signed(KEY, 0, 5));
        expectHead(publisher, 5, 1, mth(0, 5));
    }

    function test_nobody_signs_for_a_frozen_or_unknown_log() external {
        vm.prank(ADMIN);
        registry.freeze(id);
        refusesSigned(notPublisher(id), 0, 5, new bytes(65));
        refusesSigned(notPublisher(id), 0, 5, signed(KEY, 0, 5));
        id = ORIGIN;
        refusesSigned(notPublisher(id), 0, 5, new bytes(65));
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

    // --- governance

    function test_rotation_takes_two_steps_and_a_delay() external {
        advance(3);
        uint256 from = block.timestamp + 2 days;
        vm.expectEmit(address(registry));
        emit AnchorRegistry.RotationProposed(id, NEXT, from);
        vm.prank(ADMIN);
        registry.rotatePublisher(id, NEXT);
        advance(4); // the old one goes on meanwhile

        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.TooEarly.selector, from));
        vm.prank(NEXT);
        registry.acceptPublisher(id);

        vm.warp(from);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.NotPendingPublisher.selector, id));
        vm.prank(publisher);
        registry.acceptPublisher(id);

        vm.expectEmit(address(registry));
        emit AnchorRegistry.PublisherChanged(id, publisher, NEXT);
        vm.prank(NEXT);
        registry.acceptPublisher(id);
        expectHead(NEXT, 4, 2, mth(0, 4));

        refuses(notPublisher(id), publisher, 2, 5, mth(0, 5), consistency(4, 5));
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.NotPendingPublisher.selector, id));
        vm.prank(NEXT);
        registry.acceptPublisher(id);
        anchorAs(NEXT, 2, 5, mth(0, 5), consistency(4, 5));
        expectHead(NEXT, 5, 3, mth(0, 5));
    }

    function test_a_cancelled_rotation_is_gone() external {
        vm.prank(ADMIN);
        registry.rotatePublisher(id, NEXT);
        vm.expectEmit(address(registry));
        emit AnchorRegistry.RotationCancelled(id, NEXT);
        vm.prank(ADMIN);
        registry.cancelRotation(id);
        vm.warp(block.timestamp + 3 days);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.NotPendingPublisher.selector, id));
        vm.prank(NEXT);
        registry.acceptPublisher(id);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.NothingPending.selector, id));
        vm.prank(ADMIN);
        registry.cancelRotation(id);
    }

    function test_a_new_proposal_starts_the_delay_again() external {
        uint256 start = 1_000_000; // not block.timestamp: the compiler may read it anew after a warp
        vm.warp(start);
        vm.prank(ADMIN);
        registry.rotatePublisher(id, NEXT);
        vm.warp(start + 2 days);
        vm.prank(ADMIN);
        registry.rotatePublisher(id, NEXT);
        (, address pending, uint256 from) = registry.governance(id);
        eq(pending, NEXT, "pending");
        eq(from, start + 4 days, "acceptable from");
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.TooEarly.selector, from));
        vm.prank(NEXT);
        registry.acceptPublisher(id);
    }

    function testFuzz_governance_is_for_the_admin(address who) external {
        if (who == ADMIN) return;
        bytes memory refusal = abi.encodeWithSelector(AnchorRegistry.NotAdmin.selector, id);
        vm.expectRevert(refusal);
        vm.prank(who);
        registry.rotatePublisher(id, NEXT);
        vm.expectRevert(refusal);
        vm.prank(who);
        registry.cancelRotation(id);
        vm.expectRevert(refusal);
        vm.prank(who);
        registry.freeze(id);
    }

    function test_rotation_refuses_the_zero_publisher() external {
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.ZeroPublisher.selector));
        vm.prank(ADMIN);
        registry.rotatePublisher(id, address(0));
    }

    function test_nobody_is_pending_at_first() external {
        vm.warp(block.timestamp + 3 days);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.NotPendingPublisher.selector, id));
        vm.prank(NEXT);
        registry.acceptPublisher(id);
    }

    function test_freezing_is_for_ever() external {
        advance(3);
        vm.prank(ADMIN);
        registry.rotatePublisher(id, NEXT);
        vm.expectEmit(address(registry));
        emit AnchorRegistry.PublisherChanged(id, publisher, address(0));
        vm.expectEmit(address(registry));
        emit AnchorRegistry.Frozen(id, 1);
        vm.prank(ADMIN);
        registry.freeze(id);
        expectHead(address(0), 3, 1, mth(0, 3));

        vm.warp(block.timestamp + 3 days);
        vm.expectRevert(abi.encodeWithSelector(AnchorRegistry.NotPendingPublisher.selector, id));
        vm.prank(NEXT);
        registry.acceptPublisher(id);
        bytes memory frozen = abi.encodeWithSelector(AnchorRegistry.LogFrozen.selector, id);
        vm.expectRevert(frozen);
        vm.prank(ADMIN);
        registry.rotatePublisher(id, NEXT);
        vm.expectRevert(frozen);
        vm.prank(ADMIN);
        registry.freeze(id);
        refuses(notPublisher(id), publisher, 1, 4, mth(0, 4), consistency(3, 4));
        yes(registry.verifyInclusion(id, leaf(1), 1, 3, path(1, 0, 3), new bytes32[](0)), "still proves");
    }

    // --- steps

    /// @dev The publisher anchors the honest head of `size` leaves.
    function advance(uint256 size) private {
        AnchorRegistry.Head memory head = registry.head(id);
        anchorAs(publisher, head.seq, size, mth(0, size), consistency(head.size, size));
    }

    // Cheat codes act on the next call, and hashing is one: these take their arguments ready made.

    function anchorAs(address who, uint64 expectedSeq, uint256 size, bytes32 root, bytes32[] memory proof) private {
        vm.prank(who);
        registry.anchor(id, expectedSeq, uint64(size), root, proof);
    }

    function relayAs(address who, uint64 expectedSeq, uint256 size, bytes32[] memory proof, bytes memory signature)
        private
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
    ) private {
        vm.expectRevert(refusal);
        anchorAs(who, expectedSeq, size, root, proof);
    }

    function refusesSigned(bytes memory refusal, uint64 expectedSeq, uint256 size, bytes memory signature) private {
        bytes32 root = mth(0, size);
        vm.expectRevert(refusal);
        registry.anchorSigned(id, expectedSeq, uint64(size), root, new bytes32[](0), signature);
    }

    function signed(uint256 key, uint64 expectedSeq, uint256 size) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, registry.headDigest(id, expectedSeq, uint64(size), mth(0, size)));
        return abi.encodePacked(r, s, v);
    }

    function notPublisher(bytes32 logId) private pure returns (bytes memory) {
        return abi.encodeWithSelector(AnchorRegistry.NotPublisher.selector, logId);
    }

    function notAnExtension(uint256 stored, uint256 size) private pure returns (bytes memory) {
        return abi.encodeWithSelector(AnchorRegistry.NotAnExtension.selector, uint64(stored), uint64(size));
    }

    function expectHead(address who, uint256 size, uint256 seq, bytes32 root) private view {
        AnchorRegistry.Head memory head = registry.head(id);
        eq(head.publisher, who, "publisher");
        eq(head.size, size, "size");
        eq(head.seq, seq, "seq");
        eq(head.root, root, "root");
    }
}
