//! The guide for Keycloak, tried: its configuration, and a token as a realm that follows it would sign.

use super::*;
use crate::config::Config;

const GUIDE: &str = include_str!("../../../../docs/operations/install-keycloak.md");

/// The guide's own `gateway.toml`, with the realm at `issuer`.
fn guided(issuer: &str) -> AuthConfig {
    let (_, block) = GUIDE.split_once("```toml\n").unwrap();
    let (toml, _) = block.split_once("```").unwrap();
    let toml = toml.replace("https://login.example.org/realms/hospital", issuer);
    Config::parse(&toml, []).unwrap_or_else(|problems| panic!("{problems}")).auth
}

#[tokio::test]
async fn a_token_of_a_realm_that_follows_the_guide_is_understood() {
    let server = Server::start().await;
    let realm = format!("{}/realms/hospital", server.issuer());
    let (signer, encrypting) = (Signer::new("signing", Algorithm::RS256), Signer::new("encrypting", Algorithm::RS256));
    // A realm publishes its encryption key in the same set.
    let mut other = encrypting.jwk();
    (other["use"], other["alg"]) = (json!("enc"), json!("RSA-OAEP"));
    let certs = "/realms/hospital/protocol/openid-connect/certs";
    server.serve(certs, 200, json!({ "keys": [other, signer.jwk()] }).to_string());
    let discovery = json!({ "issuer": realm, "jwks_uri": format!("{}{certs}", server.issuer()) });
    server.serve("/realms/hospital/.well-known/openid-configuration", 200, discovery.to_string());
    let authenticator = authenticator(&guided(&realm));

    let token = json!({
        "exp": NOW.unix_timestamp() + 300, "iat": NOW.unix_timestamp(), "jti": "onrtac:9a1",
        "iss": realm, "aud": ["https://fhir.example.org/r4", "account"], "sub": "f3a5", "typ": "Bearer", "azp": "ward-tablet",
        "sid": "4c", "acr": "1", "allowed-origins": ["https://app.example.org"],
        "realm_access": { "roles": ["default-roles-hospital", "offline_access", "physician"] },
        "resource_access": { "account": { "roles": ["view-profile"] } },
        "scope": "openid user/Observation.rs launch/patient", "patient": "p1", "fhirUser": "Practitioner/alice",
        "preferred_username": "alice",
    });
    let caller = check(&authenticator, &signer.sign(&token)).await.unwrap();
    assert_eq!(caller.client.as_deref(), Some("ward-tablet"));
    assert_eq!(caller.roles, ["default-roles-hospital", "offline_access", "physician"]);
    assert_eq!(caller.organization, Some(ActorRef::reference("Organization/ward-7")), "the client table's");
    assert_eq!(caller.purposes, [Coding::new(PURPOSE_SYSTEM, "TREAT")], "the client table's");
    assert_eq!(caller.launch_patient.as_ref().unwrap().as_str(), "p1");
    assert_eq!(caller.fhir_user, Some(ActorRef::reference("Practitioner/alice")));

    // The mapper of step 5 goes before the table.
    let caller =
        check(&authenticator, &signer.sign(&with(token.clone(), "purpose_of_use", json!("HRESCH")))).await.unwrap();
    assert_eq!(caller.purposes, [Coding::new(PURPOSE_SYSTEM, "HRESCH")]);
    // Without step 1 the audience is Keycloak's own.
    let unguided = with(token.clone(), "aud", json!("account"));
    assert_eq!(check(&authenticator, &signer.sign(&unguided)).await, Err(AuthError::Invalid(TokenFault::Audience)));
    assert!(check(&authenticator, &encrypting.sign(&token)).await.is_err(), "an encryption key signs nothing");
}
