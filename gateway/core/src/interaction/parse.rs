//! From method, path, query and headers to an interaction.

use super::prefer::{Preferences, is_json, is_json_patch, require_json};
use super::query::SearchQuery;
use super::refusal::Refusal;
use super::{Interaction, OperationLevel, Via};
use crate::operations;
use crate::owner::is_fhir_id;
use crate::resource_type::ResourceType;
use crate::trim::Trim;

/// What is needed of a request to know its interaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path after the public base, still encoded: empty, `/`, `/Patient/1`.
    pub path: &'a str,
    /// The query, still encoded, without `?`.
    pub query: &'a str,
    /// The headers that matter.
    pub headers: Headers<'a>,
    /// The body of a `POST …/_search`; of no other request.
    pub form: &'a [u8],
}

/// The headers that matter to the interaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// `Accept`
    pub accept: Option<&'a str>,
    /// `Content-Type`
    pub content_type: Option<&'a str>,
    /// `Prefer`
    pub prefer: Option<&'a str>,
    /// `If-None-Exist`
    pub if_none_exist: Option<&'a str>,
    /// Whether `X-HTTP-Method-Override`, `X-HTTP-Method` or `X-Method-Override` is there, whatever it says.
    pub method_override: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// Bytes of the path.
const MAX_PATH: usize = 1024;

/// The types that define a compartment in R4.
const COMPARTMENTS: &[&str] = &["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"];

impl Interaction {
    /// Understands a request, or refuses it by name. `HEAD` is `GET`. Whether it is served is another question.
    pub fn parse(request: &Request<'_>) -> Result<Self, Refusal> {
        let headers = &request.headers;
        if headers.method_override {
            return Err(Refusal::MethodOverride);
        }
        let method = match request.method {
            "GET" | "HEAD" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            _ => return Err(Refusal::MethodUnknown),
        };
        let segments = segments(request.path)?;
        let search = method == Method::Post && segments.last() == Some(&"_search");
        let form = if search { request.form } else { &[] };
        let essence = headers.content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
        let is_form = essence.is_some_and(|text| text.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        if search && !form.is_empty() && !is_form {
            return Err(Refusal::ContentType);
        }
        let query = SearchQuery::parse(request.query, form)?;
        if query.params().iter().any(|param| param.name.eq_ignore_ascii_case("_method")) {
            return Err(Refusal::MethodOverride);
        }
        require_json(headers.accept, &query)?;
        Preferences::parse(headers.prefer)?;
        let interaction = route(method, &segments, query, headers)?;
        interaction.takes(headers.content_type)?;
        Ok(interaction)
    }
}

impl Interaction {
    /// Refuses a body of another kind than the interaction takes. Of the three forms of a patch only JSON Patch is one
    /// whose outcome is computed here; FHIRPath Patch, which comes as FHIR JSON, is refused by name.
    fn takes(&self, content_type: Option<&str>) -> Result<(), Refusal> {
        let json = content_type.is_some_and(is_json);
        let resource = matches!(
            self,
            Self::Create { .. }
                | Self::Update { .. }
                | Self::ConditionalCreate { .. }
                | Self::ConditionalUpdate { .. }
                | Self::Batch
        );
        let patch = matches!(self, Self::Patch { .. } | Self::ConditionalPatch { .. });
        if patch && json {
            return Err(Refusal::NotServed("FHIRPath Patch"));
        }
        let refused = (resource && !json) || (patch && !content_type.is_some_and(is_json_patch));
        if refused { Err(Refusal::ContentType) } else { Ok(()) }
    }
}

/// The segments of a path; none for the base itself.
fn segments(path: &str) -> Result<Vec<&str>, Refusal> {
    if path.len() > MAX_PATH {
        return Err(Refusal::PathTooLong);
    }
    if path.contains('%') {
        return Err(Refusal::PathEncoded);
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let malformed = |segment: &&str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'$' | b'*');
        segment.is_empty() || matches!(*segment, "." | "..") || !segment.bytes().all(plain)
    };
    let segments: Vec<_> = path.split('/').collect();
    if segments.iter().any(malformed) { Err(Refusal::PathSegment) } else { Ok(segments) }
}

/// The table of FHIR R4's RESTful API: method and path to interaction.
fn route(method: Method, segments: &[&str], query: SearchQuery, headers: &Headers<'_>) -> Result<Interaction, Refusal> {
    use Method::{Delete, Get, Patch, Post, Put};
    Ok(match (method, segments) {
        (Get, ["metadata"]) => {
            let mode = |param: &&super::Param| param.name == "mode" && param.value != "full";
            if query.params().iter().any(|param| mode(&param)) {
                return Err(Refusal::ValueRefused("mode"));
            }
            Interaction::Capabilities
        }
        (Get, [".well-known", "smart-configuration"]) => Interaction::SmartConfiguration,
        (Get, []) => Interaction::SearchSystem { query, via: Via::Get },
        (Post, ["_search"]) => Interaction::SearchSystem { query, via: Via::Post },
        (Get, ["_history"]) => Interaction::HistorySystem { query },
        (Post, []) => {
            plain(&query)?;
            Interaction::Batch
        }
        (Get | Post, [name]) if name.starts_with('$') => operation(OperationLevel::System, name, query)?,

        (Get, [rtype]) => Interaction::SearchType { rtype: typed(rtype)?, query, via: Via::Get },
        (Post, [rtype, "_search"]) => Interaction::SearchType { rtype: typed(rtype)?, query, via: Via::Post },
        (Get, [rtype, "_history"]) => Interaction::HistoryType { rtype: typed(rtype)?, query },
        (Post, [rtype]) => {
            let rtype = typed(rtype)?;
            plain(&query)?;
            match headers.if_none_exist {
                None => Interaction::Create { rtype },
                Some(criteria) => {
                    let criteria = criteria.strip_prefix('?').unwrap_or(criteria);
                    let criteria = given(SearchQuery::parse(criteria, &[])?)?;
                    Interaction::ConditionalCreate { rtype, criteria }
                }
            }
        }
        (Put, [rtype]) => Interaction::ConditionalUpdate { rtype: typed(rtype)?, criteria: given(query)? },
        (Patch, [rtype]) => Interaction::ConditionalPatch { rtype: typed(rtype)?, criteria: given(query)? },
        (Delete, [rtype]) => Interaction::ConditionalDelete { rtype: typed(rtype)?, criteria: given(query)? },
        (Get | Post, [rtype, name]) if name.starts_with('$') => {
            operation(OperationLevel::Type(typed(rtype)?), name, query)?
        }

        (Get, [rtype, id]) => {
            let (rtype, id) = (typed(rtype)?, id_of(id)?);
            Interaction::Read { rtype, id, trim: trimmed(&query)? }
        }
        (Put | Patch | Delete, [rtype, id]) => {
            let (rtype, id) = (typed(rtype)?, id_of(id)?);
            plain(&query)?;
            match method {
                Put => Interaction::Update { rtype, id },
                Patch => Interaction::Patch { rtype, id },
                Delete | Get | Post => Interaction::Delete { rtype, id },
            }
        }
        (Get, [rtype, id, "_history"]) => Interaction::HistoryInstance { rtype: typed(rtype)?, id: id_of(id)?, query },
        (Get, [rtype, id, "_history", version]) => {
            let (rtype, id, version) = (typed(rtype)?, id_of(id)?, id_of(version)?);
            Interaction::Vread { rtype, id, version, trim: trimmed(&query)? }
        }
        (Get | Post, [rtype, id, name]) if name.starts_with('$') => {
            operation(OperationLevel::Instance(typed(rtype)?, id_of(id)?), name, query)?
        }
        (Get | Post, [rtype, id, "_history", version, name]) if name.starts_with('$') => {
            operation(OperationLevel::Version(typed(rtype)?, id_of(id)?, id_of(version)?), name, query)?
        }
        (Get, [compartment, id, rtype]) => in_compartment(compartment, id, rtype, query, Via::Get)?,
        (Post, [compartment, id, rtype, "_search"]) => in_compartment(compartment, id, rtype, query, Via::Post)?,
        _ => return Err(Refusal::InteractionUnknown),
    })
}

fn in_compartment(
    compartment: &str,
    id: &str,
    rtype: &str,
    query: SearchQuery,
    via: Via,
) -> Result<Interaction, Refusal> {
    let (compartment, id) = (typed(compartment)?, id_of(id)?);
    let rtype = if rtype == "*" { None } else { Some(typed(rtype)?) };
    if !COMPARTMENTS.contains(&compartment.as_str()) {
        return Err(Refusal::InteractionUnknown);
    }
    Ok(Interaction::SearchCompartment { compartment, id, rtype, query, via })
}

fn operation(level: OperationLevel, name: &str, query: SearchQuery) -> Result<Interaction, Refusal> {
    let name = operations::known(name).ok_or(Refusal::OperationUnknown)?;
    Ok(Interaction::Operation { level, name, query })
}

fn typed(name: &str) -> Result<ResourceType, Refusal> {
    ResourceType::parse(name).map_err(|_| Refusal::ResourceTypeUnknown)
}

fn id_of(text: &str) -> Result<String, Refusal> {
    if is_fhir_id(text) { Ok(text.to_owned()) } else { Err(Refusal::IdMalformed) }
}

/// Criteria must be there: without them a conditional delete would mean every resource of the type.
fn given(criteria: SearchQuery) -> Result<SearchQuery, Refusal> {
    if criteria.is_empty() { Err(Refusal::CriteriaMissing) } else { Ok(criteria) }
}

/// The parameters of a read: what trims the answer, `_format` and `_pretty`. Others are not forwarded.
fn trimmed(query: &SearchQuery) -> Result<Trim, Refusal> {
    match Trim::of(query)? {
        Trim::Count => Err(Refusal::ValueRefused("_summary")),
        trim @ (Trim::Whole | Trim::Elements(_) | Trim::Summary | Trim::Text | Trim::Data) => Ok(trim),
    }
}

/// A write takes no parameters but `_format` and `_pretty`: one that carries another is refused rather than half
/// understood.
fn plain(query: &SearchQuery) -> Result<(), Refusal> {
    for param in query.params() {
        match (param.name.as_str(), param.value.as_str()) {
            ("_format" | "_pretty", _) | ("_summary", "false") => {}
            ("_summary", _) => return Err(Refusal::ParameterRefused("_summary")),
            ("_elements", _) => return Err(Refusal::ParameterRefused("_elements")),
            _ => return Err(Refusal::ParameterUnknown),
        }
    }
    Ok(())
}
