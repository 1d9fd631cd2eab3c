//! `/v1/break-glass`: the grants that wait for their review, and how the compliance office closes them.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use evidence::ids::EventId;
use serde::{Deserialize, Serialize};

use super::{Admin, problem, unauthorized};
use crate::glass::{Listed, ReviewFault, ReviewOutcome, Reviews};

/// Longest name of a reviewer.
const LONGEST_NAME: usize = 128;

#[derive(Serialize)]
struct Grants {
    grants: Vec<Listed>,
}

/// Which grants are listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    #[serde(default)]
    reviewed: bool,
}

/// A review as it comes in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Review {
    by: String,
    outcome: ReviewOutcome,
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/v1/break-glass", web::get().to(list))
        .route("/v1/break-glass/{grant}/review", web::post().to(review));
}

async fn list(admin: web::Data<Admin>, which: web::Query<Which>, request: HttpRequest) -> HttpResponse {
    let Some(reviews) = allowed(&admin, &request) else { return unauthorized("the grants") };
    match reviews.list("admin-token", which.reviewed).await {
        Ok(grants) => HttpResponse::Ok().json(Grants { grants }),
        Err(fault) => told(fault),
    }
}

async fn review(
    admin: web::Data<Admin>,
    grant: web::Path<String>,
    body: web::Bytes,
    request: HttpRequest,
) -> HttpResponse {
    let Some(reviews) = allowed(&admin, &request) else { return unauthorized("a review") };
    let malformed = |message| problem(StatusCode::BAD_REQUEST, "malformed", message);
    let Ok(id) = grant.parse::<EventId>() else { return malformed("The grant's id is a UUID.") };
    let Ok(Review { by, outcome }) = serde_json::from_slice(&body) else {
        return malformed(
            "A review says by whom it was made (`by`) and its `outcome`: justified, not-justified or inconclusive.",
        );
    };
    let by = by.trim();
    if by.is_empty() || by.chars().count() > LONGEST_NAME || by.chars().any(char::is_control) {
        return malformed("`by` names the reviewer in at most 128 characters.");
    }
    // A review that has begun goes on to its end, whether or not somebody waits for the answer.
    let (reviews, by) = (reviews.clone(), by.to_owned());
    let reviewed = actix_web::rt::spawn(async move { reviews.review(id, &by, outcome).await });
    match reviewed.await.unwrap_or(Err(ReviewFault::Unavailable)) {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(fault) => told(fault),
    }
}

/// The grants, for whoever brings the admin token.
fn allowed<'a>(admin: &'a Admin, request: &HttpRequest) -> Option<&'a Reviews> {
    admin.reviews.as_ref().filter(|_| admin.admits(request))
}

fn told(fault: ReviewFault) -> HttpResponse {
    let (status, error, message) = match fault {
        ReviewFault::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The grants are not available; try again later.")
        }
        ReviewFault::Unknown => (StatusCode::NOT_FOUND, "not-found", "No grant that is stored has this id."),
        ReviewFault::Twice => (StatusCode::CONFLICT, "reviewed", "This grant was reviewed already."),
        ReviewFault::InForce => (
            StatusCode::CONFLICT,
            "in-force",
            "This grant is in force: review it when it has ended, or end it with the outcome not-justified.",
        ),
        ReviewFault::Own => (StatusCode::FORBIDDEN, "own-grant", "Whoever holds a grant does not review it."),
    };
    problem(status, error, message)
}
