//! How a pair of worlds is made: what is visible once for both, what is hidden for each on its own.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::callers::Kind;
use super::consents::{Veil, closed};
use super::dice::Dice;
use super::records::{self, About, CLINICAL};
use super::world::{Gaps, Pair, Scene, World, merge};
use crate::harness::fhir::address;

/// A pair under construction.
struct Making {
    pair: String,
    kind: Kind,
    gaps: Gaps,
    shared: Dice,
    /// The dice of each world's hidden part.
    apart: [Dice; 2],
    worlds: [World; 2],
    scene: Scene,
}

/// The pair of this number under this seed.
#[must_use]
pub fn pair(seed: u64, number: usize, gaps: Gaps) -> Pair {
    let pair = format!("p{number}");
    let stream = |name: &str| Dice::new(seed, &format!("{pair}/{name}"));
    let mut shared = stream("shared");
    let kind = Kind::roll(&mut shared);
    let scene = Scene {
        pair: pair.clone(),
        kind,
        visible: Vec::new(),
        versions: BTreeMap::new(),
        hidden: Vec::new(),
        deleted: Vec::new(),
        patients: Vec::new(),
        closed: Vec::new(),
        cut: Vec::new(),
        gaps,
    };
    let apart = [stream("a"), stream("b")];
    let mut making = Making { pair: pair.clone(), kind, gaps, shared, apart, worlds: Default::default(), scene };
    for resource in records::universal(&pair) {
        making.show(resource);
    }
    let alone = matches!(kind, Kind::Launched | Kind::Patient);
    let open = if alone { 1 } else { making.shared.between(1, 2) };
    for at in 1..=open {
        making.open_record(&format!("{pair}-v{at}"));
    }
    for at in 1..=making.shared.between(1, 2) {
        making.closed_record(&format!("{pair}-h{at}"));
    }
    making.finish()
}

impl Making {
    /// A visible resource, the same in both worlds.
    fn show(&mut self, resource: Value) {
        for world in &mut self.worlds {
            world.first.push(resource.clone());
        }
        self.scene.visible.push(resource);
    }

    /// A visible resource; what it says of the hidden ones that it refers to is rolled for each world.
    fn show_beside(&mut self, resource: Value, hidden: &[String]) {
        if !self.gaps.displays || !hidden.iter().any(|name| resource.to_string().contains(name.as_str())) {
            return self.show(resource);
        }
        for world in 0..2 {
            let mut dice = self.dice(world);
            let mut own = resource.clone();
            hidden.iter().for_each(|name| display(&mut own, name, &mut dice));
            if let Some(world) = self.worlds.get_mut(world) {
                world.first.push(own);
            }
        }
        self.scene.cut.extend(address(&resource));
        self.scene.visible.push(resource);
    }

    /// A hidden resource of one world, somewhere among what is visible.
    fn hide(&mut self, world: usize, resource: Value) {
        let (Some(to), Some(dice)) = (self.worlds.get_mut(world), self.apart.get_mut(world)) else { return };
        to.hidden.extend(address(&resource));
        let at = dice.below(to.first.len() + 1);
        to.first.insert(at, resource);
    }

    fn dice(&mut self, world: usize) -> Dice {
        // A fork: what one resource rolls does not move the next one.
        let number = self.apart.get_mut(world).map(Dice::number).unwrap_or_default();
        Dice::new(number, "fork")
    }

    /// A patient part of whose record is visible.
    fn open_record(&mut self, id: &str) {
        let veil = Veil::roll(&mut self.shared, self.kind);
        let patient = format!("Patient/{id}");
        self.scene.patients.push(id.to_owned());
        self.patient(id);
        let mut about = About { pair: self.pair.clone(), patient: patient.clone(), encounter: None, known: Vec::new() };
        let anchors = self.anchors(id, &veil, &about);
        let kinds: Vec<&str> = CLINICAL.iter().copied().filter(|kind| veil != Veil::Class(kind)).collect();
        about.known.clone_from(&anchors);
        about.encounter = anchors.iter().find(|name| name.starts_with("Encounter/") && !veil.by_label()).cloned();
        let mut made = Vec::new();
        for at in 0..self.shared.between(9, 13) {
            let rtype = match at {
                0 if kinds.contains(&"Encounter") => "Encounter",
                1 if kinds.contains(&"Observation") => "Observation",
                _ => self.shared.word(&kinds),
            };
            let name = format!("{id}-{at}");
            let mut resource = records::resource(rtype, &name, &about, &mut self.shared);
            if rtype == "DocumentReference" && self.shared.chance(70) {
                self.attach(&mut resource, &format!("{name}-bin"));
            }
            if rtype == "Encounter" {
                about.encounter = address(&resource);
            }
            about.known.extend(address(&resource));
            made.extend(address(&resource));
            self.show_beside(resource, &anchors);
        }
        self.cut_observation(id, &veil, &about);
        self.more_versions();
        self.provenances(id, &made, &anchors);
        let hidden = self.hidden_part(id, &veil, &about);
        for (world, mut instances) in hidden.into_iter().enumerate() {
            instances.extend(anchors.iter().cloned());
            let consents = veil.consents(&format!("{id}-consent"), &patient, &self.pair, self.kind, &instances);
            for consent in consents {
                if self.kind == Kind::Patient && world == 0 {
                    self.scene.visible.push(consent.clone());
                }
                if let Some(world) = self.worlds.get_mut(world) {
                    world.first.push(consent);
                }
            }
        }
    }

    /// Who a patient is; what an operator's rule takes out of it is rolled for each world.
    fn patient(&mut self, id: &str) {
        let plain = records::patient(id, &self.pair, &mut self.shared);
        for world in 0..2 {
            let mut dice = self.dice(world);
            let mut own = plain.clone();
            if self.kind.redacted() {
                let phone = format!("+44 20 7946 0{:03}", dice.below(1000));
                let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">call {phone}</div>");
                merge(
                    &mut own,
                    json!({
                        "telecom": [{"system": "phone", "value": phone}],
                        "text": {"status": "generated", "div": div},
                    }),
                );
            }
            if let Some(world) = self.worlds.get_mut(world) {
                world.first.push(own);
            }
        }
        if self.kind.redacted() {
            self.scene.cut.push(format!("Patient/{id}"));
        }
        self.scene.visible.push(plain);
    }

    /// Hidden resources that both worlds have, with other contents: visible ones refer to them.
    fn anchors(&mut self, id: &str, veil: &Veil, about: &About) -> Vec<String> {
        let kinds: Vec<&str> =
            ["Observation", "Condition", "Encounter"].into_iter().filter(|kind| veil.can_hide(kind)).collect();
        let mut anchors = Vec::new();
        for at in 0..self.shared.between(0, 2) {
            let rtype = self.shared.word(&kinds);
            if rtype.is_empty() {
                break;
            }
            let name = format!("{id}-anchor{at}");
            let missing = self.gaps.dangling && self.shared.chance(50);
            for world in 0..2 {
                let mut dice = self.dice(world);
                let mut resource = records::resource(rtype, &name, about, &mut dice);
                veil.hide(&mut resource, &mut dice);
                if !(missing && world == 0) {
                    self.hide(world, resource);
                }
            }
            anchors.push(format!("{rtype}/{name}"));
        }
        anchors
    }

    /// A Binary that belongs to whom this document belongs to.
    fn attach(&mut self, document: &mut Value, id: &str) {
        let binary = records::binary(id, &mut self.shared);
        self.show(binary);
        point(document, id);
    }

    /// An Observation whose value bears a label of its own: the value is hidden, the rest is not.
    fn cut_observation(&mut self, id: &str, veil: &Veil, about: &About) {
        let Some(label) = veil.element_label() else { return };
        let name = format!("{id}-cut");
        let plain = records::resource("Observation", &name, about, &mut self.shared);
        let narrative = plain.get("text").is_some() || self.shared.chance(50);
        for world in 0..2 {
            let mut dice = self.dice(world);
            let value = dice.between(40, 180);
            let mut own = plain.clone();
            let url = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";
            merge(
                &mut own,
                json!({"valueQuantity": {
                    "extension": [{"url": url, "valueCoding": label}],
                    "value": value, "unit": "1/min", "system": "http://unitsofmeasure.org", "code": "/min",
                }}),
            );
            if narrative {
                let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">value {value}</div>");
                merge(&mut own, json!({"text": {"status": "generated", "div": div}}));
            }
            if let Some(world) = self.worlds.get_mut(world) {
                world.first.push(own);
            }
        }
        self.scene.cut.push(format!("Observation/{name}"));
        self.scene.visible.push(plain);
    }

    /// Some visible resources get a second version, one goes.
    fn more_versions(&mut self) {
        let mut visible = std::mem::take(&mut self.scene.visible);
        for resource in &mut visible {
            let Some(name) = address(resource) else { continue };
            let old = self.scene.versions.contains_key(&name) || self.scene.cut.contains(&name);
            let clinical = ["Observation", "Condition", "MedicationRequest"].contains(&records::rtype(resource));
            if old || !clinical || !self.shared.chance(25) {
                continue;
            }
            let status = if records::rtype(resource) == "MedicationRequest" { "stopped" } else { "corrected" };
            let note = json!({"note": [{"text": "seen again"}]});
            match records::rtype(resource) {
                "Condition" => merge(resource, note),
                _ => merge(resource, json!({"status": status})),
            }
            self.scene.versions.insert(name, 2);
            for world in &mut self.worlds {
                world.second.push(resource.clone());
            }
        }
        self.scene.visible = visible;
    }

    /// Provenances of what is visible; in one world or both they have hidden targets, too.
    fn provenances(&mut self, id: &str, made: &[String], anchors: &[String]) {
        // Targets are decided as the Provenance is asked for: a type that is only read and not searched would differ by it.
        let made: Vec<String> = made.iter().filter(|name| self.searches(name)).cloned().collect();
        for at in 0..self.shared.between(1, 2) {
            let Some(target) = self.shared.of(&made).cloned() else { return };
            let name = format!("{id}-prov{at}");
            let plain = records::provenance(&name, &self.pair, std::slice::from_ref(&target));
            for world in 0..2 {
                let mut dice = self.dice(world);
                let mut targets = vec![target.clone()];
                if let Some(anchor) = dice.of(anchors).cloned() {
                    let at = dice.below(2);
                    if dice.chance(60) {
                        targets.insert(at, anchor);
                    }
                }
                if let Some(world) = self.worlds.get_mut(world) {
                    world.first.push(records::provenance(&name, &self.pair, &targets));
                }
            }
            self.scene.cut.push(format!("Provenance/{name}"));
            self.scene.visible.push(plain);
        }
    }

    fn searches(&self, address: &str) -> bool {
        address.split_once('/').is_some_and(|(rtype, _)| self.kind.searches(rtype))
    }

    /// What only one world has of a visible patient's record, or both by the same id with other contents.
    fn hidden_part(&mut self, id: &str, veil: &Veil, about: &About) -> [Vec<String>; 2] {
        let kinds: Vec<&str> = CLINICAL.iter().copied().filter(|kind| veil.can_hide(kind)).collect();
        let mut about = about.clone();
        if veil.by_label() {
            // Labels are carried on to what an item belongs to: that would hide what is to stay visible.
            about.encounter = None;
            about.known.retain(|name| !name.starts_with("Encounter/") && !name.starts_with("Condition/"));
        }
        let mut instances = [Vec::new(), Vec::new()];
        for (world, instances) in instances.iter_mut().enumerate() {
            let mut dice = self.dice(world);
            // World b has more to hide.
            for _ in 0..dice.between(world * 2, 4 + world * 3) {
                let rtype = dice.word(&kinds);
                if rtype.is_empty() {
                    break;
                }
                let name = format!("{id}-x{}", dice.below(12));
                let exists = |resource: &Value| resource.get("id").and_then(Value::as_str) == Some(name.as_str());
                if self.worlds.get(world).is_some_and(|world| world.first.iter().any(exists)) {
                    continue;
                }
                let open = records::resource(rtype, &name, &about, &mut dice);
                let mut resource = open.clone();
                veil.hide(&mut resource, &mut dice);
                if rtype == "DocumentReference" && veil.by_label() {
                    let mut binary = merged(records::binary(&format!("{name}-bin"), &mut dice), json!({"meta": {}}));
                    veil.hide(&mut binary, &mut dice);
                    point(&mut resource, &format!("{name}-bin"));
                    self.hide(world, binary);
                }
                let mut about_this = vec![format!("{rtype}/{name}")];
                instances.append(&mut about_this.clone());
                // Some were visible in their first version.
                if dice.chance(30) && resource != open && rtype != "DocumentReference" {
                    self.hide(world, open);
                    if let Some(world) = self.worlds.get_mut(world) {
                        world.second.push(resource);
                    }
                } else {
                    self.hide(world, resource);
                }
                if dice.chance(15) {
                    if let Some(world) = self.worlds.get_mut(world) {
                        let gone = format!("{rtype}/{name}");
                        if !world.second.iter().any(|other| address(other).as_deref() == Some(gone.as_str())) {
                            world.deleted.push(gone);
                        }
                    }
                } else if dice.chance(30) {
                    let name = format!("{name}-prov");
                    self.hide(world, records::provenance(&name, &self.pair, &std::mem::take(&mut about_this)));
                }
            }
        }
        instances
    }

    /// A patient who is hidden, or absent, with a record.
    fn closed_record(&mut self, id: &str) {
        self.scene.closed.push(id.to_owned());
        for world in 0..2 {
            let mut dice = self.dice(world);
            let patient = format!("Patient/{id}");
            self.scene.hidden.push(patient.clone());
            if world == 0 && dice.chance(50) {
                continue;
            }
            let resource = records::patient(id, &self.pair, &mut dice);
            self.hide(world, resource);
            for consent in closed(&format!("{id}-consent"), &patient, &self.pair, self.kind, &mut dice) {
                if let Some(world) = self.worlds.get_mut(world) {
                    world.first.push(consent);
                }
            }
            let mut about = About { pair: self.pair.clone(), patient: patient.clone(), ..About::default() };
            for at in 0..dice.between(2, 6) {
                let rtype = dice.word(CLINICAL);
                let name = format!("{id}-{at}");
                let mut resource = records::resource(rtype, &name, &about, &mut dice);
                about.known.extend(address(&resource));
                if rtype == "Encounter" {
                    about.encounter = address(&resource);
                }
                if rtype == "DocumentReference" {
                    let binary = records::binary(&format!("{name}-bin"), &mut dice);
                    self.hide(world, binary);
                    point(&mut resource, &format!("{name}-bin"));
                }
                self.hide(world, resource);
            }
            let both = self.scene.patients.first().cloned().unwrap_or_default();
            let name = format!("{id}-appointment");
            let actors = [format!("Patient/{both}"), patient, format!("Practitioner/{}-doc", self.pair)];
            let actors: Vec<Value> =
                actors.iter().map(|actor| json!({"actor": {"reference": actor}, "status": "accepted"})).collect();
            self.hide(
                world,
                json!({
                    "resourceType": "Appointment", "id": name, "status": "booked", "participant": actors,
                    "start": "2024-06-01T08:00:00Z", "end": "2024-06-01T09:00:00Z",
                }),
            );
        }
    }

    fn finish(mut self) -> Pair {
        for world in &self.worlds {
            self.scene.hidden.extend(world.hidden.iter().cloned());
        }
        self.scene.hidden.sort();
        self.scene.hidden.dedup();
        let patient = self.scene.patients.first().cloned().unwrap_or_default();
        let claims = self.kind.claims(&self.pair, &patient);
        Pair { name: self.pair, claims, worlds: self.worlds, scene: self.scene }
    }
}

/// Makes a document's attachment this Binary.
fn point(document: &mut Value, binary: &str) {
    if let Some(Value::Object(attachment)) = document.pointer_mut("/content/0/attachment") {
        attachment.insert("url".to_owned(), json!(format!("Binary/{binary}")));
    }
}

/// Gives references to this address a display and an identifier.
fn display(value: &mut Value, name: &str, dice: &mut Dice) {
    match value {
        Value::Object(members) => {
            if members.get("reference").and_then(Value::as_str) == Some(name) {
                let said = format!("{} {}", dice.word(&["first", "other", "late"]), dice.below(100));
                members.insert("identifier".to_owned(), json!({"system": "urn:sealgate:twin:said", "value": said}));
                members.insert("display".to_owned(), json!(said));
            }
            members.values_mut().for_each(|member| display(member, name, dice));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| display(element, name, dice)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn merged(mut resource: Value, more: Value) -> Value {
    merge(&mut resource, more);
    resource
}
