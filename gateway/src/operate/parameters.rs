//! The body of an operation: a Parameters resource, or the one resource that it takes (FHIR R4, operations, "Executing an
//! Operation Synchronously").

use gateway_core::interaction::Param;
use gateway_core::json::{Doc, Kind};

use super::bad_body;
use crate::problem::Problem;

/// What a body holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    /// The parameters of a primitive type, as in a URL.
    pub(crate) params: Vec<Param>,
    /// The resource under this name, or the body itself where it is no Parameters.
    pub(crate) resource: Option<Vec<u8>>,
}

/// Reads a body whose one parameter that is a resource has the name `resource`; none where it takes no resource.
pub(crate) fn body(bytes: &[u8], resource: Option<&str>) -> Result<Body, Problem> {
    let mut read = Body::default();
    if bytes.is_empty() {
        return Ok(read);
    }
    let doc = Doc::parse(bytes).map_err(|_| bad_body("The body is not acceptable JSON."))?;
    if doc.root().str_at("resourceType").as_deref() != Some("Parameters") {
        return match resource {
            Some(_) => Ok(Body { resource: Some(bytes.to_vec()), ..read }),
            None => Err(bad_body("The body is no Parameters resource.")),
        };
    }
    let parameters: Vec<_> = doc.root().get("parameter").into_iter().flat_map(|list| list.items()).collect();
    for parameter in parameters {
        let name = parameter.str_at("name").ok_or_else(|| bad_body("A parameter has no name."))?.into_owned();
        let mut values = parameter.members().filter(|member| member.key.starts_with("value"));
        match (parameter.get("resource"), values.next(), values.next()) {
            (Some(inner), None, _) if resource == Some(name.as_str()) && read.resource.is_none() => {
                read.resource = Some(inner.raw().to_vec());
            }
            (None, Some(value), None) => {
                let text = match value.value.kind() {
                    Kind::Object | Kind::Array | Kind::Null => None,
                    Kind::String | Kind::Number | Kind::True | Kind::False => {
                        Some(value.value.as_str().map_or_else(|| value.value.raw_str().to_owned(), Into::into))
                    }
                };
                let value =
                    text.ok_or_else(|| bad_body("A parameter is of a type that this operation does not take."))?;
                read.params.push(Param { name, modifier: None, value });
            }
            _ => return Err(bad_body("A parameter is of a type that this operation does not take.")),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
