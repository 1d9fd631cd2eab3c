//! `$validate`: whether a resource would be taken, which is asked with the same care as a write (docs/adr/0047).
//!
//! What the resource refers to is looked up before the FHIR server is asked, so that its answer cannot tell of what is
//! hidden. Nothing is written, and no intent is recorded.

use std::collections::BTreeSet;

use bytes::Bytes;
use gateway_core::decide::Permit;
use gateway_core::interaction::{OperationLevel, Param, Refusal};
use gateway_core::json::{Doc, Edits};

use super::{Writer, refused};
use crate::filter::Window;
use crate::forward::Method;
use crate::operate::{Invoked, bad_body, body, not_accepted, only, unless_readable};
use crate::outcome::{Answer, Outcome};
use crate::problem::Problem;
use crate::read::{Wanted, read};

impl Writer<'_> {
    /// Answers with the FHIR server's OperationOutcome on the resource in the body or, where there is none, on the stored
    /// one as the caller sees it.
    pub async fn validate(&self, permit: &Permit, invoked: &Invoked) -> Result<Outcome, Problem> {
        let (rtype, id) = match &invoked.level {
            OperationLevel::Type(rtype) => (*rtype, None),
            OperationLevel::Instance(rtype, id) => (*rtype, Some(id)),
            OperationLevel::System | OperationLevel::Version(..) => return Err(Problem::Absent),
        };
        let asked = body(&invoked.body, Some("resource"))?;
        let (query, _) = only(&["mode", "profile"], &invoked.query, asked.params, invoked.handling)?;
        check_mode(query.params())?;
        if let Some(id) = id
            && let Some(absent) = unless_readable(self.judge, &format!("{rtype}/{id}")).await?
        {
            return Ok(absent);
        }
        let mut window = Box::new(Window::only());
        let resource = match (asked.resource, id) {
            (Some(resource), _) => resource,
            (None, None) => return Err(bad_body("The body holds no resource.")),
            (None, Some(id)) => {
                let traceparent = self.traceparent.clone();
                let wanted = Wanted { traceparent, ..Wanted::current(rtype, id.clone()) };
                match read(self.gate, self.judge, permit, &wanted).await? {
                    Outcome::Whole { window: own, .. } => window = own,
                    refused @ (Outcome::Windows { .. }
                    | Outcome::Written { .. }
                    | Outcome::Granted { .. }
                    | Outcome::Refused { .. }) => {
                        return Ok(refused);
                    }
                }
                if window.counts().redactions > 0 {
                    return Err(refused(
                        "redacted-image",
                        "Parts of this resource are redacted for you: it cannot be validated.",
                    ));
                }
                std::mem::take(&mut window.bytes)
            }
        };
        let after = self.image_after(rtype, None, &resource)?;
        if let Err(refused) = self.new_references(&after.references, &BTreeSet::new(), permit.grant()).await {
            return Ok(refused.into());
        }
        let query = query.to_query();
        let separator = if query.is_empty() { "" } else { "?" };
        let target = format!("{rtype}/{}{separator}{query}", invoked.row.name);
        let request = self.request(Method::Post, target, Some(after.bytes), None);
        let answer = self.gate.upstream.forward(permit, request).await?;
        match answer.status {
            200 => {}
            400 | 404 | 412 | 422 | 501 => return Err(not_accepted()),
            status => return Err(Problem::UpstreamRefused { status }),
        }
        let bytes = answer.into_json_bytes(self.gate.shared.limits.entry).await?;
        window.bytes = self.told(&bytes)?;
        Ok(Outcome::Whole { answer: Answer::status(200), window })
    }

    /// The outcome, where nothing names the FHIR server itself: of an issue that does only its place and kind are told.
    fn told(&self, bytes: &Bytes) -> Result<Vec<u8>, Problem> {
        let malformed = Problem::Unfilterable("operation-output");
        let doc = Doc::parse(bytes).map_err(|_| malformed.clone())?;
        if doc.root().str_at("resourceType").as_deref() != Some("OperationOutcome") {
            return Err(malformed);
        }
        let base = self.judge.bases().upstream.as_str();
        let mut edits = Edits::new();
        edits.remove_children(doc.root(), |member| {
            !member.key().is_some_and(|key| matches!(key.as_ref(), "resourceType" | "issue"))
        });
        for issue in doc.root().get("issue").into_iter().flat_map(|issues| issues.items().collect::<Vec<_>>()) {
            if issue.raw_str().contains(base) {
                let kept = ["severity", "code", "location", "expression"];
                edits.remove_children(issue, |member| {
                    !member.key().is_some_and(|key| kept.contains(&key.as_ref())) || member.raw_str().contains(base)
                });
            }
        }
        edits.apply(bytes).map_err(|_| malformed)
    }
}

/// `delete` asks whether something refers to the resource, hidden or not; what else there is is not known.
fn check_mode(params: &[Param]) -> Result<(), Problem> {
    let mut modes = params.iter().filter(|param| param.name == "mode");
    match (modes.next().map(|mode| mode.value.as_str()), modes.next()) {
        (None | Some("create" | "update" | "profile"), None) => Ok(()),
        (Some(_) | None, _) => Err(Problem::Uninterpretable(Refusal::ValueRefused("mode"))),
    }
}
