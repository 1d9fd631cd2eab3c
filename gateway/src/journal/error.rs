//! Why the journal refuses.

use evidence::event::EventError;
use evidence::ids::Sequence;

use crate::keys::KeyError;

/// Why events were not recorded, or could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A limit is reached; nothing of the batch was recorded, and it may be tried again later.
    #[error("the journal is full: {0}")]
    Full(Limit),
    /// The journal could not write and records nothing more until the process is started again.
    #[error("the journal has failed and records nothing until a restart")]
    Failed,
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// A batch without events proves nothing.
    #[error("the batch holds no event")]
    EmptyBatch,
    /// A batch holds more events than the journal takes at once ([`super::MAX_BATCH`]).
    #[error("the batch holds more events than the journal takes at once")]
    BatchTooLarge,
    /// Query values were handed in with an event that cannot hold them, or sealed by somebody else.
    #[error("an event of kind {kind} holds no query values but those that the journal seals")]
    QueryNotHeld {
        /// The kind of the event.
        kind: &'static str,
    },
    /// An event has no canonical form.
    #[error("an event has no canonical form: {0}")]
    Event(#[from] EventError),
    /// A key could not be made or used.
    #[error("a key could not be used: {0}")]
    Key(#[from] KeyError),
    /// A record differs from what was recorded: NOT verified.
    #[error("record {sequence} was altered: {what}")]
    Altered {
        /// Its place in its epoch.
        sequence: Sequence,
        /// What differs.
        what: &'static str,
    },
    /// The secret of a record's patient is not in the journal (erased).
    #[error("the key of record {sequence} is not in the journal")]
    KeyMissing {
        /// Its place in its epoch.
        sequence: Sequence,
    },
    /// The file could not be read.
    #[error("the journal cannot be read: {0}")]
    Read(rusqlite::Error),
    /// The machine's clock shows no year from 1970 to 9999.
    #[error("the clock shows no year from 1970 to 9999")]
    Clock,
    /// A break-glass grant cannot be closed.
    #[error("the grant cannot be reviewed: {what}")]
    Grant {
        /// Why not.
        what: &'static str,
    },
    /// A receipt does not fit what the journal holds.
    #[error("the receipt does not fit the journal: {what}")]
    Receipt {
        /// What does not fit.
        what: &'static str,
    },
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// As many bytes as configured (`journal.max_bytes`), or as the disk has.
    #[error("journal.max_bytes is reached")]
    Bytes,
    /// As many records wait for the log as configured (`journal.max_backlog`).
    #[error("journal.max_backlog is reached")]
    Backlog,
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or lock file cannot be used.
    #[error("the journal's directory cannot be used: {0}")]
    Directory(std::io::Error),
    /// Another process writes this journal.
    #[error("another process has this journal open")]
    InUse,
    /// SQLite cannot open, make or recover the file.
    #[error("the journal cannot be opened: {0}")]
    Database(#[from] rusqlite::Error),
    /// The file is something else, or of a version that this program does not know.
    #[error("the file is no journal of this version: {what}")]
    Foreign {
        /// What differs.
        what: &'static str,
    },
    /// The file belongs to another tenant.
    #[error("the journal belongs to tenant {found}")]
    Tenant {
        /// The tenant in the file.
        found: String,
    },
    /// The key-encryption key is not the one that this journal was made with.
    #[error("the key-encryption key is not the one of this journal")]
    WrongKey,
    /// The file contradicts itself: records are missing or receipts run ahead of the records.
    #[error("the journal is damaged: {what}")]
    Damaged {
        /// What does not fit.
        what: &'static str,
    },
    /// A setting is out of range.
    #[error("{key} is out of range")]
    Setting {
        /// The key of the setting.
        key: &'static str,
    },
    /// A key could not be made or used.
    #[error("a key could not be used: {0}")]
    Key(#[from] KeyError),
    /// What an earlier run left open could not be closed.
    #[error("what an earlier run left open could not be closed: {0}")]
    Recovery(JournalError),
    /// The writer thread could not be started.
    #[error("the writer thread could not be started: {0}")]
    Thread(std::io::Error),
}
