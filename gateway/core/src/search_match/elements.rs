//! The elements of a resource that a parameter looks at.

use crate::consent::truth::Truth;
use crate::json::{Kind, Value};

/// An element, as a path of JSON names, and its datatype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) path: &'static str,
    pub(super) datatype: Datatype,
}

/// The datatypes that are looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    /// A `code`, with its one code system where the binding has one.
    Code(Option<&'static str>),
    CodeableConcept,
    Coding,
    Identifier,
    ContactPoint,
    Boolean,
    /// `string`, `markdown`, `id`, `uri`, `canonical`, …
    Text,
    Date,
    Period,
    HumanName,
    Address,
    /// One that is not looked into: that it stands there makes the answer unknown.
    Opaque,
}

/// What stands at the elements.
pub(super) struct Found<'a> {
    pub(super) values: Vec<(Value<'a>, Datatype)>,
    /// Whether more may stand there that cannot be read: a primitive that is an extension only, `null`, another shape.
    unclear: bool,
}

/// Everything at these elements, through repetitions.
pub(super) fn at<'a>(resource: Value<'a>, leaves: &[Leaf]) -> Found<'a> {
    let mut found = Found { values: Vec::new(), unclear: false };
    for leaf in leaves {
        let mut holders = vec![resource];
        for name in leaf.path.split('.') {
            let mut inner = Vec::new();
            for holder in holders {
                // A primitive without a value, which its extensions say more of (`_status` without `status`).
                let extended = holder.get(name).is_none() && holder.get(&format!("_{name}")).is_some();
                found.unclear |= extended || !holder.is_object();
                inner.extend(holder.get(name).into_iter().flat_map(|value| value.each()));
            }
            found.unclear |= inner.iter().any(|value| value.kind() == Kind::Null);
            inner.retain(|value| value.kind() != Kind::Null);
            holders = inner;
        }
        if leaf.datatype == Datatype::Opaque {
            found.unclear |= !holders.is_empty();
        } else {
            found.values.extend(holders.into_iter().map(|value| (value, leaf.datatype)));
        }
    }
    found
}

impl Found<'_> {
    /// Whether any of what stands there is so; unknown where something could not be read.
    pub(super) fn any(&self, is: impl Fn(Value<'_>, Datatype) -> Truth) -> Truth {
        let known = Truth::any(self.values.iter().map(|(value, datatype)| is(*value, *datatype)));
        if self.unclear { known.or(Truth::Unknown) } else { known }
    }

    /// `:missing`.
    pub(super) fn missing(&self, asked: bool) -> Truth {
        match (self.values.is_empty(), self.unclear) {
            (true, true) => Truth::Unknown,
            (missing, _) => Truth::from(missing == asked),
        }
    }
}
