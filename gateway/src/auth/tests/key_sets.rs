//! Fetching, keeping and rotating keys.

use std::time::Instant;

use super::*;

#[tokio::test]
async fn a_token_without_key_id_is_checked_only_where_one_key_fits() {
    let server = Server::start().await;
    let (first, second) = (Signer::new("1", Algorithm::ES256), Signer::new("2", Algorithm::ES256));
    let rsa = Signer::new("3", Algorithm::RS256);
    let nameless = first.sign_with(&Header::new(Algorithm::ES256), &server.claims(NOW));
    server.publish(&[&first, &rsa]);
    assert!(check(&authenticator(&server.config("")), &nameless).await.is_ok());
    server.publish(&[&first, &second]);
    let two = check(&authenticator(&server.config("")), &nameless).await;
    assert_eq!(two, Err(AuthError::Invalid(TokenFault::UnknownKey)));
}

#[tokio::test]
async fn keys_that_must_not_verify_are_left_out() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::RS256);
    let token = signer.sign(&server.claims(NOW));
    let jwk = signer.jwk();
    let short = "AQAB".repeat(43); // 129 bytes
    for (what, key) in [
        ("for encryption", with(jwk.clone(), "use", json!("enc"))),
        ("not for verifying", with(jwk.clone(), "key_ops", json!(["sign"]))),
        ("private", with(jwk.clone(), "d", json!("AQAB"))),
        ("of another algorithm", with(jwk.clone(), "alg", json!("PS256"))),
        ("of 1032 bits", with(jwk.clone(), "n", json!(short))),
        ("symmetric", json!({"kty": "oct", "k": "AQAB", "kid": "k"})),
    ] {
        server.serve("/jwks", 200, json!({ "keys": [key] }).to_string());
        let authenticator = authenticator(&server.config(""));
        assert_eq!(check(&authenticator, &token).await, Err(AuthError::KeysUnavailable), "{what}");
    }
}

#[tokio::test]
async fn rotation_is_followed_without_hammering_the_issuer() {
    let server = Server::start().await;
    let (old, new) = (Signer::new("old", Algorithm::ES256), Signer::new("new", Algorithm::ES256));
    server.publish(&[&old]);
    let mut config = server.config("");
    config.jwks.min_interval = Duration::from_millis(300);
    let authenticator = authenticator(&config);
    let (before, after) = (old.sign(&server.claims(NOW)), new.sign(&server.claims(NOW)));
    assert!(check(&authenticator, &before).await.is_ok());
    assert_eq!(server.asked(), 1);

    server.publish(&[&new]);
    for _ in 0..20 {
        assert_eq!(check(&authenticator, &after).await, Err(AuthError::Invalid(TokenFault::UnknownKey)));
    }
    assert_eq!(server.asked(), 1, "a moment after the last fetch an unknown key id asks for none");
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert!(check(&authenticator, &after).await.is_ok());
    assert_eq!(server.asked(), 2);
    // The key is gone, and with it every token that it signed, remembered or not.
    assert_eq!(check(&authenticator, &before).await, Err(AuthError::Invalid(TokenFault::UnknownKey)));
}

#[tokio::test]
async fn many_requests_at_once_fetch_once() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::ES256);
    server.publish(&[&signer]);
    let authenticator = authenticator(&server.config(""));
    let tokens: Vec<String> =
        (0..32).map(|index| signer.sign(&with(server.claims(NOW), "sub", json!(format!("s{index}"))))).collect();
    let results = future::join_all(tokens.iter().map(|token| check(&authenticator, token))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn unreachable_keys_are_503_and_held_ones_are_used_for_a_bounded_time() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::ES256);
    let mut config = server.config("");
    config.jwks.min_interval = Duration::from_millis(20);
    config.jwks.max_age = Duration::from_millis(200);
    config.jwks.stale_if_error = Duration::from_millis(400);
    let authenticator = authenticator(&config);
    let token = signer.sign(&server.claims(NOW));
    let error = check(&authenticator, &token).await.unwrap_err();
    assert_eq!((error.clone(), error.status(), error.challenge()), (AuthError::KeysUnavailable, 503, None));
    assert_eq!(authenticator.ready(), Readiness::Waiting(vec![server.issuer()]));

    server.publish(&[&signer]);
    tokio::time::sleep(Duration::from_millis(30)).await;
    let fetched = Instant::now();
    assert!(check(&authenticator, &token).await.is_ok());
    assert_eq!(authenticator.ready(), Readiness::Ready);

    server.serve("/jwks", 500, "");
    tokio::time::sleep(Duration::from_millis(250)).await;
    let asked = server.asked();
    let stale = check(&authenticator, &token).await;
    if fetched.elapsed() < Duration::from_millis(550) {
        assert!(stale.is_ok(), "{stale:?}");
    }
    assert!(server.asked() > asked, "an old set is fetched again before it is used");
    tokio::time::sleep(Duration::from_millis(450)).await;
    assert_eq!(check(&authenticator, &token).await, Err(AuthError::KeysUnavailable));
    assert_eq!(authenticator.ready(), Readiness::Waiting(vec![server.issuer()]));
}

#[tokio::test]
async fn documents_that_are_no_key_set_are_not_used() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::ES256);
    let token = signer.sign(&server.claims(NOW));
    let many: Vec<Value> = (0..101).map(|_| signer.jwk()).collect();
    let good = json!({ "keys": [signer.jwk()] }).to_string();
    for (what, status, body) in [
        ("HTML", 200, "<html>".to_owned()),
        ("a list", 200, "[]".to_owned()),
        ("no keys", 200, "{\"keys\":[]}".to_owned()),
        ("too many", 200, json!({ "keys": many }).to_string()),
        ("too large", 200, format!("{}{good}", " ".repeat(300 * 1024))),
        ("an error", 503, good.clone()),
        ("a redirect", 302, good.clone()),
    ] {
        server.serve("/jwks", status, body);
        let result = check(&authenticator(&server.config("")), &token).await;
        assert_eq!(result, Err(AuthError::KeysUnavailable), "{what}");
    }
}

#[tokio::test]
async fn discovery_must_be_the_issuers_own() {
    let server = Server::start().await;
    let signer = Signer::new("k", Algorithm::ES256);
    server.publish(&[&signer]);
    let jwks = format!("http://{}/jwks", server.address);
    let token = signer.sign(&server.claims(NOW));
    for (issuer, jwks_uri, usable) in [
        (server.issuer(), jwks.clone(), true),
        (format!("{}/", server.issuer()), jwks.clone(), false),
        ("https://evil.example.org".to_owned(), jwks, false),
        (server.issuer(), "http://keys.example.org/jwks".to_owned(), false),
        (server.issuer(), "file:///etc/passwd".to_owned(), false),
    ] {
        let document = json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string();
        server.serve("/.well-known/openid-configuration", 200, document);
        let authenticator = authenticator(&issuer::config(&server.issuer(), "", ""));
        let result = check(&authenticator, &token).await;
        assert_eq!(result.is_ok(), usable, "{issuer} {jwks_uri}: {result:?}");
    }
}
