//! Attacks by writing: to learn of what is hidden, to widen one's own access, to take protection away.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ACT_CODE, INLINE, REASON, absent, altered, caller, delete, observation, same, stripped};
use crate::demo::cast::Role;
use crate::demo::consents::permits_treatment;
use crate::harness::fhir::Fhir;
use crate::harness::stack::Stack;

/// Updates and deletes of what is hidden answer as those of what never was, whatever version they name.
pub(in crate::suite) async fn hidden_writes_as_absent(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    for address in ["Observation/cedar-bp", "Patient/cedar", "Condition/birch-hiv", "Consent/cedar-opt-out"] {
        let never = absent(address);
        let stored = direct.read(address).await?;
        for version in [None, Some("W/\"1\""), Some("W/\"9\""), Some("*")] {
            for method in [Method::PUT, Method::DELETE] {
                let ask = async |address: &str| {
                    let mut body = stripped(stored.clone());
                    body["id"] = json!(address.split('/').next_back());
                    let mut request = doctor.request(method.clone(), address);
                    if let Some(version) = version {
                        request = request.header("if-match", version);
                    }
                    if method == Method::PUT {
                        request = request.header("content-type", "application/fhir+json").body(body.to_string());
                    }
                    Fhir::send(request).await
                };
                same(&format!("{method} {address}"), &ask(address).await?, &ask(&never).await?, address, &never)?;
            }
        }
        let after = direct.read(address).await?;
        ensure!(after == stored, "{address} was changed");
    }
    Ok(())
}

/// A Consent may let somebody write what it does not let him read: an update of a hidden resource still tells nothing of it.
pub(in crate::suite) async fn writable_but_hidden(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    direct.put(&json!({"resourceType": "Patient", "id": "leak-wo"})).await?;
    let mut consent = permits_treatment("leak-wo-c", "Patient/leak-wo", "Organization/northfield");
    let action = |code: &str| json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": code}]});
    consent["provision"]["provision"] =
        json!([{"type": "deny", "action": [action("access"), action("use"), action("disclose")]}]);
    direct.put(&consent).await?;
    direct.put(&observation("leak-wo-o", "leak-wo")).await?;
    let read = doctor.get("Observation/leak-wo-o").await?;
    let hidden = doctor.write(Method::PUT, "Observation/leak-wo-o", &observation("leak-wo-o", "leak-wo")).await?;
    let never = doctor.write(Method::PUT, "Observation/leak-wo-q", &observation("leak-wo-q", "leak-wo")).await?;
    delete(&direct, &["Observation/leak-wo-o", "Consent/leak-wo-c", "Patient/leak-wo"]).await?;
    ensure!(read.status == 404, "it is not hidden: {}", read.status);
    same("update", &hidden, &never, "leak-wo-o", "leak-wo-q")
}

/// Nobody becomes a member of what a Consent names by writing an Organization or a Practitioner.
pub(in crate::suite) async fn nobody_joins_an_organization(stack: &mut Stack) -> Result<()> {
    let (direct, other) = (stack.direct()?, caller(stack, Role::OtherDoctor)?);
    let lakeside = stripped(direct.read("Organization/lakeside").await?);
    let baptiste = stripped(direct.read("Practitioner/baptiste").await?);
    let mut joined = lakeside.clone();
    joined["partOf"] = json!({"reference": "Organization/northfield"});
    let mut renamed = baptiste.clone();
    renamed["identifier"] = json!([{"system": "https://sealgate.example/organizations", "value": "northfield"}]);
    let organization = other.write(Method::PUT, "Organization/lakeside", &joined).await?;
    let read = other.get("Patient/alder").await?;
    let practitioner = other.write(Method::PUT, "Practitioner/baptiste", &renamed).await?;
    let created = other
        .write(Method::POST, "Organization", &json!({"resourceType": "Organization", "name": "leak", "partOf": {"reference": "Organization/northfield"}}))
        .await?;
    direct.put(&lakeside).await?;
    direct.put(&baptiste).await?;
    ensure!(read.status == 404, "a hospital's patient is read after joining it: {}", read.status);
    for (what, answer) in
        [("Organization", organization), ("Practitioner", practitioner), ("new Organization", created)]
    {
        ensure!(answer.status == 403, "{what}: {}", answer.status);
    }
    Ok(())
}

/// The label of an element cannot be taken away, no more than that of a resource.
pub(in crate::suite) async fn labels_of_elements_stay(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let reason = |extension: Value| json!([{"extension": extension, "text": "leak"}]);
    let mut visit = json!({"resourceType": "Encounter", "id": "leak-lab", "status": "finished", "class": {"system": ACT_CODE, "code": "AMB"},
        "subject": {"reference": "Patient/alder"},
        "reasonCode": reason(json!([{"url": INLINE, "valueCoding": {"system": ACT_CODE, "code": "PSY"}}]))});
    direct.put(&visit).await?;
    let read = doctor.get("Encounter/leak-lab").await?;
    let unchanged = doctor.write(Method::PUT, "Encounter/leak-lab", &visit).await?;
    visit["reasonCode"] = json!([{"text": "leak"}]);
    let weakened = doctor.write(Method::PUT, "Encounter/leak-lab", &visit).await?;
    delete(&direct, &["Encounter/leak-lab"]).await?;
    ensure!(
        read.status == 200 && String::from_utf8_lossy(&read.body).contains("leak\""),
        "not visible: {}",
        read.status
    );
    ensure!(unchanged.status == 200, "with its label it is refused: {}", unchanged.status);
    ensure!(weakened.status == 403, "the label was taken away: {}", weakened.status);
    Ok(())
}

/// Who may write but not read cannot overwrite what is redacted for him.
pub(in crate::suite) async fn redacted_images_stay(stack: &mut Stack) -> Result<()> {
    let direct = stack.direct()?;
    let writer = altered(stack, Role::Researcher, &json!({"scope": "user/Patient.u user/Patient.d"}))?;
    let stored = stripped(direct.read("Patient/dogwood").await?);
    let mut emptied = stored.clone();
    if let Some(patient) = emptied.as_object_mut() {
        patient.remove("telecom");
        patient.remove("text");
    }
    let written = writer.write(Method::PUT, "Patient/dogwood", &emptied).await?;
    direct.put(&stored).await?;
    ensure!(written.status == 403, "a redacted patient was overwritten: {}", written.status);
    Ok(())
}

/// A DocumentReference on one's own patient that points at somebody else's Binary opens it for nobody.
pub(in crate::suite) async fn foreign_binaries_stay_closed(stack: &mut Stack) -> Result<()> {
    let (direct, doctor) = (stack.direct()?, caller(stack, Role::Doctor)?);
    let document = |id: Option<&str>, patient: &str, url: &str| {
        let mut document = json!({"resourceType": "DocumentReference", "status": "current", "subject": {"reference": patient},
            "content": [{"attachment": {"contentType": "text/plain", "url": url}}]});
        if let Some(id) = id {
            document["id"] = json!(id);
        }
        document
    };
    direct
        .put(&json!({"resourceType": "Binary", "id": "leak-bin", "contentType": "text/plain", "data": "c2VjcmV0"}))
        .await?;
    direct.put(&document(Some("leak-doc"), "Patient/cedar", "Binary/leak-bin/_history/1")).await?;
    let before = doctor.get("Binary/leak-bin").await?;
    let created =
        doctor.write(Method::POST, "DocumentReference", &document(None, "Patient/alder", "Binary/leak-bin")).await?;
    let after = doctor.get("Binary/leak-bin").await?;
    if created.status == 201 {
        let id = created.json()?.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        delete(&direct, &[&format!("DocumentReference/{id}")]).await?;
    }
    delete(&direct, &["DocumentReference/leak-doc", "Binary/leak-bin"]).await?;
    ensure!(before.status == 404, "it was open before: {}", before.status);
    ensure!(after.status == 404, "a pointer of one's own opened it: {} {}", created.status, after.status);
    Ok(())
}

/// A Consent can be written by its patient only, for that patient only.
pub(in crate::suite) async fn consents_of_others(stack: &mut Stack) -> Result<()> {
    let (direct, patient, doctor) = (stack.direct()?, caller(stack, Role::Patient)?, caller(stack, Role::Doctor)?);
    let birch = direct.read("Consent/birch-treatment").await?;
    let mut widened = stripped(birch.clone());
    widened["provision"] = json!({"type": "permit", "purpose": [{"system": REASON, "code": "TREAT"}]});
    for (who, caller) in [("patient", &patient), ("doctor", &doctor)] {
        let answer = caller.write(Method::PUT, "Consent/birch-treatment", &widened).await?;
        ensure!(answer.status == 404, "{who} changes another's Consent: {}", answer.status);
        let mut created = widened.clone();
        if let Some(consent) = created.as_object_mut() {
            consent.remove("id");
        }
        let answer = caller.write(Method::POST, "Consent", &created).await?;
        ensure!(answer.status == 403, "{who} writes a Consent for another: {}", answer.status);
        created["patient"] = json!({"reference": "Patient/nobodyx"});
        let never = caller.write(Method::POST, "Consent", &created).await?;
        same("create of a Consent", &answer, &never, "birch", "nobodyx")?;
    }
    ensure!(direct.read("Consent/birch-treatment").await? == birch, "it was changed");
    Ok(())
}
