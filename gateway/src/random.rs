//! Randomness outside of the journal's keys: nonces of cursors.

/// Twelve random bytes, for one use as an AES-GCM nonce.
pub fn nonce() -> Result<[u8; 12], getrandom::Error> {
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce)?;
    Ok(nonce)
}
