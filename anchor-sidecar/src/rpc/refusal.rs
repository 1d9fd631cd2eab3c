//! What nodes mean when they refuse a transaction.
//!
//! JSON-RPC has no codes for these; each client has words of its own. This is the only place that reads them.

use std::fmt;

/// The meaning of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The node has this very transaction: as good as accepted.
    AlreadyKnown,
    /// The nonce is used on the chain, perhaps by an earlier variant of ours.
    NonceTooLow,
    /// There is a gap between the chain's nonce and this one.
    NonceTooHigh,
    /// The pool holds another transaction of that nonce and wants more for a change.
    ReplacementUnderpriced,
    /// The fee is under what the node takes, or under the base fee.
    Underpriced,
    /// The account cannot pay.
    InsufficientFunds,
    /// The call would fail in the contract.
    Reverted,
    /// Anything else; it says nothing about the transaction.
    Other,
}

/// Words, lower case, and what they mean; the first row found in a message decides, so the particular stands before the
/// general. Clients: G geth (and op-geth, bor), N Nethermind, B Besu, E Erigon, R reth, A anvil, O Arbitrum nitro, P OpenEthereum.
const WORDS: [(&str, Refusal); 51] = [
    ("already known", Refusal::AlreadyKnown),                  // G E R
    ("alreadyknown", Refusal::AlreadyKnown),                   // N
    ("known transaction", Refusal::AlreadyKnown),              // B, old G ("known transaction: 0x…")
    ("transaction_already_known", Refusal::AlreadyKnown),      // B
    ("already imported", Refusal::AlreadyKnown),               // A P
    ("already in mempool", Refusal::AlreadyKnown),             // zkSync, others
    ("same hash was already imported", Refusal::AlreadyKnown), // P
    ("nonce too high", Refusal::NonceTooHigh),                 // G A O
    ("nonce_too_high", Refusal::NonceTooHigh),                 // B
    ("noncegap", Refusal::NonceTooHigh),                       // N
    ("nonce gap", Refusal::NonceTooHigh),                      // N
    ("gapped", Refusal::NonceTooHigh),                         // G ("gapped-nonce", blob pool)
    ("noncetoofarinfuture", Refusal::NonceTooHigh),            // N
    ("nonce too distant", Refusal::NonceTooHigh),              // B
    ("nonce is too distant", Refusal::NonceTooHigh),           // B
    ("nonce too low", Refusal::NonceTooLow),                   // G E R A O B
    ("nonce is too low", Refusal::NonceTooLow),                // P
    ("nonce_too_low", Refusal::NonceTooLow),                   // B
    ("oldnonce", Refusal::NonceTooLow),                        // N
    ("ownnoncealreadyused", Refusal::NonceTooLow),             // N
    ("invalid nonce", Refusal::NonceTooLow),                   // E
    ("replacement transaction underpriced", Refusal::ReplacementUnderpriced), // G E R A B
    ("replacement_underpriced", Refusal::ReplacementUnderpriced), // B
    ("replacementnotallowed", Refusal::ReplacementUnderpriced), // N
    ("could not replace existing tx", Refusal::ReplacementUnderpriced), // E
    ("replacement fee too low", Refusal::ReplacementUnderpriced), // R, ethers' word for it
    ("too low. there is another transaction with same nonce", Refusal::ReplacementUnderpriced), // P
    ("future transaction tries to replace pending", Refusal::ReplacementUnderpriced), // G
    ("insufficient funds", Refusal::InsufficientFunds),        // G E R A O
    ("insufficientfunds", Refusal::InsufficientFunds),         // N
    ("insufficient balance", Refusal::InsufficientFunds),      // E O
    ("upfront cost exceeds account balance", Refusal::InsufficientFunds), // B
    ("upfront_cost_exceeds_balance", Refusal::InsufficientFunds), // B
    ("does not have enough funds", Refusal::InsufficientFunds), // P
    ("transaction underpriced", Refusal::Underpriced),         // G R
    ("underpriced", Refusal::Underpriced),                     // E
    ("feetoolow", Refusal::Underpriced),                       // N ("FeeTooLow", "FeeTooLowToCompete")
    ("fee too low", Refusal::Underpriced),                     // E
    ("gas price too low", Refusal::Underpriced),               // A P
    ("gas price below configured minimum", Refusal::Underpriced), // B
    ("gas_price_too_low", Refusal::Underpriced),               // B
    ("less than block base fee", Refusal::Underpriced),        // G R A O
    ("below current base fee", Refusal::Underpriced),          // B
    ("below the current base fee", Refusal::Underpriced),      // B
    ("max_fee_per_gas_below_current_base_fee", Refusal::Underpriced), // B
    ("less than the minimum", Refusal::Underpriced),           // R, chains with a fixed floor
    ("maxfeepergas too low", Refusal::Underpriced),            // N
    ("txpool is full", Refusal::Underpriced),                  // G: only a higher fee gets in
    ("transaction pool is full", Refusal::Underpriced),        // B R
    ("execution reverted", Refusal::Reverted),                 // G E R A B N
    ("vm execution error", Refusal::Reverted),                 // N P
];

impl Refusal {
    /// The meaning of a node's error.
    #[must_use]
    pub fn of(code: i64, message: &str) -> Self {
        let message = message.to_lowercase();
        let by_words = WORDS.iter().find(|(words, _)| message.contains(words)).map(|(_, refusal)| *refusal);
        // Code 3 is the one code with a meaning that all share: the call reverted.
        by_words.unwrap_or(if code == 3 { Self::Reverted } else { Self::Other })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyKnown => "already-known",
            Self::NonceTooLow => "nonce-too-low",
            Self::NonceTooHigh => "nonce-too-high",
            Self::ReplacementUnderpriced => "replacement-underpriced",
            Self::Underpriced => "underpriced",
            Self::InsufficientFunds => "insufficient-funds",
            Self::Reverted => "reverted",
            Self::Other => "other",
        })
    }
}
