#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use super::*;

/// What clients really say, and what it means.
const SAID: [(&str, Refusal); 44] = [
    // geth
    ("already known", Refusal::AlreadyKnown),
    ("known transaction: 0x6bc6bc", Refusal::AlreadyKnown),
    ("nonce too low", Refusal::NonceTooLow),
    ("nonce too low: next nonce 5, tx nonce 4", Refusal::NonceTooLow),
    ("nonce too high: address 0x1, tx: 9 state: 4", Refusal::NonceTooHigh),
    ("gapped-nonce tx from delegated accounts", Refusal::NonceTooHigh),
    ("transaction underpriced", Refusal::Underpriced),
    ("transaction underpriced: gas tip cap 0, minimum needed 1", Refusal::Underpriced),
    ("replacement transaction underpriced", Refusal::ReplacementUnderpriced),
    ("future transaction tries to replace pending", Refusal::ReplacementUnderpriced),
    ("insufficient funds for gas * price + value: balance 0, tx cost 5, overshot 5", Refusal::InsufficientFunds),
    ("max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1, baseFee: 7", Refusal::Underpriced),
    ("txpool is full", Refusal::Underpriced),
    ("execution reverted", Refusal::Reverted),
    ("execution reverted: custom error 0x1234", Refusal::Reverted),
    ("exceeds block gas limit", Refusal::Other),
    ("tx fee (2.00 ether) exceeds the configured cap (1.00 ether)", Refusal::Other),
    // Nethermind
    ("AlreadyKnown", Refusal::AlreadyKnown),
    ("OldNonce, Current nonce: 5, nonce of rejected tx: 4", Refusal::NonceTooLow),
    ("OwnNonceAlreadyUsed", Refusal::NonceTooLow),
    ("NonceGap, Future nonce. Expected nonce: 5", Refusal::NonceTooHigh),
    ("FeeTooLow, MaxFeePerGas too low. MaxFeePerGas: 1, BaseFee: 7", Refusal::Underpriced),
    ("FeeTooLowToCompete", Refusal::Underpriced),
    ("ReplacementNotAllowed", Refusal::ReplacementUnderpriced),
    ("InsufficientFunds, Account balance: 0", Refusal::InsufficientFunds),
    // Besu
    ("Known transaction", Refusal::AlreadyKnown),
    ("Nonce too low", Refusal::NonceTooLow),
    ("Transaction nonce is too distant from current sender nonce", Refusal::NonceTooHigh),
    ("Upfront cost exceeds account balance", Refusal::InsufficientFunds),
    ("Gas price below configured minimum gas price", Refusal::Underpriced),
    ("Replacement transaction underpriced", Refusal::ReplacementUnderpriced),
    ("Max fee per gas is below the current base fee", Refusal::Underpriced),
    // Erigon
    ("ALREADY_EXISTS: already known", Refusal::AlreadyKnown),
    ("underpriced", Refusal::Underpriced),
    ("could not replace existing tx", Refusal::ReplacementUnderpriced),
    ("INTERNAL_ERROR: nonce too low", Refusal::NonceTooLow),
    ("fee too low", Refusal::Underpriced),
    // anvil, OpenEthereum
    ("transaction already imported", Refusal::AlreadyKnown),
    (
        "Transaction gas price is too low. There is another transaction with same nonce in the queue.",
        Refusal::ReplacementUnderpriced,
    ),
    ("Insufficient funds for gas * price + value", Refusal::InsufficientFunds),
    // Arbitrum nitro
    ("nonce too low: address 0x1, tx: 4 state: 5", Refusal::NonceTooLow),
    // others
    ("rate limit exceeded", Refusal::Other),
    ("header not found", Refusal::Other),
    ("", Refusal::Other),
];

#[test]
fn refusals_by_what_clients_say() {
    for (words, meaning) in SAID {
        assert_eq!(Refusal::of(-32000, words), meaning, "{words}");
    }
    assert_eq!(Refusal::of(3, "something new"), Refusal::Reverted);
}

/// A node that answers one call with these bytes.
fn node(status: &str, body: &str) -> Rpc {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/key-in-path", listener.local_addr().unwrap());
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        // A client that has read enough hangs up.
        let _ = stream.write_all(answer.as_bytes());
    });
    let limits = RpcLimits { timeout: Duration::from_secs(5), body: 1000 };
    Rpc::new("rpc 1", url.parse().unwrap(), limits).unwrap()
}

fn result(body: &str) -> Rpc {
    node("200 OK", &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{body}}}"#))
}

#[tokio::test]
async fn answers_are_typed() {
    assert_eq!(result("\"0x7a69\"").chain_id().await, Ok(31337));
    assert_eq!(result("null").receipt(B256::ZERO).await, Ok(None));
    assert_eq!(result("null").block(At::Latest).await, Ok(None));
    assert_eq!(result("null").knows(B256::ZERO).await, Ok(false));
    let hash = B256::repeat_byte(1);
    let receipt = format!(
        r#"{{"transactionHash":"{hash}","blockHash":"{}","blockNumber":"0x9","status":"0x0","gasUsed":"0x5208"}}"#,
        B256::repeat_byte(2)
    );
    let read = result(&receipt).receipt(hash).await.unwrap().unwrap();
    assert_eq!((read.block_number, read.succeeded, read.gas_used), (9, false, 21000));
}

#[tokio::test]
async fn malformed_answers_are_errors() {
    for body in ["\"7a69\"", "\"0xzz\"", "{}", "[]", "null", "\"0x1ffffffffffffffffffff\""] {
        let answer = result(body).chain_id().await;
        assert!(matches!(answer, Err(RpcError::Malformed { .. })), "{body}: {answer:?}");
    }
    let other = r#"{"transactionHash":"0x0101010101010101010101010101010101010101010101010101010101010101",
        "blockHash":"0x0101010101010101010101010101010101010101010101010101010101010101",
        "blockNumber":"0x9","status":"0x1","gasUsed":"0x1"}"#;
    assert!(matches!(result(other).receipt(B256::ZERO).await, Err(RpcError::Malformed { .. })), "another's receipt");
    for body in ["", "<html>", "{\"jsonrpc\":", "[1]"] {
        assert!(matches!(node("200 OK", body).chain_id().await, Err(RpcError::Malformed { .. })), "{body}");
    }
    let long = format!("\"0x{}\"", "0".repeat(2000));
    assert!(matches!(result(&long).chain_id().await, Err(RpcError::Malformed { .. })), "over the limit");
}

#[tokio::test]
async fn refusals_are_read_under_any_status() {
    let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"nonce too low"}}"#;
    for status in ["200 OK", "400 Bad Request", "500 Internal Server Error"] {
        let answer = node(status, body).send_raw(&Bytes::new()).await;
        assert!(
            matches!(answer, Err(RpcError::Refused { refusal: Refusal::NonceTooLow, code: -32000, .. })),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_json_rpc_is_a_matter_of_transport() {
    for status in ["502 Bad Gateway", "429 Too Many Requests", "301 Moved Permanently"] {
        let answer = node(status, "<html>").chain_id().await;
        assert!(matches!(answer, Err(RpcError::Transport { .. })), "{status}: {answer:?}");
    }
}

#[tokio::test]
async fn an_error_never_shows_the_address() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let url: Url = format!("http://{closed}/key-in-path").parse().unwrap();
    let error = Rpc::new("rpc 1", url, RpcLimits::default()).unwrap().chain_id().await.unwrap_err();
    assert!(matches!(error, RpcError::Transport { .. }));
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(!shown.contains("key-in-path") && !shown.contains(&closed.to_string()), "{shown}");
    }
}
