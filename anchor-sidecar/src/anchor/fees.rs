//! What a transaction offers for its gas. Pure.

use serde::{Deserialize, Serialize};

/// An offer, in wei a gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fees {
    /// EIP-1559.
    Dynamic {
        /// Tip for the block's maker.
        tip: u128,
        /// Most that is paid, tip included.
        cap: u128,
    },
    /// Chains without a base fee.
    Legacy {
        /// What is paid.
        price: u128,
    },
}

impl Fees {
    /// The most that is paid a gas.
    #[must_use]
    pub const fn cap(self) -> u128 {
        match self {
            Self::Dynamic { cap, .. } => cap,
            Self::Legacy { price } => price,
        }
    }
}

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeePolicy {
    /// Highest offer, in wei a gas.
    pub ceiling: u128,
    /// Lowest tip (or legacy price), whatever the node suggests: estimators may say 1 wei.
    pub floor: u128,
}

/// What the chain asks at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Market {
    /// EIP-1559.
    Dynamic {
        /// Base fee of the tip of the chain.
        base_fee: u128,
        /// Suggested tip.
        tip: u128,
    },
    /// Chains without a base fee.
    Legacy {
        /// Suggested price.
        price: u128,
    },
}

impl Market {
    /// The least cap with which a transaction could be mined in the next block.
    #[must_use]
    pub const fn least(self) -> u128 {
        match self {
            Self::Dynamic { base_fee, .. } => base_fee,
            Self::Legacy { price } => price,
        }
    }

    /// An offer that holds for some blocks: the cap allows the base fee to double.
    fn wanted(self, floor: u128) -> Fees {
        match self {
            Self::Dynamic { base_fee, tip } => {
                let tip = tip.max(floor);
                Fees::Dynamic { tip, cap: tip.saturating_add(base_fee.saturating_mul(2)) }
            }
            Self::Legacy { price } => Fees::Legacy { price: price.max(floor) },
        }
    }
}

/// The first offer for a nonce; `None` when the ceiling lies under what the chain asks.
#[must_use]
pub fn first(market: Market, policy: FeePolicy) -> Option<Fees> {
    fit(market.wanted(policy.floor), market, policy, 0)
}

/// The next offer for the same nonce: tip and cap each at least 12.5 % up (nodes want 10 % to replace), never below the
/// market; `None` when the ceiling does not allow it.
#[must_use]
pub fn bump(old: Fees, market: Market, policy: FeePolicy) -> Option<Fees> {
    let least_cap = up(old.cap());
    let wanted = match (old, market.wanted(policy.floor)) {
        (Fees::Dynamic { tip: old_tip, .. }, Fees::Dynamic { tip, cap }) => {
            Fees::Dynamic { tip: tip.max(up(old_tip)), cap: cap.max(least_cap) }
        }
        // A chain does not change its kind; if a node says so, the kind of the first offer stays.
        (Fees::Dynamic { tip, .. }, Fees::Legacy { price }) => {
            Fees::Dynamic { tip: up(tip), cap: price.max(least_cap) }
        }
        (Fees::Legacy { .. }, Fees::Legacy { price }) => Fees::Legacy { price: price.max(least_cap) },
        (Fees::Legacy { .. }, Fees::Dynamic { cap, .. }) => Fees::Legacy { price: cap.max(least_cap) },
    };
    fit(wanted, market, policy, least_cap)
}

/// Brings an offer under the ceiling, unless that makes it useless: under `least_cap`, or under what the chain asks.
fn fit(wanted: Fees, market: Market, policy: FeePolicy, least_cap: u128) -> Option<Fees> {
    let ceiling = policy.ceiling;
    if ceiling < least_cap || ceiling < market.least() {
        return None;
    }
    match wanted {
        // The tip is what makes it replace and be mined: where it does not fit, the offer does not.
        Fees::Dynamic { tip, .. } if tip > ceiling => None,
        Fees::Dynamic { tip, cap } => Some(Fees::Dynamic { tip, cap: cap.min(ceiling).max(tip) }),
        Fees::Legacy { price } => Some(Fees::Legacy { price: price.min(ceiling) }),
    }
}

/// An eighth more, rounded up, and at least one more.
fn up(old: u128) -> u128 {
    old.saturating_add(old.div_ceil(8).max(1))
}

#[cfg(test)]
mod tests;
