// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {AnchorRegistry} from "../src/AnchorRegistry.sol";
import {Rfc6962} from "../src/Rfc6962.sol";
import {Reference} from "./Reference.sol";
import {Test} from "./Vm.sol";

/// @dev A publisher who sometimes cheats. Leaves are `leaf(branch, i)`: branch 0 is the honest log, the others are rewritten
/// histories that share their first `forkedAt` leaves with it.
contract Publisher is Test, Reference {
    AnchorRegistry public immutable registry;
    bytes32 public immutable id;
    AnchorRegistry.Head[] private heads;
    uint256 public honest;
    uint256 public cheats;
    uint256 private branch;
    uint256 private forkedAt;

    constructor() {
        registry = new AnchorRegistry();
        id = registry.register("origin", "key", address(this), address(this));
        heads.push(registry.head(id));
    }

    function leaf(uint256 i) internal view override returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), i < forkedAt ? 0 : branch, i));
    }

    /// @dev Appends honestly; must pass.
    function append(uint256 by) external {
        AnchorRegistry.Head memory last = heads[heads.length - 1];
        uint256 size = uint256(last.size) + bound(by, 0, 9);
        registry.anchor(id, last.seq, uint64(size), mth(0, size), consistency(last.size, size));
        heads.push(registry.head(id));
        ++honest;
    }

    /// @dev Rewrites leaf `where` and all after it, with the honest proof of the rewritten tree; must not pass.
    function rewrite(uint256 where, uint256 by, uint256 seed) external {
        AnchorRegistry.Head memory last = heads[heads.length - 1];
        if (last.size == 0) return;
        forkedAt = bound(where, 0, last.size - 1);
        branch = bound(seed, 1, type(uint128).max);
        uint256 size = uint256(last.size) + bound(by, 0, 9);
        bytes32 root = mth(0, size);
        bytes32[] memory proof = consistency(last.size, size);
        (forkedAt, branch) = (0, 0);
        attempt(last, size, root, proof);
    }

    /// @dev Takes leaves back; must not pass.
    function shrink(uint256 to) external {
        AnchorRegistry.Head memory last = heads[heads.length - 1];
        if (last.size == 0) return;
        uint256 size = bound(to, 0, last.size - 1);
        attempt(last, size, mth(0, size), consistency(size, last.size));
    }

    /// @dev Any bytes at all; must not pass.
    function guess(uint64 size, bytes32 root, bytes32[] calldata proof) external {
        AnchorRegistry.Head memory last = heads[heads.length - 1];
        if (last.size == 0) return;
        attempt(last, size, root, proof);
    }

    function attempt(AnchorRegistry.Head memory last, uint256 size, bytes32 root, bytes32[] memory proof) private {
        try registry.anchor(id, last.seq, uint64(size), root, proof) {
            revert("a head that does not extend the last one was stored");
        } catch {
            ++cheats;
        }
    }

    function count() external view returns (uint256) {
        return heads.length;
    }

    function headAt(uint256 i) external view returns (AnchorRegistry.Head memory) {
        return heads[i];
    }

    function proofBetween(uint256 m, uint256 n) external view returns (bytes32[] memory) {
        return consistency(m, n);
    }
}

contract ExtendsInvariant is Test {
    Publisher private publisher = new Publisher();

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(publisher);
    }

    function extends(AnchorRegistry.Head memory a, AnchorRegistry.Head memory b, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return Rfc6962.isExtension(a.size, a.root, b.size, b.root, proof);
    }

    /// @dev Each head extends each earlier head, and each head adds one to seq.
    function invariant_each_head_extends_each_earlier_head() external view {
        uint256 count = publisher.count();
        AnchorRegistry.Head memory last = publisher.headAt(count - 1);
        AnchorRegistry.Head memory stored = publisher.registry().head(publisher.id());
        eq(stored.root, last.root, "root");
        eq(stored.seq, count - 1, "seq");
        for (uint256 i = 0; i < count; ++i) {
            AnchorRegistry.Head memory earlier = publisher.headAt(i);
            yes(this.extends(earlier, last, publisher.proofBetween(earlier.size, last.size)), "extends");
        }
    }
}
