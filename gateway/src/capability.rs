//! What the gateway says of itself: the CapabilityStatement, cut down to what it serves, and the SMART configuration.
//!
//! The upstream's statement is the source of the known search parameters (CONSENT.md, "unknown parameters"); nothing
//! that the gateway does not serve is promised (FHIR R4 §3.1.0.9, SMART App Launch 2.2 §"Conformance").

use gateway_core::operations;
use gateway_core::resource_type::ResourceType;
use serde_json::{Map, Value, json};

/// Interactions that are served, as FHIR names them.
const SERVED: [&str; 9] =
    ["read", "vread", "history-instance", "history-type", "search-type", "create", "update", "patch", "delete"];
/// Interactions of the whole server that are served.
const SERVED_BY_SYSTEM: [&str; 2] = ["history-system", "transaction"];
/// Types that can be neither read nor written through the gateway.
const WITHHELD: [&str; 1] = ["Subscription"];

/// The upstream's statement cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// Not a CapabilityStatement.
    #[error("the upstream's /metadata is not a CapabilityStatement")]
    NotAStatement,
    /// Another FHIR version than the configured one.
    #[error("the upstream speaks another FHIR version than upstream.fhir_version")]
    WrongVersion,
}

/// Makes our statement of the upstream's. `date` is when the gateway started (RFC 3339).
pub fn capabilities(upstream: &Value, public_base: &str, date: &str) -> Result<Value, CapabilityError> {
    let text = |key: &str| upstream.get(key).and_then(Value::as_str);
    if text("resourceType") != Some("CapabilityStatement") {
        return Err(CapabilityError::NotAStatement);
    }
    let version = text("fhirVersion").ok_or(CapabilityError::NotAStatement)?;
    if !version.starts_with("4.0") {
        return Err(CapabilityError::WrongVersion);
    }
    let resources: Vec<Value> = rest(upstream)
        .filter_map(|resource| Some((resource, resource.get("type").and_then(Value::as_str)?)))
        .filter(|(_, name)| ResourceType::parse(name).is_ok() && !WITHHELD.contains(name))
        .map(|(resource, name)| described(resource, name))
        .collect();
    Ok(json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "Sealgate", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "FHIR gateway that enforces consent and records every access", "url": public_base},
        "fhirVersion": version,
        "format": ["application/fhir+json", "json"],
        "patchFormat": ["application/json-patch+json"],
        "rest": [{
            "mode": "server",
            "security": {
                "cors": true,
                "service": [{"coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "SMART-on-FHIR",
                }]}],
                "description": "SMART App Launch 2.2; endpoints: .well-known/smart-configuration",
            },
            "resource": resources,
            "interaction": of_the_system(upstream),
        }],
    }))
}

fn servers(statement: &Value) -> impl Iterator<Item = &Value> {
    let rest = statement.get("rest").and_then(Value::as_array).into_iter().flatten();
    rest.filter(|r| r.get("mode").and_then(Value::as_str) == Some("server"))
}

fn rest(statement: &Value) -> impl Iterator<Item = &Value> {
    servers(statement).filter_map(|r| r.get("resource").and_then(Value::as_array)).flatten()
}

/// What is served of the whole server. A batch is carried out entry by entry, whatever the upstream offers; a transaction
/// by the upstream alone.
fn of_the_system(upstream: &Value) -> Value {
    let mut served = interactions(servers(upstream).find_map(|server| server.get("interaction")), &SERVED_BY_SYSTEM);
    if let Value::Array(served) = &mut served {
        served.push(json!({"code": "batch"}));
    }
    served
}

/// What both sides do.
fn interactions(offered: Option<&Value>, served: &[&str]) -> Value {
    let offered = codes(offered);
    // A patch is stored as the update that it comes to.
    let comes_to = |code: &str| offered.contains(&if code == "patch" { "update" } else { code });
    served.iter().filter(|code| comes_to(code)).map(|code| json!({"code": code})).collect()
}

fn codes(offered: Option<&Value>) -> Vec<&str> {
    let offered = offered.and_then(Value::as_array).into_iter().flatten();
    offered.filter_map(|i| i.get("code").and_then(Value::as_str)).collect()
}

fn described(resource: &Value, name: &str) -> Value {
    let mut out = Map::new();
    out.insert("type".into(), json!(name));
    for kept in ["profile", "supportedProfile"] {
        if let Some(value) = resource.get(kept) {
            out.insert(kept.into(), value.clone());
        }
    }
    let offered = codes(resource.get("interaction"));
    out.insert("interaction".into(), interactions(resource.get("interaction"), &SERVED));
    out.insert("versioning".into(), json!("versioned-update"));
    let conditional = [
        ("conditionalCreate", "create", json!(true)),
        ("conditionalUpdate", "update", json!(true)),
        ("conditionalDelete", "delete", json!("single")),
        ("conditionalRead", "read", json!("full-support")),
    ];
    // They are searches of the gateway's own and writes by id: the upstream need not know them.
    for (name, code, value) in conditional {
        if offered.contains(&code) && (code == "read" || offered.contains(&"search-type")) {
            out.insert(name.into(), value);
        }
    }
    out.insert("updateCreate".into(), json!(false));
    for kept in ["searchInclude", "searchRevInclude"] {
        if let Some(values) = resource.get(kept).and_then(Value::as_array).filter(|v| !v.is_empty()) {
            let plain: Vec<&Value> = values.iter().filter(|v| v.as_str() != Some("*")).collect();
            out.insert(kept.into(), json!(plain));
        }
    }
    let params = resource.get("searchParam").and_then(Value::as_array).into_iter().flatten();
    let params = params.filter(|p| served_parameter(p)).map(|p| {
        let mut shown = Map::new();
        for key in ["name", "definition", "type", "documentation"] {
            if let Some(value) = p.get(key) {
                shown.insert(key.into(), value.clone());
            }
        }
        Value::Object(shown)
    });
    let params: Vec<Value> = params.collect();
    if !params.is_empty() {
        out.insert("searchParam".into(), Value::Array(params));
    }
    let operations = served_operations(resource, name);
    if !operations.is_empty() {
        out.insert("operation".into(), Value::Array(operations));
    }
    Value::Object(out)
}

/// The operations on this type that both sides carry out, with FHIR's own definitions: the upstream's stand under its base.
fn served_operations(resource: &Value, name: &str) -> Vec<Value> {
    let offered = resource.get("operation").and_then(Value::as_array).into_iter().flatten();
    let offered: Vec<&str> = offered.filter_map(|operation| operation.get("name").and_then(Value::as_str)).collect();
    let Ok(rtype) = ResourceType::parse(name) else { return Vec::new() };
    let rows =
        operations::SERVED.iter().filter(|row| row.serves(rtype) && (row.is_own() || offered.contains(&row.code())));
    rows.map(|row| json!({"name": row.code(), "definition": row.definition(rtype)})).collect()
}

fn served_parameter(parameter: &Value) -> bool {
    let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
    !matches!(name, "_filter" | "_content" | "_text" | "_list" | "_query")
}

/// The authorization server's endpoints, as its discovery document names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuer {
    /// `issuer`.
    pub issuer: String,
    /// `jwks_uri`.
    pub jwks_uri: Option<String>,
    /// `authorization_endpoint`.
    pub authorization_endpoint: Option<String>,
    /// `token_endpoint`.
    pub token_endpoint: Option<String>,
    /// `introspection_endpoint`.
    pub introspection_endpoint: Option<String>,
    /// `revocation_endpoint`.
    pub revocation_endpoint: Option<String>,
}

/// `.well-known/smart-configuration` for that issuer (SMART App Launch 2.2, "Using .well-known").
pub fn smart_configuration(issuer: &Issuer) -> Value {
    let mut out = Map::new();
    out.insert("issuer".into(), json!(issuer.issuer));
    let endpoints = [
        ("jwks_uri", &issuer.jwks_uri),
        ("authorization_endpoint", &issuer.authorization_endpoint),
        ("token_endpoint", &issuer.token_endpoint),
        ("introspection_endpoint", &issuer.introspection_endpoint),
        ("revocation_endpoint", &issuer.revocation_endpoint),
    ];
    for (name, endpoint) in endpoints {
        if let Some(endpoint) = endpoint {
            out.insert(name.into(), json!(endpoint));
        }
    }
    let mut capabilities = vec!["permission-v1", "permission-v2", "permission-patient", "permission-user"];
    if issuer.authorization_endpoint.is_some() {
        capabilities.extend(["launch-standalone", "client-public", "context-standalone-patient"]);
        out.insert("response_types_supported".into(), json!(["code"]));
        out.insert("code_challenge_methods_supported".into(), json!(["S256"]));
    }
    out.insert("grant_types_supported".into(), json!(["authorization_code", "client_credentials"]));
    out.insert(
        "scopes_supported".into(),
        json!(["openid", "fhirUser", "launch/patient", "patient/*.rs", "user/*.cruds", "system/*.rs"]),
    );
    out.insert("capabilities".into(), json!(capabilities));
    Value::Object(out)
}
