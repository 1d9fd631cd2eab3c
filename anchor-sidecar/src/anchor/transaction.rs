//! Transactions: from what is meant to the bytes that are sent.

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxLegacy, transaction::RlpEcdsaEncodableTx as _};
use alloy_primitives::{B256, Bytes, TxKind, U256};

use super::{
    fees::Fees,
    signer::{DigestSigner, SignerError},
};

/// A transaction before it is signed.
#[derive(Debug, Clone)]
pub(super) struct Unsigned {
    pub(super) chain_id: u64,
    pub(super) nonce: u64,
    pub(super) gas_limit: u64,
    pub(super) fees: Fees,
    pub(super) to: TxKind,
    pub(super) input: Bytes,
}

impl Unsigned {
    /// Signs it; its hash and its bytes. The same transaction gives the same bytes (RFC 6979).
    pub(super) fn sign(self, signer: &dyn DigestSigner) -> Result<(B256, Bytes), SignerError> {
        let Self { chain_id, nonce, gas_limit, fees, to, input } = self;
        let value = U256::ZERO;
        let mut raw = Vec::new();
        let hash = match fees {
            Fees::Dynamic { tip, cap } => {
                let transaction = TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: cap,
                    max_priority_fee_per_gas: tip,
                    to,
                    value,
                    access_list: Default::default(),
                    input,
                };
                let signature = signer.sign(transaction.signature_hash())?;
                transaction.eip2718_encode(&signature, &mut raw);
                *transaction.into_signed(signature).hash()
            }
            Fees::Legacy { price } => {
                let transaction =
                    TxLegacy { chain_id: Some(chain_id), nonce, gas_price: price, gas_limit, to, value, input };
                let signature = signer.sign(transaction.signature_hash())?;
                transaction.eip2718_encode(&signature, &mut raw);
                *transaction.into_signed(signature).hash()
            }
        };
        Ok((hash, raw.into()))
    }
}

#[cfg(test)]
mod tests;
