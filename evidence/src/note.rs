//! Signed notes (C2SP signed-note) with Ed25519 signatures and timestamped cosignatures (C2SP tlog-cosignature).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ids::is_name;

mod keys;

#[cfg(test)]
mod tests;

pub use keys::{KeyId, KeyKind, NoteSigner, NoteVerifier};

/// The most bytes a note may have.
pub const MAX_NOTE_BYTES: usize = 256 * 1024;

/// The most signatures a note may have; C2SP signed-note asks for at least 16.
pub const MAX_SIGNATURES: usize = 128;

/// The most bytes a key name may have.
pub const MAX_NAME_BYTES: usize = 255;

const LINE_START: &str = "\u{2014} ";

/// A text and the signatures under it; nothing of it is to be believed before [`Note::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line, not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: KeyId,
    bytes: Vec<u8>,
}

/// A signature that was made by a known key over the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// The name of the key.
    pub name: String,
    /// The id of the key.
    pub key_id: KeyId,
    /// For a cosignature, when the witness made it: seconds since 1970-01-01T00:00:00Z.
    pub timestamp: Option<u64>,
}

/// Why a note is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than [`MAX_NOTE_BYTES`], or more signatures than [`MAX_SIGNATURES`].
    #[error("the note is too large")]
    TooLarge,
    /// The text does not end in a newline, or holds a control character.
    #[error("the text of the note must end in a newline and hold no other control characters")]
    Text,
    /// No blank line, or no signature after it.
    #[error("the note has no signatures")]
    NoSignatures,
    /// A line that is not a signature line.
    #[error("signature line {line} is malformed")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// A key in a form that this program does not know.
    #[error("the key is malformed or of an unknown kind")]
    Key,
    /// The key cannot make what was asked of it.
    #[error("the key {name} is of another kind than this signature needs")]
    KeyKind {
        /// The name of the key.
        name: String,
    },
    /// A known key's signature does not fit the text.
    #[error("the signature of {name} does not fit the text")]
    BadSignature {
        /// The name of the key.
        name: String,
    },
    /// Not signed by any known key.
    #[error("no known key has signed the note")]
    NoKnownKey,
}

impl Note {
    /// A note with this text and no signatures yet.
    ///
    /// # Errors
    /// [`NoteError::Text`] and [`NoteError::TooLarge`].
    pub fn new(text: impl Into<String>) -> Result<Self, NoteError> {
        let text = text.into();
        if !text.ends_with('\n') || !is_text(&text) {
            return Err(NoteError::Text);
        }
        if text.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a signed note.
    ///
    /// # Errors
    /// [`NoteError`], which says what is malformed.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        if !is_text(note) {
            return Err(NoteError::Text);
        }
        // The text is parted from the signatures by the last empty line; it keeps its final newline.
        let blank = note.rfind("\n\n").ok_or(NoteError::NoSignatures)?;
        let (text, lines) = note.split_at_checked(blank + 1).ok_or(NoteError::NoSignatures)?;
        let lines = lines.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or(NoteError::NoSignatures)?;
        let mut signatures = Vec::new();
        for (place, line) in lines.split('\n').enumerate() {
            if place >= MAX_SIGNATURES {
                return Err(NoteError::TooLarge);
            }
            signatures.push(parse_line(line).ok_or(NoteError::Line { line: place + 1 })?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, with its final newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, not checked.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Signs with an Ed25519 key (type 0x01) and adds the line.
    ///
    /// # Errors
    /// [`NoteError::KeyKind`] for a witness key, [`NoteError::TooLarge`] where no line fits any more.
    pub fn sign(&mut self, signer: &NoteSigner) -> Result<(), NoteError> {
        let bytes = signer.sign(&self.text)?;
        self.push(signer, bytes)
    }

    /// Cosigns as a witness (type 0x04) at a time in seconds since 1970-01-01T00:00:00Z and adds the line.
    ///
    /// # Errors
    /// [`NoteError::KeyKind`] for a log key, [`NoteError::TooLarge`] where no line fits any more.
    pub fn cosign(&mut self, witness: &NoteSigner, timestamp: u64) -> Result<(), NoteError> {
        let bytes = witness.cosign(&self.text, timestamp)?;
        self.push(witness, bytes)
    }

    /// Adds a line that somebody else signed, such as a witness's answer; it is not checked here.
    ///
    /// # Errors
    /// [`NoteError::Line`] where it is no signature line, [`NoteError::TooLarge`] where no line fits any more.
    pub fn add_line(&mut self, line: &str) -> Result<(), NoteError> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let signature = parse_line(line).ok_or(NoteError::Line { line: 1 })?;
        self.push_signature(signature)
    }

    /// Checks the signatures of the keys that are known, and gives each such key once.
    ///
    /// Lines of other keys are ignored, also where they share a name or an id with a known key (C2SP
    /// signed-note, Signatures).
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] where a line of a known key does not fit, [`NoteError::NoKnownKey`] where
    /// there is none.
    pub fn verify(&self, known: &[NoteVerifier]) -> Result<Vec<VerifiedSignature>, NoteError> {
        let mut verified: Vec<VerifiedSignature> = Vec::new();
        for signature in &self.signatures {
            let mut keys = known.iter().filter(|key| key.matches(signature)).peekable();
            if keys.peek().is_none() {
                continue;
            }
            // Two keys with one name and one 32-bit id: it must be one of them.
            let timestamp = keys
                .find_map(|key| key.verify(&self.text, &signature.bytes))
                .ok_or_else(|| NoteError::BadSignature { name: signature.name.clone() })?;
            let seen = |old: &VerifiedSignature| old.name == signature.name && old.key_id == signature.key_id;
            if !verified.iter().any(seen) {
                verified.push(VerifiedSignature { name: signature.name.clone(), key_id: signature.key_id, timestamp });
            }
        }
        if verified.is_empty() { Err(NoteError::NoKnownKey) } else { Ok(verified) }
    }

    fn push(&mut self, signer: &NoteSigner, bytes: Vec<u8>) -> Result<(), NoteError> {
        let verifier = signer.verifier();
        self.push_signature(NoteSignature { name: verifier.name().to_owned(), key_id: verifier.key_id(), bytes })
    }

    fn push_signature(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(NoteError::TooLarge);
        }
        self.signatures.push(signature);
        Ok(())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str("\n")?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        Self::parse(note)
    }
}

impl NoteSignature {
    /// The name of the key that is said to have made it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key that is said to have made it.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }
}

/// Prints as a line without its newline: `— <name> base64(key id ‖ signature)`.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_id.0.to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(f, "{LINE_START}{} {}", self.name, STANDARD.encode(bytes))
    }
}

/// C2SP signed-note, Format: no ASCII control character but the newline.
fn is_text(text: &str) -> bool {
    text.bytes().all(|byte| byte >= 0x20 || byte == b'\n')
}

fn parse_line(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix(LINE_START)?.split_once(' ')?;
    if !is_name(name, MAX_NAME_BYTES) {
        return None;
    }
    let bytes = STANDARD.decode(encoded).ok()?;
    let (key_id, bytes) = bytes.split_first_chunk::<4>()?;
    if bytes.is_empty() {
        return None;
    }
    Some(NoteSignature { name: name.to_owned(), key_id: KeyId(*key_id), bytes: bytes.to_vec() })
}
