//! Which filters of granular scopes a resource matches.

use super::ResourceFacts;
use crate::json::Value;
use crate::policy::Policy;
use crate::reference::Bases;
use crate::scope::Scopes;
use crate::search_match::{Image, View};

impl ResourceFacts {
    /// Notes which filters of these scopes the resource, from which the facts were taken, is known to match. Whoever
    /// decides for a caller calls it before; without it no granular scope grants anything.
    pub fn match_filters(
        &mut self,
        resource: Value<'_>,
        image: Image,
        scopes: &Scopes,
        policy: &Policy,
        bases: &Bases,
    ) {
        let mut filters = scopes.filters(&self.resource_type).peekable();
        if filters.peek().is_none() {
            return;
        }
        let labels = policy.labels_of(self);
        let view = View { resource, image, labels: &labels, bases, zone: &policy.settings().timezone };
        self.filters = filters.filter(|filter| filter.matches(&view)).cloned().collect();
    }
}
