//! How the feed stands, for readiness and metrics.

use evidence::ids::Timestamp;

use crate::clock;

/// How the feed stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedState {
    /// What it does.
    pub standing: Standing,
    /// The journal's position up to which every event was delivered, had nothing to deliver or was set aside.
    pub position: u64,
    /// AuditEvents that were delivered since the start.
    pub delivered: u64,
    /// Records that the endpoint refuses, or that have no AuditEvent, since the start; they are kept in the cursor's file.
    pub set_aside: u64,
    /// When the first event after the position was recorded; nothing where none waits.
    pub oldest: Option<Timestamp>,
    /// When the server last took one, since the start.
    pub last_success: Option<Timestamp>,
}

/// What the feed does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was delivered yet.
    #[default]
    Starting,
    /// The last round went well.
    Feeding,
    /// The last round failed and is tried again.
    Retrying {
        /// A code of HTTP or of the transport.
        why: String,
    },
    /// The journal or the cursor cannot be read or written: nothing is fed, and it is tried again once a minute only.
    Stopped {
        /// Why.
        why: String,
    },
}

impl FeedState {
    /// Notes what was delivered, now.
    pub(super) fn fed(&mut self, position: u64, delivered: u64, set_aside: u64) {
        self.position = position;
        self.delivered += delivered;
        self.set_aside += set_aside;
        if delivered > 0 {
            self.last_success = Timestamp::from_date(clock::now()).ok();
        }
    }
}
