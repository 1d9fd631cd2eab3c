//! `[type]/[id]/$meta`: what a read shows of `meta`, and no more: profiles, tags and labels with their version.

use gateway_core::decide::Permit;
use gateway_core::interaction::OperationLevel;
use gateway_core::json::{Doc, quoted};

use super::{Invoked, body, only};
use crate::filter::Judge;
use crate::gate::Gate;
use crate::outcome::{Answer, Outcome};
use crate::problem::Problem;
use crate::read::{Wanted, read};

/// The elements of `meta` that the operation tells (FHIR R4, resource operations, "Access a list of profiles, tags, and
/// security labels"), with those that name the version.
const TOLD: &[&str] = &["versionId", "lastUpdated", "profile", "security", "tag"];

pub(super) async fn meta(gate: &Gate, judge: &Judge, permit: &Permit, invoked: Invoked) -> Result<Outcome, Problem> {
    let OperationLevel::Instance(rtype, id) = invoked.level else { return Err(Problem::Absent) };
    only(&[], &invoked.query, body(&invoked.body, None)?.params, invoked.handling)?;
    let wanted = Wanted { traceparent: invoked.traceparent, ..Wanted::current(rtype, id) };
    let mut window = match read(gate, judge, permit, &wanted).await? {
        Outcome::Whole { window, .. } => window,
        refused @ (Outcome::Windows { .. }
        | Outcome::Written { .. }
        | Outcome::Granted { .. }
        | Outcome::Refused { .. }) => return Ok(refused),
    };
    let doc = Doc::parse(&window.bytes).map_err(|_| Problem::Unfilterable("upstream-malformed-resource"))?;
    let members = doc.root().get("meta").into_iter().flat_map(|meta| meta.members());
    let told = members.filter(|member| TOLD.contains(&member.key.as_ref()));
    let told: Vec<String> = told.map(|member| format!("{}:{}", quoted(&member.key), member.value.raw_str())).collect();
    let parameter = match told.is_empty() {
        true => String::new(),
        false => format!(r#","parameter":[{{"name":"return","valueMeta":{{{}}}}}]"#, told.join(",")),
    };
    window.bytes = format!(r#"{{"resourceType":"Parameters"{parameter}}}"#).into_bytes();
    Ok(Outcome::Whole { answer: Answer::status(200), window })
}
