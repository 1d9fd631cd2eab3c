//! Makes a difference small: a request without what does not matter, and worlds without what does not matter.

use anyhow::Result;

use super::requests::{Body, Expect, Request};
use super::side::Side;
use super::verdict::{Difference, What, compare};
use super::world::Pair;

/// The smallest request that still differs, and the hidden resources that it needs.
///
/// What may write is left as it is: it cannot be sent twice.
///
/// # Errors
/// When a side does not answer.
pub async fn smallest(
    sides: &mut [Side; 2],
    pair: &Pair,
    seed: u64,
    request: &Request,
    what: What,
) -> Result<Difference> {
    let mut found = Difference {
        pair: format!("pair {}, {:?}, seed {seed}", pair.name, pair.scene.kind),
        request: request.clone(),
        what,
        needed: Vec::new(),
    };
    if request.changes() {
        return Ok(found);
    }
    // What only the making of the world knows is known of this request as it is.
    let plain = Request { expect: Expect::Unknown, ..request.clone() };
    match compare(sides, &plain).await? {
        Some((_, Some(what))) => (found.request, found.what) = (plain, what),
        Some((_, None)) | None => return Ok(found),
    }
    while let Some((smaller, what)) = smaller(sides, &found.request).await? {
        found.request = smaller;
        found.what = what;
    }
    found.needed = needed(sides, pair, &found.request).await?;
    Ok(found)
}

/// A request with one thing less that still differs.
async fn smaller(sides: &mut [Side; 2], request: &Request) -> Result<Option<(Request, What)>> {
    for candidate in candidates(request) {
        if let Some((_, Some(what))) = compare(sides, &candidate).await? {
            return Ok(Some((candidate, what)));
        }
    }
    Ok(None)
}

fn candidates(request: &Request) -> Vec<Request> {
    let mut all = Vec::new();
    for at in 0..request.query.len() {
        let mut less = request.clone();
        less.query.remove(at);
        all.push(less);
    }
    for at in 0..request.headers.len() {
        let mut less = request.clone();
        less.headers.remove(at);
        all.push(less);
    }
    if let Body::Form(form) = &request.body {
        for at in 0..form.len() {
            let mut less = form.clone();
            less.remove(at);
            all.push(Request { body: Body::Form(less), ..request.clone() });
        }
    }
    for (at, (_, value)) in request.query.iter().enumerate() {
        let parts: Vec<&str> = value.split(',').collect();
        for skipped in 0..if parts.len() > 1 { parts.len() } else { 0 } {
            let mut less = request.clone();
            let kept: Vec<&str> =
                parts.iter().enumerate().filter(|(part, _)| *part != skipped).map(|(_, part)| *part).collect();
            if let Some((_, value)) = less.query.get_mut(at) {
                *value = kept.join(",");
            }
            all.push(less);
        }
    }
    all
}

/// The hidden resources without which the answers are equal: each other one stays out of its world until all
/// are found.
async fn needed(sides: &mut [Side; 2], pair: &Pair, request: &Request) -> Result<Vec<String>> {
    let (mut needed, mut taken) = (Vec::new(), Vec::new());
    for (which, world) in pair.worlds.iter().enumerate() {
        for address in &world.hidden {
            let Some(side) = sides.get(which) else { continue };
            let Some(held) = side.take(address).await? else { continue };
            if !matches!(compare(sides, request).await?, Some((_, Some(_)))) {
                needed.push(format!("{address} in {}", if which == 0 { "a" } else { "b" }));
                if let Some(side) = sides.get(which) {
                    side.direct.put(&held).await?;
                }
            } else {
                taken.push((which, held));
            }
        }
    }
    // Other mutants are tried on the same worlds.
    for (which, held) in taken {
        if let Some(side) = sides.get(which) {
            side.direct.put(&held).await?;
        }
    }
    Ok(needed)
}
