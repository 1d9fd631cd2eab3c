//! Whether two answers are equal, and each what is known of it beforehand.

use std::fmt;

use anyhow::Result;
use serde_json::Value;

use super::canonical::Canonical;
use super::requests::{Body, Expect, Request};
use super::side::{Exchange, Side};

/// What differs.
#[derive(Debug, Clone)]
pub struct What {
    /// In a few words: `status`, `header etag`, `body of page 2`, `lost`.
    pub place: String,
    /// What world a answered, from where it differs.
    pub a: String,
    /// What world b answered.
    pub b: String,
}

/// A difference that was found.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Pair, caller, seed.
    pub pair: String,
    /// The request, made as small as it could be.
    pub request: Request,
    /// What differs.
    pub what: What,
    /// Addresses of hidden resources without which there is no difference.
    pub needed: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pair, request, what, needed } = self;
        writeln!(f, "DIFFERENCE in {} ({pair})", what.place)?;
        writeln!(f, "  {}: {} {}", request.kind, request.method, request.target())?;
        for (name, value) in &request.headers {
            writeln!(f, "  {name}: {value}")?;
        }
        if request.body != Body::None {
            writeln!(f, "  {:?}", request.body)?;
        }
        if !needed.is_empty() {
            writeln!(f, "  needs {}", needed.join(", "))?;
        }
        writeln!(f, "  a: {}", what.a)?;
        write!(f, "  b: {}", what.b)
    }
}

/// Sends a request to both sides; `None` where a side was too busy to answer.
///
/// # Errors
/// When a side does not answer at all.
pub async fn compare(sides: &mut [Side; 2], request: &Request) -> Result<Option<(Exchange, Option<What>)>> {
    for attempt in 0..4 {
        let [a, b] = sides;
        let (in_a, in_b) = tokio::join!(a.exchange(request), b.exchange(request));
        let (in_a, in_b) = (in_a?, in_b?);
        let busy = |exchange: &Exchange| exchange.pages.iter().any(|page| matches!(page.status, 503 | 504));
        if busy(&in_a) || busy(&in_b) {
            if request.changes() {
                return Ok(None);
            }
            tokio::time::sleep(std::time::Duration::from_millis(200 << attempt)).await;
            continue;
        }
        let what = match pages(&in_a.pages, &in_b.pages) {
            Some(what) => Some(what),
            None => expected(b, request, &in_b).await?,
        };
        return Ok(Some((in_b, what)));
    }
    Ok(None)
}

fn pages(a: &[Canonical], b: &[Canonical]) -> Option<What> {
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        let page = if at == 0 { String::new() } else { format!(" of page {}", at + 1) };
        if a.status != b.status {
            let shown = |answer: &Canonical| format!("{} {}", answer.status, cut(&answer.body, 0));
            return Some(What { place: format!("status{page}"), a: shown(a), b: shown(b) });
        }
        if a.headers != b.headers {
            let only = |one: &Canonical, other: &Canonical| {
                let own: Vec<String> = one
                    .headers
                    .iter()
                    .filter(|header| !other.headers.contains(header))
                    .map(|(n, v)| format!("{n}: {v}"))
                    .collect();
                own.join("; ")
            };
            return Some(What { place: format!("headers{page}"), a: only(a, b), b: only(b, a) });
        }
        if a.body != b.body {
            let at = a.body.bytes().zip(b.body.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(120);
            return Some(What { place: format!("body{page}"), a: cut(&a.body, at), b: cut(&b.body, at) });
        }
    }
    let number = |pages: &[Canonical]| format!("{} pages", pages.len());
    (a.len() != b.len()).then(|| What { place: "number of pages".to_owned(), a: number(a), b: number(b) })
}

/// What stands in a text from this byte on, not all of it.
fn cut(text: &str, from: usize) -> String {
    let mut from = from.min(text.len());
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let (_, rest) = text.split_at(from);
    let shown: String = rest.chars().take(420).collect();
    format!("{}{shown}{}", if from > 0 { "…" } else { "" }, if shown.len() < rest.len() { "…" } else { "" })
}

/// Whether the answer is what the making of the world says that it is: all that is visible, and nothing else.
async fn expected(side: &Side, request: &Request, exchange: &Exchange) -> Result<Option<What>> {
    let Some(first) = exchange.pages.first() else { return Ok(None) };
    let lost = |place: &str, expected: String| {
        Some(What {
            place: place.to_owned(),
            a: format!("expected {expected}"),
            b: format!("{} {}", first.status, cut(&first.body, 0)),
        })
    };
    Ok(match request.expect {
        Expect::Unknown => None,
        Expect::NotShown if matches!(first.status, 403 | 404) => None,
        Expect::NotShown => lost("what is not visible", "404".to_owned()),
        Expect::Shown if first.status == 200 => None,
        Expect::Shown => lost("what is visible in part", "200".to_owned()),
        Expect::Whole if first.status != 200 => lost("what is visible", "200".to_owned()),
        Expect::Whole => {
            let held = side.upstream(&request.path).await?;
            if held == first.body { None } else { lost("what is visible", cut(&held, 0)) }
        }
        Expect::Total(total) => {
            let body: Value = serde_json::from_str(&first.body).unwrap_or_default();
            let found = body.get("total").and_then(Value::as_u64);
            if found == u64::try_from(total).ok() { None } else { lost("total", format!("a total of {total}")) }
        }
    })
}
