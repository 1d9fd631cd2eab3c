//! The operator's client table: what a verified client stands for where its token does not say.

use sha2::{Digest as _, Sha256};

use crate::config::ClientConfig;

/// The table, with what tells it from another.
pub struct ClientTable {
    rows: Vec<ClientConfig>,
    digest: [u8; 32],
}

impl ClientTable {
    /// Of these rows, in their order.
    pub fn new(rows: Vec<ClientConfig>) -> Self {
        Self { digest: digest(&rows), rows }
    }

    pub(super) fn rows(&self) -> &[ClientConfig] {
        &self.rows
    }

    /// SHA-256 over all rows; equal digests stand for the same.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// Each part with its length, so that no two tables share an input.
fn digest(rows: &[ClientConfig]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut part = |text: &str| {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    };
    part("sealgate/clients/v1");
    for row in rows {
        // Exhaustive: a new member has to be told here.
        let ClientConfig { issuer, client, role, purposes, organization, roles } = row;
        part(issuer);
        part(client);
        list(&mut part, role.iter().cloned());
        list(&mut part, purposes.iter().map(|purpose| format!("{purpose:?}")));
        list(&mut part, organization.iter().map(|organization| format!("{organization:?}")));
        list(&mut part, roles.iter().cloned());
    }
    hasher.finalize().into()
}

fn list(part: &mut impl FnMut(&str), items: impl ExactSizeIterator<Item = String>) {
    part(&items.len().to_string());
    items.for_each(|item| part(&item));
}
