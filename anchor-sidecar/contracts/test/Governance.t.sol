// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {AnchorRegistry} from "../src/AnchorRegistry.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

/// @dev Who publishes: rotation in two steps with a delay, and freezing.
contract GovernanceTest is RegistryFixture {
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
}
