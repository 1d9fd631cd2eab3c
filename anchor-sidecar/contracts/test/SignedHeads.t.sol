// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {AnchorRegistry, IERC1271} from "../src/AnchorRegistry.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

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

/// @dev Heads that the publisher signed and somebody else sends (`anchorSigned`).
contract SignedHeadsTest is RegistryFixture {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

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
}
