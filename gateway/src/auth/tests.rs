#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod bad_tokens;
mod issuer;
mod key_sets;
mod keycloak;

use gateway_core::caller::ActorRef;
use gateway_core::coding::Coding;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::config::PURPOSE_SYSTEM;
use issuer::{Server, Signer, part};

const NOW: OffsetDateTime = datetime!(2026-11-22 16:20:00 UTC);

/// An authenticator with the client table of its configuration.
struct Configured {
    authenticator: Authenticator,
    clients: ClientTable,
}

impl Configured {
    async fn authenticate(
        &self,
        authorization: Option<&str>,
        narrow: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Caller, AuthError> {
        self.authenticator.authenticate(&self.clients, authorization, narrow, now).await.map(|caller| (*caller).clone())
    }
}

impl std::ops::Deref for Configured {
    type Target = Authenticator;

    fn deref(&self) -> &Authenticator {
        &self.authenticator
    }
}

fn authenticator(config: &AuthConfig) -> Configured {
    let authenticator = Authenticator::new(config, key_client().unwrap());
    Configured { authenticator, clients: ClientTable::new(config.clients.clone()) }
}

async fn check(authenticator: &Configured, token: &str) -> Result<Caller, AuthError> {
    authenticator.authenticate(Some(&format!("Bearer {token}")), None, NOW).await
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[tokio::test]
async fn a_good_token_of_each_algorithm_is_a_caller() {
    let server = Server::start().await;
    let signers = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384].map(|algorithm| {
        Signer::new(
            if algorithm == Algorithm::RS256 {
                "r"
            } else if algorithm == Algorithm::ES256 {
                "e"
            } else {
                "f"
            },
            algorithm,
        )
    });
    server.publish(&signers.each_ref());
    let authenticator = authenticator(&server.config(""));
    for signer in &signers {
        let caller = check(&authenticator, &signer.sign(&server.claims(NOW))).await.unwrap();
        assert_eq!(caller.issuer, server.issuer());
        assert_eq!(caller.subject, "alice");
        assert_eq!(caller.client.as_deref(), Some("app"));
        assert_eq!(caller.token_id.as_deref(), Some("token-1"));
        assert_eq!(caller.fhir_user, Some(ActorRef::reference("Practitioner/alice")));
        assert_eq!(caller.actors, [ActorRef::identifier(server.issuer(), "alice")]);
        assert_eq!(caller.launch_patient.unwrap().as_str(), "p1");
        assert!(caller.purposes.is_empty() && caller.roles.is_empty() && caller.break_glass.is_empty());
    }
    // An RSA key without a stated algorithm serves both of its algorithms.
    let mut jwk = signers[0].jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    server.serve("/jwks", 200, json!({ "keys": [jwk] }).to_string());
    let authenticator = self::authenticator(&server.config(""));
    assert!(check(&authenticator, &signers[0].sign(&server.claims(NOW))).await.is_ok());
}

#[tokio::test]
async fn the_clocks_may_differ_by_the_skew_and_a_remembered_token_still_ends() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::ES256);
    server.publish(&[&signer]);
    let authenticator = authenticator(&server.config(""));
    let token = format!("Bearer {}", signer.sign(&server.claims(NOW)));
    let at = |seconds: i64| NOW + time::Duration::seconds(seconds);
    for (moment, expected) in [
        (-40, Ok(())),
        (-41, Err(AuthError::Invalid(TokenFault::NotYet))),
        (0, Ok(())),
        (329, Ok(())),
        (330, Err(AuthError::Invalid(TokenFault::Expired))),
    ] {
        let result = authenticator.authenticate(Some(&token), None, at(moment)).await;
        assert_eq!(result.map(|_| ()), expected, "at {moment} s");
    }
}

#[tokio::test]
async fn an_algorithm_outside_the_issuers_list_is_refused() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::RS256);
    server.publish(&[&signer]);
    let authenticator = authenticator(&server.config("algorithms = [\"ES256\"]"));
    let token = signer.sign(&server.claims(NOW));
    assert_eq!(check(&authenticator, &token).await, Err(AuthError::Invalid(TokenFault::Algorithm)));
    assert_eq!(server.asked(), 0, "no key was fetched for it");
}

#[tokio::test]
async fn claims_are_found_where_the_configuration_says() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::ES256);
    server.publish(&[&signer]);
    let default = authenticator(&server.config(""));
    let own = authenticator(&server.config(
        "claims = { purpose = [\"/https:~1~1example.org~1pou\"], roles = [\"realm_access.roles\"], client = [\"cid\"] }",
    ));
    let treat = Coding::new(PURPOSE_SYSTEM, "TREAT");

    let iua = with(
        without(server.claims(NOW), "scope"),
        "extensions",
        json!({
            "ihe_iua": {
                "purpose_of_use": [{"system": PURPOSE_SYSTEM, "code": "TREAT"}, {"system": "urn:x", "code": "Y"}],
                "subject_role": [{"system": "urn:roles", "code": "physician"}],
                "subject_organization_id": "urn:oid:1.2.3",
            },
            "ihe_pcf": {"residual": []},
        }),
    );
    let caller =
        check(&default, &signer.sign(&with(iua.clone(), "scp", json!(["user/*.r", "user/*.s"])))).await.unwrap();
    assert_eq!(caller.purposes, [treat.clone(), Coding::new("urn:x", "Y")]);
    assert_eq!(caller.roles, ["urn:roles|physician"]);
    assert_eq!(caller.organization, Some(ActorRef::identifier("urn:ietf:rfc:3986", "urn:oid:1.2.3")));
    assert_eq!(caller.scopes, gateway_core::scope::Scopes::parse("user/*.r user/*.s"));

    let mut claims = with(server.claims(NOW), "https://example.org/pou", json!("TREAT"));
    claims["realm_access"] = json!({"roles": ["b", "a", "b"]});
    claims["cid"] = json!("other-app");
    let caller = check(&own, &signer.sign(&claims)).await.unwrap();
    assert_eq!((caller.purposes, caller.client.as_deref()), (vec![treat], Some("other-app")));
    assert_eq!(caller.roles, ["a", "b"]);

    let mut residual = iua;
    for rule in [json!([{"type": "forbid"}]), json!({}), json!("x"), Value::Null] {
        residual["extensions"]["ihe_pcf"]["residual"] = rule.clone();
        let error = check(&default, &signer.sign(&residual)).await.unwrap_err();
        assert_eq!((error.clone(), error.status()), (AuthError::Residual, 403), "{rule}");
    }
}

#[tokio::test]
async fn the_operators_table_fills_what_the_token_does_not_say() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::ES256);
    server.publish(&[&signer]);
    let row = |role: &str, purpose: &str, organization: &str, roles: &str| {
        format!(
            "[[client]]\nissuer = \"{}\"\nclient = \"app\"\n{role}\npurpose = [\"{purpose}\"]\norganization = \"{organization}\"\nroles = [{roles}]\n",
            server.issuer()
        )
    };
    let table = [
        row("", "HOPERAT", "Organization/main", "\"clerk\""),
        row("role = \"physician\"", "TREAT", "Organization/ward", ""),
        row("role = \"researcher\"", "HRESCH", "urn:org|lab", ""),
    ]
    .concat();
    let authenticator = authenticator(&server.config(&table));
    let of = |claims: Value| {
        let token = signer.sign(&claims);
        let authenticator = &authenticator;
        async move {
            let caller = check(authenticator, &token).await.unwrap();
            let purposes: Vec<String> = caller.purposes.into_iter().map(|purpose| purpose.code).collect();
            (purposes.join(" "), caller.organization.map(|actor| actor.to_string()), caller.roles.join(" "))
        }
    };
    let expect = |purposes: &str, organization: Option<&str>, roles: &str| {
        (purposes.to_owned(), organization.map(str::to_owned), roles.to_owned())
    };
    let good = server.claims(NOW);
    assert_eq!(of(good.clone()).await, expect("HOPERAT", Some("Organization/main"), "clerk"));
    let physician = with(good.clone(), "roles", json!("physician"));
    assert_eq!(of(physician.clone()).await, expect("TREAT", Some("Organization/ward"), "physician"));
    let both = with(good.clone(), "roles", json!(["researcher", "physician"]));
    assert_eq!(of(both).await, expect("HRESCH TREAT", None, "physician researcher"), "rows that disagree name nobody");
    let stated = with(physician, "purpose_of_use", json!("HPAYMT"));
    assert_eq!(of(stated).await, expect("HPAYMT", Some("Organization/ward"), "physician"), "the token comes first");
    assert_eq!(of(with(good.clone(), "client_id", json!("App"))).await, expect("", None, ""));
    assert_eq!(of(without(good, "client_id")).await, expect("", None, ""));
}

#[tokio::test]
async fn a_header_narrows_and_never_widens() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::ES256);
    server.publish(&[&signer]);
    let authenticator = authenticator(&server.config(""));
    let known = signer.sign(&with(server.claims(NOW), "purpose_of_use", json!(["TREAT", "HPAYMT", "urn:x|Y"])));
    let unknown = signer.sign(&with(server.claims(NOW), "jti", json!("2")));
    let widened = Err(AuthError::Widened);
    for (token, header, expected) in [
        (&known, "TREAT", Ok("TREAT")),
        (&known, " HPAYMT , TREAT,TREAT", Ok("HPAYMT TREAT")),
        (&known, "urn:x|Y", Ok("Y")),
        (&known, "Y", widened.clone()),
        (&known, "BTG", widened.clone()),
        (&known, "TREAT,BTG", widened.clone()),
        (&known, "treat", widened.clone()),
        (&known, "", widened.clone()),
        (&unknown, "TREAT", widened),
    ] {
        let result = authenticator.authenticate(Some(&format!("Bearer {token}")), Some(header), NOW).await;
        let codes =
            result.map(|caller| caller.purposes.into_iter().map(|purpose| purpose.code).collect::<Vec<_>>().join(" "));
        assert_eq!(codes, expected.map(str::to_owned), "{header:?}");
    }
    // The remembered caller is untouched by a narrowed one.
    assert_eq!(check(&authenticator, &known).await.unwrap().purposes.len(), 3);
}

#[test]
fn answers_are_those_of_rfc_6750_and_hold_nothing_of_the_token() {
    let all = [
        (AuthError::NoToken, 401, Some("Bearer realm=\"sealgate\"")),
        (AuthError::NotBearer, 400, Some("invalid_request")),
        (AuthError::Invalid(TokenFault::Expired), 401, Some("invalid_token")),
        (AuthError::Invalid(TokenFault::Claim("sub")), 401, Some("invalid_token")),
        (AuthError::Widened, 400, Some("invalid_request")),
        (AuthError::Residual, 403, Some("insufficient_scope")),
        (AuthError::KeysUnavailable, 503, None),
    ];
    for (error, status, challenge) in all {
        assert_eq!(error.status(), status, "{error:?}");
        assert_eq!(error.challenge().is_some(), challenge.is_some(), "{error:?}");
        if let (Some(found), Some(expected)) = (error.challenge(), challenge) {
            assert!(found.contains(expected), "{found}");
            assert_eq!(found.matches('"').count() % 2, 0, "{found}");
        }
        assert!(error.rule().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    }
    assert_eq!(
        AuthError::NoToken.challenge().unwrap(),
        "Bearer realm=\"sealgate\"",
        "no error code without a credential"
    );
}

/// A token is remembered under the table that it was checked with: another table is asked at once.
#[tokio::test]
async fn a_changed_client_table_counts_for_tokens_that_are_remembered() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::ES256);
    server.publish(&[&signer]);
    let mut configured = authenticator(&server.config(""));
    let token = signer.sign(&server.claims(NOW));
    assert!(check(&configured, &token).await.unwrap().roles.is_empty());
    let row = crate::config::ClientConfig {
        issuer: server.issuer().to_owned(),
        client: "app".to_owned(),
        role: None,
        purposes: Vec::new(),
        organization: None,
        roles: vec!["physician".to_owned()],
    };
    configured.clients = ClientTable::new(vec![row]);
    assert_eq!(check(&configured, &token).await.unwrap().roles, ["physician"]);
    configured.clients = ClientTable::new(Vec::new());
    assert!(check(&configured, &token).await.unwrap().roles.is_empty());
}
