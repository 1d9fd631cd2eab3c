//! The paging cursor: where the next page of a search starts, sealed.
//!
//! A cursor is state that the client carries. It is encrypted and authenticated (AES-256-GCM), because it names
//! upstream paging state and the caller's own query, and bound to subject, client, resource type and policy digest,
//! so that it is worthless to anybody else and after a change of policy (CONSENT.md, leak table, "pages").

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::caller::Caller;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

const NONCE: usize = 12;
const TAG: usize = 16;
/// Long enough to page by hand, short enough that a forgotten cursor does not outlive a working day.
const LIFETIME: Duration = Duration::hours(8);
/// The longest cursor that is looked at.
pub(crate) const LONGEST: usize = 8192;

/// Where a search goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Position {
    /// A search of many patients: one of the upstream's own pages, as a target below its base.
    UpstreamPage {
        /// Path and query below the upstream's base.
        target: String,
        /// Visible matches of that page that an earlier page of ours held.
        skip: u64,
        /// The entry behind which it goes on, instead: the mark of the last one that was shown. What is written in between
        /// stands before it, hidden or not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// The page size of the search.
        count: u32,
    },
    /// A search of one patient: the search again, after so many visible matches.
    AfterMatches {
        /// The normalised query for the upstream, without `_count`.
        query: String,
        /// Visible matches that earlier pages held.
        skip: u64,
        /// The page size of the search.
        count: u32,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    position: Position,
    /// The query that the self link shows.
    shown: String,
    /// Unix seconds.
    until: i64,
}

/// A cursor that does not open: made for somebody else, too old, altered, or made under another policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the paging link is not valid (any more)")]
pub struct NotOurCursor;

/// Seals and opens cursors with one key, which replicas share.
#[derive(Clone)]
pub struct Cursors {
    cipher: Aes256Gcm,
    policy_digest: String,
}

impl Cursors {
    /// Cursors under `key`, valid while the policy has this digest.
    pub fn new(key: &[u8; 32], policy_digest: impl Into<String>) -> Self {
        Self { cipher: Aes256Gcm::new(key.into()), policy_digest: policy_digest.into() }
    }

    /// The same key, under the policy of another digest.
    #[must_use]
    pub fn under(&self, policy_digest: impl Into<String>) -> Self {
        Self { cipher: self.cipher.clone(), policy_digest: policy_digest.into() }
    }

    /// The `_cursor` value for `position`. `nonce` must never repeat: 12 random bytes.
    pub fn seal(
        &self,
        caller: &Caller,
        resource_type: &str,
        position: Position,
        shown: &str,
        now: OffsetDateTime,
        nonce: [u8; NONCE],
    ) -> Result<String, NotOurCursor> {
        let room = match &position {
            Position::UpstreamPage { target, .. } => (shown.len() + TARGET).saturating_sub(target.len()),
            Position::AfterMatches { .. } => 0,
        };
        let sealed = Sealed { position, shown: shown.to_owned(), until: (now + LIFETIME).unix_timestamp() };
        let mut plain = serde_json::to_vec(&sealed).map_err(|_| NotOurCursor)?;
        let numbers = room_for_numbers(&plain, &sealed.position);
        let most = (LONGEST / 4 * 3 - NONCE - TAG).max(plain.len());
        plain.resize((plain.len() + room + numbers).min(most), b' ');
        let aad = self.bound_to(caller, resource_type);
        let payload = Payload { msg: &plain, aad: &aad };
        let mut out = nonce.to_vec();
        out.extend(self.cipher.encrypt(Nonce::from_slice(&nonce), payload).map_err(|_| NotOurCursor)?);
        Ok(URL_SAFE_NO_PAD.encode(out))
    }

    /// Opens a `_cursor` value: the position and the query that the self link shows.
    pub fn open(
        &self,
        caller: &Caller,
        resource_type: &str,
        text: &str,
        now: OffsetDateTime,
    ) -> Result<(Position, String), NotOurCursor> {
        if text.len() > LONGEST {
            return Err(NotOurCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotOurCursor)?;
        let (nonce, cipher) = bytes.split_at_checked(NONCE).ok_or(NotOurCursor)?;
        let aad = self.bound_to(caller, resource_type);
        let payload = Payload { msg: cipher, aad: &aad };
        let plain = self.cipher.decrypt(Nonce::from_slice(nonce), payload).map_err(|_| NotOurCursor)?;
        let sealed: Sealed = serde_json::from_slice(&plain).map_err(|_| NotOurCursor)?;
        if sealed.until < now.unix_timestamp() {
            return Err(NotOurCursor);
        }
        Ok((sealed.position, sealed.shown))
    }

    /// Length-prefixed, so that no two callers share one binding.
    fn bound_to(&self, caller: &Caller, resource_type: &str) -> Vec<u8> {
        let client = caller.client.as_deref().unwrap_or_default();
        let patient = caller.launch_patient.as_ref().map_or("", |p| p.as_str());
        let mut aad = b"sealgate/cursor/v1".to_vec();
        for part in [&caller.issuer, &caller.subject, client, patient, resource_type, &self.policy_digest] {
            aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
            aad.extend_from_slice(part.as_bytes());
        }
        aad
    }
}

/// What fills each number up to the same width. Where a search goes on is counted in what the upstream holds, hidden or
/// not, and the length of a cursor must not tell of that.
///
/// The upstream's target has its own room, whatever stands in it: which of the upstream's pages it names hangs on what is
/// hidden too.
fn room_for_numbers(plain: &[u8], position: &Position) -> usize {
    let target = match position {
        Position::UpstreamPage { target, .. } => numbers_in(target.as_bytes()),
        Position::AfterMatches { .. } => 0,
    };
    numbers_in(plain).saturating_sub(target)
}

fn numbers_in(plain: &[u8]) -> usize {
    let mut room = 0;
    // What follows on a percent sign is an escape; what stands behind that is a word of its own.
    for (at, part) in plain.split(|byte| *byte == b'%').enumerate() {
        let part = if at == 0 { part } else { part.get(2..).unwrap_or_default() };
        let words = part.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-');
        let numbers = words.filter(|word| !word.is_empty() && word.iter().all(u8::is_ascii_digit));
        room += numbers.map(|number| WIDEST.saturating_sub(number.len())).sum::<usize>();
    }
    room
}

/// Room for what an upstream's paging link is longer than the query that is shown.
const TARGET: usize = 512;
/// The digits of the largest `u64`.
const WIDEST: usize = 20;

#[cfg(test)]
mod tests;
