#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use super::*;

fn shown(credential: &Credential) -> String {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = credential.show(client.get("http://127.0.0.1:9/")).build().unwrap();
    let header = request.headers().get("authorization").unwrap();
    assert!(header.is_sensitive());
    header.to_str().unwrap().to_owned()
}

#[test]
fn a_token_is_read_again_when_its_file_changes_and_kept_where_it_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let credential = Credential::new(SecretSource::File(file.clone())).unwrap();
    let clone = credential.clone();
    credential.look();
    assert!(!credential.read_again(), "it is the same one");
    assert_eq!(shown(&clone), "Bearer first");

    // As a Secret of Kubernetes is rotated: another file under the same name.
    let other = folder.path().join("other");
    std::fs::write(&other, "other\n").unwrap();
    std::fs::rename(&other, &file).unwrap();
    assert_eq!(shown(&clone), "Bearer first", "nobody has looked");
    clone.look();
    assert_eq!(shown(&credential), "Bearer other");

    std::fs::write(&file, "third\n").unwrap();
    assert!(credential.read_again());
    std::fs::remove_file(&file).unwrap();
    credential.look();
    assert!(!credential.read_again());
    assert_eq!(shown(&credential), "Bearer third");
    assert_eq!(
        Credential::new(SecretSource::File(file)).err(),
        Some(SecretError::Unreadable(std::io::ErrorKind::NotFound))
    );
}
