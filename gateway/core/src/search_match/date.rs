//! Dates: ranges of time against ranges of time (FHIR R4, search, "Prefixes" and "date").

use time::OffsetDateTime;

use super::Unsupported;
use super::elements::{Datatype, Found};
use super::value::{self, Alternative};
use crate::consent::dates::{Moment, Period, Span, Zone};
use crate::consent::truth::Truth;
use crate::json::Value;

/// `[prefix]date`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    prefix: Prefix,
    moment: Moment,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
}

impl Asked {
    pub(super) fn parse(alternative: &Alternative) -> Result<Self, Unsupported> {
        let text = value::plain(alternative)?;
        let (prefix, date) = match text.split_at_checked(2) {
            Some(("eq", date)) => (Prefix::Eq, date),
            Some(("ne", date)) => (Prefix::Ne, date),
            Some(("gt", date)) => (Prefix::Gt, date),
            Some(("lt", date)) => (Prefix::Lt, date),
            Some(("ge", date)) => (Prefix::Ge, date),
            Some(("le", date)) => (Prefix::Le, date),
            Some(("sa", date)) => (Prefix::Sa, date),
            Some(("eb", date)) => (Prefix::Eb, date),
            // `ap` means what each server likes it to.
            _ => (Prefix::Eq, text.as_str()),
        };
        Ok(Self { prefix, moment: Moment::parse(date).map_err(|_| Unsupported)? })
    }

    fn is(self, held: Span, zone: &Zone) -> Truth {
        let Some(Span { start: Some(start), end: Some(end) }) = self.moment.span(zone) else { return Truth::Unknown };
        let after = |bound: OffsetDateTime| held.end.is_none_or(|held| held > bound);
        let before = |bound: OffsetDateTime| held.start.is_none_or(|held| held < bound);
        let contained = !before(start) && !after(end);
        Truth::from(match self.prefix {
            Prefix::Eq => contained,
            Prefix::Ne => !contained,
            Prefix::Gt => after(end),
            Prefix::Lt => before(start),
            Prefix::Ge => after(end) || contained,
            Prefix::Le => before(start) || contained,
            Prefix::Sa => !before(end),
            Prefix::Eb => !after(start),
        })
    }
}

/// Whether any of these dates is among what was found.
pub(super) fn truth(asked: &[Asked], found: &Found<'_>, zone: &Zone) -> Truth {
    found.any(|value, datatype| match span(value, datatype, zone) {
        Some(held) => Truth::any(asked.iter().map(|asked| asked.is(held, zone))),
        None => Truth::Unknown,
    })
}

/// The range of a date or Period; `None` where it cannot be read.
fn span(value: Value<'_>, datatype: Datatype, zone: &Zone) -> Option<Span> {
    match datatype {
        Datatype::Date => Moment::parse(&value.as_str()?).ok()?.span(zone),
        Datatype::Period => {
            let bound = |key: &str| match value.get(key) {
                Some(bound) => Moment::parse(&bound.as_str()?).ok().map(Some),
                None if value.get(&format!("_{key}")).is_some() => None,
                None => Some(None),
            };
            let period = Period { start: bound("start")?, end: bound("end")? };
            (period.start.is_some() || period.end.is_some()).then(|| period.span(zone)).flatten()
        }
        Datatype::Code(_)
        | Datatype::CodeableConcept
        | Datatype::Coding
        | Datatype::Identifier
        | Datatype::ContactPoint
        | Datatype::Boolean
        | Datatype::Text
        | Datatype::HumanName
        | Datatype::Address
        | Datatype::Opaque => None,
    }
}
