//! Looking at the chain: every end point must say the same about one pinned block.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256};

use super::{
    fees::Market,
    flight::{Book, Flight, Phase},
    registry::{self, ChainHead, RegistryError},
};
use crate::rpc::{At, BlockRef, Receipt, Refusal, Rpc, RpcError};

/// Why nothing certain was seen in a poll. Nothing is done on it but to look again.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// An end point did not answer.
    #[error("{endpoint}: {source}")]
    Rpc {
        /// Which.
        endpoint: String,
        /// Why.
        source: RpcError,
    },
    /// The contract's answer is no head.
    #[error("{endpoint}: {source}")]
    Registry {
        /// Which.
        endpoint: String,
        /// Why.
        source: RegistryError,
    },
    /// An end point lacks a block that it must have.
    #[error("{endpoint} does not have {what}")]
    Missing {
        /// Which.
        endpoint: String,
        /// The block.
        what: &'static str,
    },
    /// The end points contradict each other: one of them lies or has lost the chain.
    #[error("the end points disagree about {what}")]
    Disagree {
        /// About what.
        what: &'static str,
    },
    /// The tip lies lower than the one of an earlier poll: a node that lags behind.
    #[error("the chain's tip went back from {from} to {to}")]
    WentBack {
        /// Height before.
        from: u64,
        /// Height now.
        to: u64,
    },
    /// An end point is on another chain.
    #[error("{endpoint} is on chain {found}, not {expected}")]
    Chain {
        /// Which.
        endpoint: String,
        /// Its chain.
        found: u64,
        /// The configured one.
        expected: u64,
    },
    /// The contract's code is not the expected one, or there is none.
    #[error("{endpoint}: the code at the contract's address has hash {found}, not {expected}")]
    Code {
        /// Which.
        endpoint: String,
        /// Hash of what is there.
        found: B256,
        /// The expected hash.
        expected: B256,
    },
    /// There is no end point.
    #[error("no end point is configured")]
    NoEndpoint,
}

/// What the chain says, all at one block.
#[derive(Debug, Clone)]
pub struct ChainView {
    /// The pinned block.
    pub tip: BlockRef,
    /// Height up to which blocks are safe.
    pub safe: u64,
    /// Height up to which blocks are final.
    pub finalized: u64,
    /// The contract's head.
    pub head: ChainHead,
    /// Its `seq` at the final block; 0 where the log was not registered yet.
    pub final_seq: u64,
    /// The gas account's nonce.
    pub nonce: u64,
    /// Its balance in wei.
    pub balance: U256,
    /// What gas costs.
    pub market: Market,
    /// Receipts of the journal's variants in canonical blocks up to the tip.
    pub receipts: BTreeMap<B256, Receipt>,
    /// Canonical ones of the blocks that hold the journal's flights.
    pub canonical: BTreeSet<B256>,
    /// Variants that were sent and that no node knows.
    pub unknown: BTreeSet<B256>,
}

/// The chain, as the configured end points show it.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The end points; all must agree.
    pub endpoints: Vec<Rpc>,
    /// The chain's id.
    pub chain_id: u64,
    /// The contract.
    pub contract: Address,
    /// The log.
    pub log_id: evidence::ids::LogId,
    /// Depth at which blocks are final, on chains without the `finalized` tag.
    pub finality_depth: Option<u64>,
}

impl Chain {
    /// Checks chain id and contract code at every end point.
    ///
    /// # Errors
    /// [`ObserveError`].
    pub async fn check_identity(&self, code_hash: B256) -> Result<(), ObserveError> {
        for rpc in &self.endpoints {
            let endpoint = || rpc.name().to_owned();
            let found = asked(rpc, rpc.chain_id().await)?;
            if found != self.chain_id {
                return Err(ObserveError::Chain { endpoint: endpoint(), found, expected: self.chain_id });
            }
            let code = asked(rpc, rpc.code(self.contract, At::Latest).await)?;
            let found = alloy_primitives::keccak256(&code);
            if found != code_hash {
                return Err(ObserveError::Code { endpoint: endpoint(), found, expected: code_hash });
            }
        }
        Ok(())
    }

    /// Looks at the chain from `account`'s side, with the journal's flights in mind.
    ///
    /// # Errors
    /// [`ObserveError`].
    pub async fn view(&self, account: Address, book: &Book) -> Result<ChainView, ObserveError> {
        let first = self.endpoints.first().ok_or(ObserveError::NoEndpoint)?;
        let tip = self.agreed(At::Latest, "the chain's tip").await?;
        let at = At::Hash(tip.hash);
        let (safe, finalized) = self.finality(tip).await?;
        let head = self.head_at(at).await?;
        let final_seq = self.final_seq(finalized).await?;
        let nonce = self.same("the account's nonce", |rpc| async move { rpc.nonce(account, at).await }).await?;
        let balance = self.same("the account's balance", |rpc| async move { rpc.balance(account, at).await }).await?;
        let market = match tip.base_fee {
            Some(base_fee) => Market::Dynamic { base_fee, tip: asked(first, first.suggested_tip().await)? },
            None => Market::Legacy { price: asked(first, first.gas_price().await)? },
        };
        let mut canonical = Canonical { chain: self, tip, known: BTreeMap::new() };
        let mut view = ChainView {
            tip,
            safe,
            finalized: finalized.number,
            head,
            final_seq,
            nonce,
            balance,
            market,
            receipts: BTreeMap::new(),
            canonical: BTreeSet::from([tip.hash]),
            unknown: BTreeSet::new(),
        };
        for flight in &book.flights {
            self.follow(flight, &mut canonical, &mut view).await?;
        }
        Ok(view)
    }

    /// Receipts of every variant of a flight, and whether its block is canonical.
    async fn follow(
        &self,
        flight: &Flight,
        canonical: &mut Canonical<'_>,
        view: &mut ChainView,
    ) -> Result<(), ObserveError> {
        for variant in &flight.variants {
            if let Some(receipt) = self.receipt(variant.hash).await?
                && canonical.has(receipt.block_number, receipt.block_hash).await?
            {
                view.receipts.insert(variant.hash, receipt);
            }
        }
        match &flight.phase {
            Phase::Mined(there) | Phase::Safe(there) | Phase::Final(there) => {
                if canonical.has(there.block_number, there.block_hash).await? {
                    view.canonical.insert(there.block_hash);
                }
            }
            Phase::InPool => {
                for variant in &flight.variants {
                    if !view.receipts.contains_key(&variant.hash) && !self.knows(variant.hash).await? {
                        view.unknown.insert(variant.hash);
                    }
                }
            }
            Phase::Prepared | Phase::Signed | Phase::Bump | Phase::Dropped(_) => {}
        }
        Ok(())
    }

    /// The contract's head at one block, as every end point says.
    ///
    /// # Errors
    /// [`ObserveError`].
    pub async fn head_at(&self, at: At) -> Result<ChainHead, ObserveError> {
        let (contract, call) = (self.contract, registry::head_call(self.log_id));
        let ask = |rpc: Rpc| {
            let call = call.clone();
            async move { rpc.eth_call(contract, &call, at).await }
        };
        let answer = self.same("the contract's head", ask).await?;
        let endpoint = self.endpoints.first().map_or_else(String::new, |rpc| rpc.name().to_owned());
        registry::head_answer(&answer).map_err(|source| ObserveError::Registry { endpoint, source })
    }

    /// The contract's `seq` at the final block. A log that was registered later has none there.
    async fn final_seq(&self, finalized: BlockRef) -> Result<u64, ObserveError> {
        match self.head_at(At::Hash(finalized.hash)).await {
            Ok(head) => Ok(head.seq),
            Err(ObserveError::Rpc { source: RpcError::Refused { refusal: Refusal::Reverted, .. }, .. }) => Ok(0),
            // Before the contract was deployed a call gives nothing.
            Err(ObserveError::Registry { .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Heights up to which blocks are safe and final, and the final block.
    async fn finality(&self, tip: BlockRef) -> Result<(u64, BlockRef), ObserveError> {
        match self.finality_depth {
            Some(depth) => {
                let number = tip.number.saturating_sub(depth);
                let finalized = self.agreed(At::Number(number), "the final block").await?;
                Ok((finalized.number, finalized))
            }
            None => {
                let finalized = self.agreed(At::Finalized, "the final block").await?;
                // Where a node knows no `safe`, what is final is.
                let safe = self.agreed(At::Safe, "the safe block").await.map_or(finalized.number, |safe| safe.number);
                Ok((safe.max(finalized.number), finalized))
            }
        }
    }

    /// A block by its height, as every end point says.
    ///
    /// # Errors
    /// [`ObserveError`].
    pub async fn block_at(&self, number: u64) -> Result<BlockRef, ObserveError> {
        self.agreed(At::Number(number), "a final block").await
    }

    /// The lowest of the blocks that the end points name at `at`, which all of them must have under the same hash.
    async fn agreed(&self, at: At, what: &'static str) -> Result<BlockRef, ObserveError> {
        let mut lowest: Option<BlockRef> = None;
        for rpc in &self.endpoints {
            let block = block_of(rpc, at, what).await?;
            lowest = Some(match lowest {
                Some(before) if before.number <= block.number => before,
                Some(_) | None => block,
            });
        }
        let lowest = lowest.ok_or(ObserveError::NoEndpoint)?;
        if self.endpoints.len() > 1 {
            for rpc in &self.endpoints {
                if block_of(rpc, At::Number(lowest.number), what).await?.hash != lowest.hash {
                    return Err(ObserveError::Disagree { what });
                }
            }
        }
        Ok(lowest)
    }

    /// An answer that every end point must give alike.
    async fn same<T, F>(&self, what: &'static str, ask: impl Fn(Rpc) -> F) -> Result<T, ObserveError>
    where
        T: PartialEq,
        F: Future<Output = Result<T, RpcError>>,
    {
        let mut said = None;
        for rpc in &self.endpoints {
            let answer = asked(rpc, ask(rpc.clone()).await)?;
            match &said {
                None => said = Some(answer),
                Some(before) if *before == answer => {}
                Some(_) => return Err(ObserveError::Disagree { what }),
            }
        }
        said.ok_or(ObserveError::NoEndpoint)
    }

    /// A receipt from whichever end point has one; its block is compared with the agreed chain afterwards.
    async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ObserveError> {
        for rpc in &self.endpoints {
            if let Some(receipt) = asked(rpc, rpc.receipt(transaction).await)? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    async fn knows(&self, transaction: B256) -> Result<bool, ObserveError> {
        for rpc in &self.endpoints {
            if asked(rpc, rpc.knows(transaction).await)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Which blocks are canonical up to the tip; each height is asked for once.
struct Canonical<'a> {
    chain: &'a Chain,
    tip: BlockRef,
    known: BTreeMap<u64, B256>,
}

impl Canonical<'_> {
    async fn has(&mut self, number: u64, hash: B256) -> Result<bool, ObserveError> {
        if number > self.tip.number {
            return Ok(false);
        }
        if number == self.tip.number {
            return Ok(hash == self.tip.hash);
        }
        let known = match self.known.get(&number) {
            Some(known) => *known,
            None => {
                let block = self.chain.agreed(At::Number(number), "an old block").await?;
                self.known.insert(number, block.hash);
                block.hash
            }
        };
        Ok(known == hash)
    }
}

async fn block_of(rpc: &Rpc, at: At, what: &'static str) -> Result<BlockRef, ObserveError> {
    asked(rpc, rpc.block(at).await)?.ok_or_else(|| ObserveError::Missing { endpoint: rpc.name().to_owned(), what })
}

fn asked<T>(rpc: &Rpc, answer: Result<T, RpcError>) -> Result<T, ObserveError> {
    answer.map_err(|source| ObserveError::Rpc { endpoint: rpc.name().to_owned(), source })
}
