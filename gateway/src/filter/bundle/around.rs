//! One patient's record (`$everything`): what belongs to the patient, and what that refers to (docs/adr/0047).
//!
//! The upstream brings both together. What is nobody's, or another patient's, came along because something of this
//! record refers to it: it is shown where something that is shown does, so that it tells of nothing that is hidden.

use gateway_core::decide::Action;
use gateway_core::facts::ResourceFacts;
use gateway_core::json::{Doc, Value};
use gateway_core::owner::{PatientId, patient_compartment};
use gateway_core::resource_type::ResourceType;

use super::includes::WAITING_LIMIT;
use super::{Judged, MALFORMED, SearchAnswer, Subject, Window, disclose, name};
use crate::filter::plan::Around;
use crate::problem::Problem;

/// What an entry is decided as: what is of the patient's compartment was searched for, the patient and what the record
/// refers to is read.
pub(super) fn action(rtype: ResourceType) -> Action {
    match rtype == ResourceType::PATIENT || patient_compartment(rtype).is_empty() {
        true => Action::Read,
        false => Action::Search,
    }
}

impl Around {
    /// Whether a resource of this kind may stand there.
    pub(super) fn holds(&self, resource: Value<'_>) -> bool {
        let rtype = resource.str_at("resourceType").unwrap_or_default();
        rtype != "OperationOutcome" && self.reaches.reaches(&rtype)
    }
}

impl SearchAnswer {
    pub(super) fn write_around(
        &mut self,
        patient: &PatientId,
        subject: &Subject<'_>,
        judged: Judged,
        raw: &[u8],
        window: &mut Window,
    ) -> Result<(), Problem> {
        let name = name(subject)?;
        if self.state.seen.contains(&name) {
            return Ok(());
        }
        // `start` and `end` look at dates of whatever there is, those that are redacted too.
        let judged = if name == patient.reference() { judged } else { self.unless_found_by_removed(judged) };
        let mut shown = match judged {
            Judged::Shown(shown) => shown,
            Judged::Hidden { owners, reasons } => {
                self.state.seen.insert(name);
                if self.paging.is_here() && owners.contains(patient) {
                    window.deny(&owners, &reasons);
                }
                return Ok(());
            }
        };
        // Only what may leave counts as referring: a removed reference must not pull its target in.
        let doc = Doc::parse(&shown.bytes).map_err(|_| MALFORMED)?;
        let facts = ResourceFacts::of(doc.root(), self.judge.bases()).map_err(|_| MALFORMED)?;
        let own = patient.reference();
        let belongs = name == own || shown.owners.contains(patient) || facts.references.contains(&own);
        let referred = self.state.settling && self.state.referred.contains(&name);
        if !belongs && !referred {
            self.state.waiting_bytes += raw.len();
            if self.state.waiting_bytes > WAITING_LIMIT {
                return Err(Problem::Unfilterable("includes-before-matches"));
            }
            self.state.waiting.push(raw.to_vec());
            return Ok(());
        }
        self.state.referred.extend(facts.references);
        self.state.seen.insert(name);
        if self.paging.takes_place() {
            self.entry(subject, &mut shown, "match", window)?;
            disclose(window, subject, *shown)?;
        }
        Ok(())
    }

    /// Writes what the record refers to, until nothing more is referred to. In an order of its own: the upstream's may
    /// hang on what is hidden.
    pub(super) async fn write_waiting_around(&mut self, window: &mut Window) -> Result<(), Problem> {
        self.state.settling = true;
        loop {
            let mut waited = std::mem::take(&mut self.state.waiting);
            waited.sort_unstable();
            self.state.waiting_bytes = 0;
            if !waited.is_empty() {
                self.write_entries(&waited, window, true).await?;
            }
            if self.state.waiting.len() == waited.len() {
                return Ok(());
            }
        }
    }
}
