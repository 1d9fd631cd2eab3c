//! The only place of the gateway that draws key material.

use super::KeyError;

/// Fills `buffer` from the operating system's generator.
///
/// # Errors
/// [`KeyError::Randomness`] where the operating system has none to give.
pub fn fill(buffer: &mut [u8]) -> Result<(), KeyError> {
    getrandom::fill(buffer).map_err(|_| KeyError::Randomness)
}
