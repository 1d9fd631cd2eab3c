//! The requests: a table of kinds, each of which makes one out of a [`Scene`]. Whoever adds an interaction adds a row.

use serde_json::{Value, json};

use super::dice::Dice;
use super::world::Scene;
use super::{odd, searches, writes};
use crate::harness::fhir::address;

/// A request as it is sent to both gateways.
///
/// In every text `{base}` stands for the gateway's public base, `{etag}` for the `ETag` that a read of the same path gives
/// just before, `{boundary}` for the time between the two loads.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The row of the table that made it.
    pub kind: &'static str,
    /// The method.
    pub method: &'static str,
    /// The path below the base, as it goes over the wire.
    pub path: String,
    /// The query's parameters, encoded.
    pub query: Vec<(String, String)>,
    /// Headers beyond token and `Accept`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// What is known of the answer beforehand.
    pub expect: Expect,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// None.
    None,
    /// A resource, as `application/fhir+json`.
    Json(Value),
    /// Parameters of a search.
    Form(Vec<(String, String)>),
    /// Something else, under this media type.
    Text(&'static str, String),
}

/// What is known of the answer beforehand, by how the world was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Unknown,
    /// The resource as the FHIR server has it.
    Whole,
    /// The resource, or part of it.
    Shown,
    /// 404, or 403 where no scope has the type.
    NotShown,
    /// A search that finds so many.
    Total(usize),
}

impl Request {
    /// A GET of this path.
    #[must_use]
    pub fn get(kind: &'static str, path: impl Into<String>) -> Self {
        Self::of(kind, "GET", path)
    }

    /// A request of this method without anything else.
    #[must_use]
    pub fn of(kind: &'static str, method: &'static str, path: impl Into<String>) -> Self {
        Self {
            kind,
            method,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::None,
            expect: Expect::Unknown,
        }
    }

    /// With this parameter; name and value as they go over the wire.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// Whether it may change what is stored.
    #[must_use]
    pub fn changes(&self) -> bool {
        !matches!(self.method, "GET" | "HEAD") && !self.path.ends_with("_search")
    }

    /// Path and query.
    #[must_use]
    pub fn target(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, joined(&self.query)) }
    }
}

/// Parameters as a query or form.
#[must_use]
pub fn joined(params: &[(String, String)]) -> String {
    let each: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    each.join("&")
}

/// A row of the table.
pub struct Kind {
    /// What it is called in reports.
    pub name: &'static str,
    /// How often it is rolled, against the others of its list.
    pub weight: usize,
    /// Makes one.
    pub make: fn(&'static str, &mut Dice, &Scene) -> Request,
}

const fn kind(name: &'static str, weight: usize, make: fn(&'static str, &mut Dice, &Scene) -> Request) -> Kind {
    Kind { name, weight, make }
}

/// What looks only. These run first, while nothing changes, so that a search of many patients may see other pairs too.
pub const READS: &[Kind] = &[
    kind("read", 20, read),
    kind("vread", 6, vread),
    kind("conditional-read", 5, conditional_read),
    kind("head", 2, head),
    kind("search-patient", 18, searches::of_patient),
    kind("search-plain", 12, searches::plain),
    kind("search-type", 9, searches::of_type),
    kind("search-post", 4, searches::by_post),
    kind("search-include", 11, searches::including),
    kind("search-revinclude", 10, searches::revincluding),
    kind("search-hidden-element", 4, searches::by_element),
    kind("search-provenance", 4, searches::provenance),
    kind("search-hidden-target", 3, searches::by_hidden_target),
    kind("search-modifier", 4, searches::by_modifier),
    kind("metadata", 1, odd::metadata),
    kind("malformed", 5, odd::malformed),
    kind("repeated", 1, odd::repeated),
    kind("formats", 2, odd::formats),
    kind("history-instance", 3, odd::history_instance),
    kind("history-type", 1, odd::history_type),
    kind("history-system", 1, odd::history_system),
    kind("search-compartment", 2, odd::compartment),
    kind("search-system", 1, odd::system),
    kind("everything", 2, odd::everything),
    kind("operations", 2, odd::operations),
    kind("chains", 3, searches::chained),
    kind("has", 3, searches::has),
    kind("iterate", 2, searches::iterated),
    kind("elements", 2, searches::elements),
    kind("summary", 2, searches::summary),
];

/// What may write, with looks in between; these keep to the pair's own patients.
pub const WRITES: &[Kind] = &[
    kind("read", 14, read),
    kind("search-plain", 12, searches::plain_after),
    kind("create", 9, writes::create),
    kind("create-pointing", 8, writes::create_pointing),
    kind("update", 9, writes::update),
    kind("update-hidden", 7, writes::update_hidden),
    kind("update-match", 5, writes::update_match),
    kind("update-relabel", 2, writes::update_relabel),
    kind("update-move", 2, writes::update_move),
    kind("delete", 3, writes::delete),
    kind("delete-hidden", 5, writes::delete_hidden),
    kind("patch", 3, writes::patch),
    kind("conditional-create", 4, writes::conditional_create),
    kind("conditional-update", 4, writes::conditional_update),
    kind("conditional-delete", 3, writes::conditional_delete),
    kind("conditional-patch", 1, writes::conditional_patch),
    kind("batch", 4, writes::batch),
    kind("transaction", 3, writes::transaction),
    kind("bad-write", 4, writes::bad),
];

/// A request out of this list.
#[must_use]
pub fn roll(kinds: &'static [Kind], dice: &mut Dice, scene: &Scene) -> Request {
    let mut at = dice.below(kinds.iter().map(|kind| kind.weight).sum());
    for kind in kinds {
        if at < kind.weight {
            return (kind.make)(kind.name, dice, scene);
        }
        at -= kind.weight;
    }
    Request::get("read", "metadata")
}

impl Scene {
    /// A visible resource.
    pub fn visible(&self, dice: &mut Dice) -> Value {
        // What belongs to nobody is at the head of the list, and of less interest.
        let from = if dice.chance(85) { self.visible.len().min(6) } else { 0 };
        dice.of(self.visible.get(from..).unwrap_or_default()).cloned().unwrap_or_else(|| json!({}))
    }

    /// A visible resource of one of these types.
    pub fn visible_of(&self, dice: &mut Dice, types: &[&str]) -> Option<Value> {
        let is = |resource: &&Value| types.contains(&super::records::rtype(resource));
        let found: Vec<&Value> = self.visible.iter().filter(is).collect();
        dice.of(&found).map(|found| (*found).clone())
    }

    /// An address, and whether it is visible: mostly it is.
    pub fn any(&self, dice: &mut Dice) -> (String, Option<bool>) {
        match dice.below(100) {
            0..70 => (address(&self.visible(dice)).unwrap_or_default(), Some(true)),
            70..91 => (dice.text(&self.hidden), Some(false)),
            91..95 if !self.deleted.is_empty() => (dice.text(&self.deleted), Some(false)),
            _ => (self.absent(dice), Some(false)),
        }
    }

    /// The address of what never was.
    pub fn absent(&self, dice: &mut Dice) -> String {
        let rtype = dice.word(super::records::CLINICAL);
        format!("{rtype}/{}-none{}", self.pair, dice.below(5))
    }

    /// The id of a patient: mostly visible.
    pub fn a_patient(&self, dice: &mut Dice) -> String {
        match dice.below(100) {
            0..84 => dice.text(&self.patients),
            84..96 => dice.text(&self.closed),
            _ => format!("{}-nobody", self.pair),
        }
    }

    fn expect_read(&self, address: &str, visible: Option<bool>) -> Expect {
        let rtype = address.split_once('/').map_or(address, |(rtype, _)| rtype);
        match visible {
            None => Expect::Unknown,
            Some(true) if !self.kind.reads(rtype) => Expect::NotShown,
            Some(true) if self.cut.iter().any(|cut| cut == address) => Expect::Shown,
            Some(true) => Expect::Whole,
            Some(false) => Expect::NotShown,
        }
    }
}

fn read(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (address, visible) = scene.any(dice);
    let expect = scene.expect_read(&address, visible);
    Request { expect, ..Request::get(kind, address) }
}

fn vread(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (address, _) = scene.any(dice);
    let version = dice.word(&["1", "1", "1", "2", "2", "3", "0", "x", "99999999999999999999"]);
    Request::get(kind, format!("{address}/_history/{version}"))
}

fn conditional_read(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (address, _) = scene.any(dice);
    let tag = dice.word(&["{etag}", "{etag}", "W/\"1\"", "W/\"2\"", "\"1\"", "*", "W/\"1\", W/\"2\"", "junk"]);
    let name = dice.word(&["if-none-match", "if-none-match", "if-none-match", "if-modified-since", "if-match"]);
    let value = if name == "if-modified-since" { "Fri, 01 Jan 2100 00:00:00 GMT" } else { tag };
    Request::get(kind, address).header(name, value)
}

fn head(kind: &'static str, dice: &mut Dice, scene: &Scene) -> Request {
    let (address, _) = scene.any(dice);
    Request::of(kind, "HEAD", address)
}
