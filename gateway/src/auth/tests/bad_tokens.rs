//! Tokens that must be refused, each for its reason.

use super::*;

/// Each row: the token, and why it is refused.
#[tokio::test]
async fn bad_tokens_are_refused_each_with_its_reason() {
    let server = Server::start().await;
    let (rsa, ec) = (Signer::new("rsa", Algorithm::RS256), Signer::new("ec", Algorithm::ES256));
    let foreign = Signer::new("rsa", Algorithm::RS256);
    server.publish(&[&rsa, &ec]);
    let authenticator = authenticator(&server.config(""));

    let good = server.claims(NOW);
    let now = NOW.unix_timestamp();
    let token = ec.sign(&good);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let public = rsa.jwk()["n"].as_str().unwrap().to_owned();
    let mut mac = Header::new(Algorithm::HS256);
    mac.kid = Some("rsa".to_owned());
    let confused = jsonwebtoken::encode(&mac, &good, &EncodingKey::from_secret(public.as_bytes())).unwrap();
    let raw = |header: Value| ec.sign_raw(&header, &good);
    let claim = |name: &str, value: Value| ec.sign(&with(good.clone(), name, value));
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none"})), part(&good));
    let other_claims = part(&with(good.clone(), "sub", json!("mallory")));
    use TokenFault as F;
    let rows: Vec<(&str, String, TokenFault)> = vec![
        ("expired", claim("exp", json!(now - 31)), F::Expired),
        ("expired, fraction", claim("exp", json!(now as f64 - 30.5)), F::Expired),
        ("no exp", ec.sign(&without(good.clone(), "exp")), F::Claim("exp")),
        ("exp as text", claim("exp", json!("2030")), F::Claim("exp")),
        ("nbf in the future", claim("nbf", json!(now + 31)), F::NotYet),
        ("nbf as text", claim("nbf", json!("x")), F::Claim("nbf")),
        ("wrong audience", claim("aud", json!("https://other")), F::Audience),
        ("wrong audiences", claim("aud", json!(["https://other", "https://fhir.example.org/"])), F::Audience),
        ("no audience", ec.sign(&without(good.clone(), "aud")), F::Audience),
        ("audience is an object", claim("aud", json!({"a": "sealgate"})), F::Audience),
        ("wrong issuer", claim("iss", json!("https://evil.example.org")), F::Issuer),
        ("issuer with a slash more", claim("iss", json!(format!("{}/", server.issuer()))), F::Issuer),
        ("issuer in a list", claim("iss", json!([server.issuer()])), F::Issuer),
        ("no issuer", ec.sign(&without(good.clone(), "iss")), F::Issuer),
        ("no subject", ec.sign(&without(good.clone(), "sub")), F::Claim("sub")),
        ("empty subject", claim("sub", json!("")), F::Claim("sub")),
        ("unknown key", raw(json!({"alg": "ES256", "kid": "other"})), F::UnknownKey),
        ("key of another type", raw(json!({"alg": "ES256", "kid": "rsa"})), F::UnknownKey),
        ("foreign key with our id", foreign.sign(&good), F::Signature),
        ("alg none", unsigned.clone(), F::Algorithm),
        ("alg None", raw(json!({"alg": "None", "kid": "ec"})), F::Algorithm),
        ("HS256 with the public key", confused, F::Algorithm),
        ("PS256", raw(json!({"alg": "PS256", "kid": "rsa"})), F::Algorithm),
        ("ES512", raw(json!({"alg": "ES512", "kid": "ec"})), F::Algorithm),
        ("alg missing", raw(json!({"kid": "ec"})), F::Malformed),
        ("critical extension", raw(json!({"alg": "ES256", "kid": "ec", "crit": ["b64"], "b64": false})), F::Header),
        ("logout token", raw(json!({"alg": "ES256", "kid": "ec", "typ": "logout+jwt"})), F::Header),
        ("other claims under the signature", format!("{header}.{other_claims}.{signature}"), F::Signature),
        ("no signature", format!("{signed}."), F::Signature),
        ("truncated signature", token[..token.len() - 4].to_owned(), F::Signature),
        ("truncated in the claims", token[..header.len() + 20].to_owned(), F::Malformed),
        ("one dot", format!("{header}.{claims}"), F::Malformed),
        ("no dots", header.to_owned(), F::Malformed),
        ("five parts", format!("{header}.{claims}.{signature}.{claims}.{claims}"), F::Malformed),
        ("padded base64", format!("{header}=.{claims}.{signature}"), F::Malformed),
        ("claims are a list", format!("{header}.{}.{signature}", part(&json!([]))), F::Malformed),
        ("huge", "a".repeat(16 * 1024 + 1), F::TooLong),
        ("bound to a key", claim("cnf", json!({"jkt": "x"})), F::Bound),
        ("patient is no id", claim("patient", json!("../1")), F::Claim("patient")),
        ("patient is a number", claim("patient", json!(7)), F::Claim("patient")),
        ("scope is a number", claim("scope", json!(7)), F::Claim("scope")),
        ("purpose is a number", claim("purpose_of_use", json!(7)), F::Claim("purpose")),
        ("roles hold an object", claim("roles", json!([{"name": "x"}])), F::Claim("roles")),
        ("organization is a word", claim("organization", json!("ward")), F::Claim("organization")),
    ];
    assert!(check(&authenticator, &token).await.is_ok(), "the token that the rows are made from is good");
    for (what, token, expected) in rows {
        assert_eq!(check(&authenticator, &token).await, Err(AuthError::Invalid(expected)), "{what}");
        assert_eq!(check(&authenticator, &token).await, Err(AuthError::Invalid(expected)), "{what}, again");
    }
    for (header, expected) in [
        (None, AuthError::NoToken),
        (Some(""), AuthError::NotBearer),
        (Some("Bearer"), AuthError::NotBearer),
        (Some("Bearer "), AuthError::NotBearer),
        (Some("Basic YWxpY2U6cGFzcw=="), AuthError::NotBearer),
        (Some("Bearer a b"), AuthError::NotBearer),
        (Some("Bearer a, Bearer b"), AuthError::NotBearer),
    ] {
        assert_eq!(authenticator.authenticate(header, None, NOW).await, Err(expected), "{header:?}");
    }
    let lower = format!("bearer {token}");
    assert!(authenticator.authenticate(Some(&lower), None, NOW).await.is_ok(), "the scheme has no case");
}
