//! What the sender tells others about itself.

use alloy_primitives::Address;
use evidence::ids::Hash;
use serde::Serialize;

use super::{
    Head,
    fees::Market,
    flight::{Book, Inclusion, Phase},
    observe::ChainView,
    state::Waiting,
};

/// Gas of an ordinary anchor (docs: 53 k at 65 k leaves, 59 k at 1 M), for the runway.
const ORDINARY_GAS: u128 = 60_000;

/// The sender's state, for `/v1/status` and `anchors status`. Integers of 64 bit are strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnchorStatus {
    /// What it waits for; absent before the first look at the chain.
    pub state: Option<Waiting>,
    /// Why the chain cannot be seen at present.
    pub blind: Option<String>,
    /// Whether the end points contradict each other.
    pub endpoints_disagree: bool,
    /// Why it has ended.
    pub stopped: Option<String>,
    /// The publisher's address.
    pub publisher: String,
    /// The gas account's address.
    pub gas_account: String,
    /// Its balance in wei.
    pub balance_wei: Option<String>,
    /// About how many anchors that pays for at the present price.
    pub runway_anchors: Option<String>,
    /// The contract's head.
    pub head: Option<SeenHead>,
    /// The newest anchor that is final.
    pub last_final: Option<SeenHead>,
    /// Anchors on their way, oldest first.
    pub pending: Vec<PendingAnchor>,
}

/// A head in the contract, and where it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenHead {
    /// Sequence number.
    #[serde(serialize_with = "text")]
    pub seq: u64,
    /// The head.
    #[serde(flatten)]
    pub head: Head,
    /// Height of the block.
    #[serde(serialize_with = "text")]
    pub block_number: u64,
    /// Its hash.
    pub block_hash: Hash,
    /// Seconds since 1970 of the block; absent where it was not asked for.
    #[serde(serialize_with = "optional_text")]
    pub block_time: Option<u64>,
}

/// An anchor on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingAnchor {
    /// Sequence number that it will have.
    #[serde(serialize_with = "text")]
    pub seq: u64,
    /// How far it is: `prepared`, `signed`, `bump`, `in-pool`, `mined`, `safe`.
    pub phase: &'static str,
    /// The account's nonce.
    #[serde(serialize_with = "optional_text")]
    pub nonce: Option<u64>,
    /// Hashes of all transactions signed for it, oldest first.
    pub transactions: Vec<String>,
    /// The head that the newest of them carries.
    pub head: Option<Head>,
}

impl AnchorStatus {
    pub(super) fn starting(publisher: Address, gas_account: Address) -> Self {
        Self {
            state: None,
            blind: None,
            endpoints_disagree: false,
            stopped: None,
            publisher: publisher.to_string(),
            gas_account: gas_account.to_string(),
            balance_wei: None,
            runway_anchors: None,
            head: None,
            last_final: None,
            pending: Vec::new(),
        }
    }

    pub(super) fn blind(&mut self, why: String, disagree: bool) {
        self.blind = Some(why);
        self.endpoints_disagree = disagree;
    }

    pub(super) fn update(
        &mut self,
        book: &Book,
        view: &ChainView,
        waiting: Waiting,
        last_final: Option<(u64, Inclusion)>,
    ) {
        self.state = Some(waiting);
        self.blind = None;
        self.endpoints_disagree = false;
        self.balance_wei = Some(view.balance.to_string());
        let price = match view.market {
            Market::Dynamic { base_fee, tip } => base_fee.saturating_add(tip),
            Market::Legacy { price } => price,
        };
        let cost = alloy_primitives::U256::from(price.max(1).saturating_mul(ORDINARY_GAS));
        self.runway_anchors = view.balance.checked_div(cost).map(|anchors| anchors.to_string());
        self.head = Some(SeenHead {
            seq: view.head.seq,
            head: view.head.head,
            block_number: view.tip.number,
            block_hash: Hash::new(view.tip.hash.0),
            block_time: Some(view.tip.timestamp),
        });
        self.last_final = last_final.map(|(seq, there)| SeenHead {
            seq,
            head: there.head,
            block_number: there.block_number,
            block_hash: Hash::new(there.block_hash.0),
            block_time: None,
        });
        self.pending = book
            .flights
            .iter()
            .map(|flight| PendingAnchor {
                seq: flight.seq(),
                phase: phase_name(&flight.phase),
                nonce: flight.nonce,
                transactions: flight.variants.iter().map(|variant| variant.hash.to_string()).collect(),
                head: flight.variants.last().map(|variant| variant.head),
            })
            .collect();
    }
}

fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Prepared => "prepared",
        Phase::Signed => "signed",
        Phase::Bump => "bump",
        Phase::InPool => "in-pool",
        Phase::Mined(_) => "mined",
        Phase::Safe(_) => "safe",
        Phase::Final(_) => "final",
        Phase::Dropped(_) => "dropped",
    }
}

fn text<S: serde::Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn optional_text<S: serde::Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}
