// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Rfc6962} from "./Rfc6962.sol";

/// @notice A wallet contract that can say whether a signature is its own (ERC-1271).
interface IERC1271 {
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4);
}

/// @title Heads of append-only logs, none of which can be rewritten
/// @notice Each log has one head: the size and root of its RFC 6962 tree (SHA-256). A new head is stored only with a
/// proof that its tree begins with all leaves of the tree before it. Nobody, the publisher and the admin included, can
/// take a leaf back, change one or reorder them; they can only append, or stop.
/// @dev Not upgradeable, holds no ether, delegates to nothing, has no owner and no immutables (the runtime code, and so
/// its hash, is the same on every chain).
///
/// STORAGE (proved by `eth_getProof`; part of the format of proof bundles, never to be changed):
/// a log's first slot is `s = keccak256(abi.encode(logId, uint256(0)))`:
///
///     s      publisher (low 160 bits) | size (48) | seq (48)
///     s + 1  root
///     s + 2  admin (160)
///     s + 3  pending publisher (160) | pending since (48)
contract AnchorRegistry {
    /// @notice What stands at the end of a log.
    /// @param publisher who may append; zero once frozen
    /// @param size leaves in the tree
    /// @param seq how many heads were anchored; 0 for the empty tree that registration stores
    /// @param root RFC 6962 tree hash
    struct Head {
        address publisher;
        uint48 size;
        uint48 seq;
        bytes32 root;
    }

    struct Log {
        address publisher;
        uint48 size;
        uint48 seq;
        bytes32 root;
        address admin;
        address pendingPublisher;
        uint48 pendingSince;
    }

    /// @notice Time between `rotatePublisher` and the first moment at which `acceptPublisher` works.
    uint256 public constant ROTATION_DELAY = 2 days;

    /// @notice EIP-712 type of a head signed for `anchorSigned`.
    bytes32 public constant HEAD_TYPEHASH =
        keccak256("Head(bytes32 logId,uint64 expectedSeq,uint64 size,bytes32 root)");

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant DOMAIN_NAME = keccak256("Sealgate AnchorRegistry");
    bytes32 private constant DOMAIN_VERSION = keccak256("1");

    /// @dev Half the order of secp256k1: a signature with a larger `s` is the malleated twin of another (EIP-2).
    uint256 private constant MAX_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    mapping(bytes32 logId => Log) internal logs;

    event Registered(
        bytes32 indexed logId, bytes32 originHash, bytes32 logKeyHash, address indexed publisher, address indexed admin
    );
    event Anchored(bytes32 indexed logId, uint64 indexed seq, uint64 size, bytes32 root);
    event RotationProposed(bytes32 indexed logId, address indexed pendingPublisher, uint256 acceptableFrom);
    event RotationCancelled(bytes32 indexed logId, address indexed pendingPublisher);
    event PublisherChanged(bytes32 indexed logId, address indexed from, address indexed to);
    event Frozen(bytes32 indexed logId, uint64 seq);

    error ZeroPublisher();
    error AlreadyRegistered(bytes32 logId);
    error UnknownLog(bytes32 logId);
    error LogFrozen(bytes32 logId);
    error NotPublisher(bytes32 logId);
    error NotAdmin(bytes32 logId);
    error NotPendingPublisher(bytes32 logId);
    error NothingPending(bytes32 logId);
    error TooEarly(uint256 acceptableFrom);
    error SeqMoved(uint64 expected, uint64 stored);
    error SizeOutOfRange(uint64 size);
    error NotAnExtension(uint64 storedSize, uint64 size);

    /// @notice Opens a log with the empty tree as its head. Anyone may call; the id binds everything that matters, so a
    /// stranger who registers it first changes nothing.
    /// @param originHash keccak256 of the log's origin line
    /// @param logKeyHash keccak256 of the log's checkpoint verification key
    /// @param publisher who may append; not zero
    /// @param admin who may rotate the publisher and freeze the log; zero for nobody
    function register(bytes32 originHash, bytes32 logKeyHash, address publisher, address admin)
        external
        returns (bytes32 logId)
    {
        if (publisher == address(0)) revert ZeroPublisher();
        logId = keccak256(abi.encode(block.chainid, address(this), originHash, logKeyHash, publisher, admin));
        Log storage log = logs[logId];
        if (log.root != 0) revert AlreadyRegistered(logId);
        log.publisher = publisher;
        log.root = Rfc6962.EMPTY_ROOT;
        log.admin = admin;
        emit Registered(logId, originHash, logKeyHash, publisher, admin);
    }

    /// @notice Appends: moves the head from (`expectedSeq`, stored tree) to (`expectedSeq + 1`, this tree).
    /// @dev A head of the stored size must repeat the stored root with an empty proof (a sign of life). From the empty
    /// tree any head passes, with an empty proof.
    /// @param expectedSeq the stored `seq`; of two publishers that race, one loses here
    /// @param size leaves in the new tree, at most 2^48 − 1
    /// @param proof RFC 9162 consistency proof from the stored tree to the new one
    function anchor(bytes32 logId, uint64 expectedSeq, uint64 size, bytes32 root, bytes32[] calldata proof) external {
        Log storage log = logs[logId];
        address publisher = log.publisher;
        if (publisher != msg.sender) revert NotPublisher(logId);
        _advance(log, publisher, logId, expectedSeq, size, root, proof);
    }

    /// @notice `anchor` for whoever carries the publisher's EIP-712 signature over the head.
    /// @dev The proof is not signed: for a given head it either convinces or it does not. ECDSA is tried first (65 bytes,
    /// r ‖ s ‖ v, low s), then ERC-1271 on the publisher. `expectedSeq` makes each signature usable once.
    function anchorSigned(
        bytes32 logId,
        uint64 expectedSeq,
        uint64 size,
        bytes32 root,
        bytes32[] calldata proof,
        bytes calldata signature
    ) external {
        Log storage log = logs[logId];
        address publisher = log.publisher;
        if (!_signedBy(publisher, headDigest(logId, expectedSeq, size, root), signature)) revert NotPublisher(logId);
        _advance(log, publisher, logId, expectedSeq, size, root, proof);
    }

    /// @notice The head of a log.
    function head(bytes32 logId) external view returns (Head memory) {
        Log storage log = _existing(logId);
        return Head(log.publisher, log.size, log.seq, log.root);
    }

    /// @notice Who governs a log, and the rotation that waits, if any (`acceptableFrom` is 0 if none does).
    function governance(bytes32 logId)
        external
        view
        returns (address admin, address pendingPublisher, uint256 acceptableFrom)
    {
        Log storage log = _existing(logId);
        admin = log.admin;
        pendingPublisher = log.pendingPublisher;
        if (pendingPublisher != address(0)) acceptableFrom = uint256(log.pendingSince) + ROTATION_DELAY;
    }

    /// @notice Whether a leaf stands at `index` of the tree of `size` leaves, and that tree is a beginning of the head's.
    /// @param leafHash SHA-256(0x00 ‖ leaf)
    /// @param size size of the tree that `inclusion` is for; at most the head's
    /// @param inclusion RFC 9162 inclusion proof in the tree of `size` leaves
    /// @param consistency RFC 9162 consistency proof from that tree to the head's; empty if it is the head's
    function verifyInclusion(
        bytes32 logId,
        bytes32 leafHash,
        uint64 index,
        uint64 size,
        bytes32[] calldata inclusion,
        bytes32[] calldata consistency
    ) external view returns (bool) {
        Log storage log = _existing(logId);
        (bool wellFormed, bytes32 root) = Rfc6962.rootFrom(leafHash, index, size, inclusion);
        return wellFormed && Rfc6962.isExtension(size, root, log.size, log.root, consistency);
    }

    /// @notice The EIP-712 digest that a publisher signs for `anchorSigned`; bound to this chain and this contract.
    function headDigest(bytes32 logId, uint64 expectedSeq, uint64 size, bytes32 root) public view returns (bytes32) {
        bytes32 domain =
            keccak256(abi.encode(DOMAIN_TYPEHASH, DOMAIN_NAME, DOMAIN_VERSION, block.chainid, address(this)));
        bytes32 message = keccak256(abi.encode(HEAD_TYPEHASH, logId, expectedSeq, size, root));
        return keccak256(abi.encodePacked(hex"1901", domain, message));
    }

    /// @notice First step of a rotation: names the next publisher. Replaces one that was named before. Admin only.
    /// @dev The present publisher goes on until the second step, so an admin's stolen key is seen before it bites, and
    /// even then it can only append.
    function rotatePublisher(bytes32 logId, address next) external {
        if (next == address(0)) revert ZeroPublisher();
        Log storage log = _administered(logId);
        if (log.publisher == address(0)) revert LogFrozen(logId);
        log.pendingPublisher = next;
        log.pendingSince = uint48(block.timestamp);
        emit RotationProposed(logId, next, block.timestamp + ROTATION_DELAY);
    }

    /// @notice Takes back the first step. Admin only.
    function cancelRotation(bytes32 logId) external {
        Log storage log = _administered(logId);
        address pending = log.pendingPublisher;
        if (pending == address(0)) revert NothingPending(logId);
        _clearPending(log);
        emit RotationCancelled(logId, pending);
    }

    /// @notice Second step: the named publisher takes over, which shows that its key is at hand. After the delay.
    function acceptPublisher(bytes32 logId) external {
        Log storage log = _existing(logId);
        if (log.pendingPublisher != msg.sender) revert NotPendingPublisher(logId);
        uint256 acceptableFrom = uint256(log.pendingSince) + ROTATION_DELAY;
        if (block.timestamp < acceptableFrom) revert TooEarly(acceptableFrom);
        address from = log.publisher;
        log.publisher = msg.sender;
        _clearPending(log);
        emit PublisherChanged(logId, from, msg.sender);
    }

    /// @notice Ends a log: its head can never move again, and a successor's first leaf can bind it. Admin only, one way.
    function freeze(bytes32 logId) external {
        Log storage log = _administered(logId);
        address from = log.publisher;
        if (from == address(0)) revert LogFrozen(logId);
        log.publisher = address(0);
        _clearPending(log);
        emit PublisherChanged(logId, from, address(0));
        emit Frozen(logId, log.seq);
    }

    /// @dev The only function that moves a head. `publisher` is the stored one, and has agreed to this head.
    function _advance(
        Log storage log,
        address publisher,
        bytes32 logId,
        uint64 expectedSeq,
        uint64 size,
        bytes32 root,
        bytes32[] calldata proof
    ) private {
        uint48 seq = log.seq;
        uint48 storedSize = log.size;
        if (seq != expectedSeq) revert SeqMoved(expectedSeq, seq);
        if (size > type(uint48).max) revert SizeOutOfRange(size);
        if (!Rfc6962.isExtension(storedSize, log.root, size, root, proof)) revert NotAnExtension(storedSize, size);
        uint48 next = seq + 1; // checked: reverts at 2^48 − 1
        // One store for the packed slot; the cast cannot truncate, its range was checked above.
        (log.publisher, log.size, log.seq) = (publisher, uint48(size), next);
        log.root = root;
        emit Anchored(logId, next, size, root);
    }

    function _clearPending(Log storage log) private {
        log.pendingPublisher = address(0);
        log.pendingSince = 0;
    }

    /// @dev No tree has root 0, so a stored root says that the log exists.
    function _existing(bytes32 logId) private view returns (Log storage log) {
        log = logs[logId];
        if (log.root == 0) revert UnknownLog(logId);
    }

    function _administered(bytes32 logId) private view returns (Log storage log) {
        log = _existing(logId);
        if (log.admin != msg.sender) revert NotAdmin(logId);
    }

    /// @dev Nobody signs for the zero address: neither a frozen nor an unknown log can be moved, whatever `ecrecover`
    /// returns for garbage.
    function _signedBy(address signer, bytes32 digest, bytes calldata signature) private view returns (bool) {
        if (signer == address(0)) return false;
        if (signature.length == 65) {
            bytes32 r = bytes32(signature[0:32]);
            bytes32 s = bytes32(signature[32:64]);
            if (uint256(s) <= MAX_S && ecrecover(digest, uint8(signature[64]), r, s) == signer) return true;
        }
        if (signer.code.length == 0) return false;
        (bool done, bytes memory answer) =
            signer.staticcall(abi.encodeCall(IERC1271.isValidSignature, (digest, signature)));
        return
            done && answer.length >= 32 && abi.decode(answer, (bytes32)) == bytes32(IERC1271.isValidSignature.selector);
    }
}
