//! A JSON-RPC node between the sender and the real one, which spoils chosen answers: the error zoo.

use std::{
    collections::VecDeque,
    net::TcpListener,
    sync::{Arc, Mutex},
};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use anchor_sidecar::rpc::{Rpc, RpcLimits};
use serde_json::{Value, json};
use url::Url;

/// What happens to one call.
#[derive(Debug, Clone)]
pub(crate) enum Spoil {
    /// The node refuses; the real one is not asked.
    Refuse(i64, &'static str),
    /// The real node does it, then this refusal is given.
    DoThenRefuse(i64, &'static str),
    /// The real node does it, the answer is lost.
    DoThenLose,
    /// The real node is not asked, the answer is lost.
    Lose,
    /// This is answered.
    Answer(Value),
}

#[derive(Debug, Default)]
struct Rules {
    once: Vec<(String, VecDeque<Spoil>)>,
    always: Vec<(String, Spoil)>,
    calls: Vec<String>,
}

#[derive(Clone)]
struct State {
    rules: Arc<Mutex<Rules>>,
    real: Url,
    client: reqwest::Client,
}

pub(crate) struct Lens {
    state: State,
    url: Url,
    handle: ServerHandle,
}

impl Lens {
    pub(crate) fn before(real: &Url) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let state = State { rules: Arc::default(), real: real.clone(), client };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/secret-key-in-path", listener.local_addr().unwrap()).parse().unwrap();
        let shared = state.clone();
        let server = HttpServer::new(move || {
            App::new().app_data(web::Data::new(shared.clone())).default_service(web::post().to(answer))
        });
        let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { state, url, handle }
    }

    pub(crate) fn rpc(&self) -> Rpc {
        let limits = RpcLimits { timeout: std::time::Duration::from_secs(3), ..RpcLimits::default() };
        Rpc::new("rpc 2", self.url.clone(), limits).unwrap()
    }

    /// Spoils the next calls of a method, one each.
    pub(crate) fn once(&self, method: &str, spoils: impl IntoIterator<Item = Spoil>) {
        self.state.rules.lock().unwrap().once.push((method.to_owned(), spoils.into_iter().collect()));
    }

    /// Spoils all calls of a method until [`Self::heal`].
    pub(crate) fn always(&self, method: &str, spoil: Spoil) {
        self.state.rules.lock().unwrap().always.push((method.to_owned(), spoil));
    }

    pub(crate) fn heal(&self) {
        let mut rules = self.state.rules.lock().unwrap();
        rules.once.clear();
        rules.always.clear();
    }

    /// How often a method was called.
    pub(crate) fn calls(&self, method: &str) -> usize {
        self.state.rules.lock().unwrap().calls.iter().filter(|call| *call == method).count()
    }
}

impl Drop for Lens {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn answer(state: web::Data<State>, question: web::Json<Value>) -> HttpResponse {
    let method = question["method"].as_str().unwrap().to_owned();
    let spoil = {
        let mut rules = state.rules.lock().unwrap();
        rules.calls.push(method.clone());
        let once = rules.once.iter_mut().filter(|(named, _)| *named == method).find_map(|(_, queue)| queue.pop_front());
        once.or_else(|| rules.always.iter().find(|(named, _)| *named == method).map(|(_, spoil)| spoil.clone()))
    };
    let real = async || -> Value {
        state.client.post(state.real.clone()).json(&*question).send().await.unwrap().json().await.unwrap()
    };
    let refusal = |code: i64, words: &str| {
        HttpResponse::Ok().json(json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": code, "message": words } }))
    };
    let lost = || HttpResponse::BadGateway().body("<html>upstream went away</html>");
    match spoil {
        None => HttpResponse::Ok().json(real().await),
        Some(Spoil::Refuse(code, words)) => refusal(code, words),
        Some(Spoil::DoThenRefuse(code, words)) => {
            real().await;
            refusal(code, words)
        }
        Some(Spoil::DoThenLose) => {
            real().await;
            lost()
        }
        Some(Spoil::Lose) => lost(),
        Some(Spoil::Answer(result)) => HttpResponse::Ok().json(json!({ "jsonrpc": "2.0", "id": 1, "result": result })),
    }
}
