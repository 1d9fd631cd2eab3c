//! A journal that is read and not written: also while a gateway writes it.

use evidence::ids::EventId;
use rusqlite::Connection;

use super::entry::Preparer;
use super::error::{JournalError, OpenError};
use super::openings::{self, Followed, Opening};
use super::place::{Numbering, Position};
use super::{KeyCache, Settings, schema};
use crate::keys::KeyEncryptionKey;

/// The records of a journal, for reading.
pub struct Archive {
    reader: Connection,
    numbering: Numbering,
    keys: Preparer,
}

impl Archive {
    /// Opens the journal at the settings' path.
    ///
    /// # Errors
    /// It is not there, or the key or tenant is another.
    pub fn open(settings: &Settings, kek: KeyEncryptionKey) -> Result<Self, OpenError> {
        if !settings.path.exists() {
            let absent = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(OpenError::Directory(absent));
        }
        let reader = schema::reader(&settings.path)?;
        let numbering = schema::identify(&reader, &settings.tenant, &kek)?;
        let keys = Preparer { tenant: settings.tenant.clone(), kek, cache: KeyCache::new(1) };
        Ok(Self { reader, numbering, keys })
    }

    /// How many records there are now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn records(&self) -> Result<u64, JournalError> {
        let last = self.reader.query_row("SELECT coalesce(max(position), 0) FROM record", [], |row| row.get(0));
        Ok(Position::from_row(last.map_err(JournalError::Read)?).get())
    }

    /// At most `most` records after a position (0: from the first), decrypted, in order.
    ///
    /// # Errors
    /// [`JournalError::Altered`]: a record is not what was recorded.
    pub fn follow(&self, after: u64, most: u32) -> Result<Vec<Followed>, JournalError> {
        openings::after(&self.reader, &self.numbering, &self.keys, Position(after), most)
    }

    /// The records of a request, in order; nothing in the place of one whose key was erased.
    ///
    /// # Errors
    /// As [`Archive::follow`].
    pub fn of_request(&self, request: EventId) -> Result<Vec<Option<Opening>>, JournalError> {
        openings::left_of_request(&self.reader, &self.numbering, &self.keys, request)
    }
}
