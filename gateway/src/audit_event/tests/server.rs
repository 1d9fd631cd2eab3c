//! A FHIR server that takes AuditEvents, as far as the feed needs one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

/// What the server holds and how it behaves; shared with the test.
#[derive(Default)]
pub(super) struct Store {
    /// By id, or by tag where it assigns ids of its own.
    pub(super) events: BTreeMap<String, Value>,
    /// Ids in the order in which they first came.
    pub(super) order: Vec<String>,
    /// Deliveries, repeated ones too.
    pub(super) deliveries: usize,
    /// The status of every answer while set.
    pub(super) answers: Option<u16>,
    /// Whether literal references are refused.
    pub(super) refuses_literal: bool,
    /// Part of a body that is refused.
    pub(super) refuses: Option<String>,
    /// The CapabilityStatement's entry for AuditEvent.
    pub(super) offers: Value,
    /// Whether it takes ids of clients although it does not say so, as HAPI does.
    pub(super) takes_ids: bool,
    /// The only bearer token that is taken.
    pub(super) takes_token: Option<String>,
    /// `Authorization` as it last came.
    pub(super) authorization: Option<String>,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) store: Arc<Mutex<Store>>,
}

impl Server {
    pub(super) fn start(offers: Value) -> Self {
        let store = Arc::new(Mutex::new(Store { offers, ..Store::default() }));
        let (tell, told) = std::sync::mpsc::channel();
        let shared = Arc::clone(&store);
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new().app_data(web::Data::from(Arc::clone(&shared))).default_service(web::to(answer))
                })
                .workers(1)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .unwrap();
                tell.send(server.addrs()[0]).unwrap();
                server.run().await.unwrap();
            });
        });
        Self { address: told.recv().unwrap(), store }
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}/fhir", self.address)
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, store: web::Data<Mutex<Store>>) -> HttpResponse {
    let mut store = store.lock().unwrap();
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    store.authorization = header("authorization");
    let wanted = store.takes_token.as_ref().map(|token| format!("Bearer {token}"));
    if wanted.is_some() && wanted != store.authorization {
        return HttpResponse::Unauthorized().finish();
    }
    if let Some(status) = store.answers {
        let status = actix_web::http::StatusCode::from_u16(status).unwrap();
        return HttpResponse::build(status).insert_header(("location", "/elsewhere")).finish();
    }
    let offers = store.offers.clone();
    let key = match (request.method().as_str(), request.path()) {
        ("GET", "/fhir/metadata") => {
            let statement =
                json!({"resourceType": "CapabilityStatement", "rest": [{"resource": [{"type": "Patient"}, offers]}]});
            return HttpResponse::Ok().json(statement);
        }
        ("PUT", path) if offers["updateCreate"] == true || store.takes_ids => {
            path.strip_prefix("/fhir/AuditEvent/").unwrap().to_owned()
        }
        ("POST", "/fhir/AuditEvent") if offers["conditionalCreate"] == true => header("if-none-exist").unwrap(),
        _ => return HttpResponse::MethodNotAllowed().finish(),
    };
    let text = String::from_utf8(body.to_vec()).unwrap();
    let event: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(header("content-type").as_deref(), Some("application/fhir+json; charset=utf-8"));
    let literal =
        event["entity"].as_array().into_iter().flatten().any(|entity| entity["what"]["reference"].is_string());
    let refused = store.refuses.as_ref().is_some_and(|part| text.contains(part.as_str()));
    if refused || (literal && store.refuses_literal) {
        return HttpResponse::UnprocessableEntity().finish();
    }
    store.deliveries += 1;
    if store.events.insert(key.clone(), event).is_none() {
        store.order.push(key);
    }
    HttpResponse::Created().finish()
}
