//! Rows 4 and 5: what a searchset costs on its way through the filter, in time and in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use fhir_gateway::config::PeerConfig;
use fhir_gateway::filter::{Bounds, Judge, Looks, PagePlan, Pages, Parts, Reaches, SearchAnswer, SearchPlan};
use fhir_gateway::forward::{Patience, Upstream};
use fhir_gateway::gather::Facts;
use fhir_gateway::gather::consents::ConsentSource;
use fhir_gateway::gather::memberships::MembershipSource;
use fhir_gateway::gather::resources::ResourceSource;
use fhir_gateway::telemetry::Metrics;
use futures_util::StreamExt as _;
use gateway_core::decide::{Action, decide_interaction};
use gateway_core::labels::LabelSets;
use gateway_core::policy::{ConsentSettings, Policy, PolicyRoles};
use gateway_core::reference::{BaseUrl, Bases};
use gateway_core::resource_type::ResourceType;
use gateway_core::trim::Trim;
use serde_json::Value;

use super::front::Front;
use super::line::{Beside, Line, Measured};
use super::samples::{Quantity, Unit};
use super::stub::{Reply, Stub, fhir, head};
use super::{Bench, cost, data};
use crate::harness::{clock, fhir as client};

/// Observations of a searchset that comes to the 846 KB of the reference.
const OBSERVATIONS: usize = 400;
const BYTES: usize = 2_082;

/// Row 4: half of the entries hidden, decision included, by the thread's own CPU time.
pub async fn half_hidden(bench: &Bench) -> Measured {
    let searchset = data::searchset(OBSERVATIONS, BYTES).to_string();
    let mut replies = vec![("Observation?", fhir(searchset.as_bytes(), ""))];
    replies.extend(data::world());
    let stub = Stub::start(replies, None)?;
    let (base, rounds, time) = (stub.base.clone(), bench.rounds(), bench.time(3));
    let measured = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(both(&base, rounds, time))
    });
    let (ours, theirs) = measured.await??;
    let ours = Quantity::of(Unit::MegabytesPerSecond, &ours).context("nothing was measured")?;
    let theirs = Quantity::of(Unit::MegabytesPerSecond, &theirs).context("nothing was measured")?;
    let line = Line::new(4, format!("searchset of {} KB, every second entry hidden", searchset.len() / 1000), ours)
        .beside(Beside::measured("serde_json Value", theirs))
        .goal("≥ 500 MB/s a core", ours.median >= 500.0)
        .note(
            "Row 4: by the CPU time of one thread that reads the searchset from a loopback socket, decides on each entry \
             by the patient's Consent, and has what is shown and all that is to be recorded in its hands. The peer reads \
             the same, keeps the entries without the label in a serde_json Value, and writes that.",
        );
    Ok(vec![line])
}

async fn both(base: &str, rounds: usize, time: Duration) -> Result<(Vec<f64>, Vec<f64>)> {
    let filter = Filter::new(base)?;
    let http = client::client()?;
    let url = format!("{base}/Observation?patient=Patient/{}", data::PATIENT);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(rate(time, async || filter.filtered().await).await?);
        theirs.push(
            rate(time, async || {
                let body = http.get(&url).send().await?.bytes().await?;
                let (read, shown) = (body.len(), by_value(&body)?.1);
                Ok(Passed { read, shown })
            })
            .await?,
        );
    }
    Ok((ours, theirs))
}

/// How much went in, and how many entries came out.
struct Passed {
    read: usize,
    shown: usize,
}

/// Megabytes that went in for each second of this thread's CPU time.
async fn rate(time: Duration, once: impl AsyncFn() -> Result<Passed>) -> Result<f64> {
    once().await?;
    let (begun, cpu, mut bytes) = (Instant::now(), cost::thread_seconds()?, 0);
    while begun.elapsed() < time {
        let passed = once().await?;
        ensure!(passed.shown == OBSERVATIONS / 2, "{} entries were shown, not every second one", passed.shown);
        bytes += passed.read;
    }
    Ok(bytes as f64 / 1e6 / (cost::thread_seconds()? - cpu))
}

/// What everybody would write first.
fn by_value(body: &[u8]) -> Result<(Vec<u8>, usize)> {
    let mut bundle: Value = serde_json::from_slice(body)?;
    let entries = bundle.get_mut("entry").and_then(Value::as_array_mut).context("no entries")?;
    entries.retain(|entry| entry.pointer("/resource/meta/security").is_none());
    let shown = entries.len();
    Ok((serde_json::to_vec(&bundle)?, shown))
}

/// The gateway's own filter, before a FHIR server.
struct Filter {
    upstream: Upstream,
    judge: Judge,
    bases: Bases,
    rtype: ResourceType,
}

impl Filter {
    fn new(base: &str) -> Result<Self> {
        let peer = PeerConfig { base: base.parse()?, bearer_token: None, client_certificate: None, ca_file: None };
        let patience = Patience { connect: Duration::from_secs(2), read: Duration::from_secs(10) };
        let upstream = Upstream::new(&peer, patience)?;
        let bases = Bases { public: BaseUrl::parse("https://gateway.example/fhir")?, upstream: BaseUrl::parse(base)? };
        let metrics = Arc::new(Metrics::new(None)?);
        let age = Duration::from_secs(3_600);
        let facts = Facts {
            consents: ConsentSource::new(upstream.clone(), bases.clone(), age, 100, Arc::clone(&metrics)),
            memberships: MembershipSource::new(upstream.clone(), bases.clone(), age),
            resources: ResourceSource::new(upstream.clone(), bases.clone()),
            bases: bases.clone(),
            metrics,
        };
        let policy = Policy::new(ConsentSettings::default(), Vec::new(), LabelSets::default(), PolicyRoles::default())?;
        let judge = Judge::new(Arc::new(facts), Arc::new(policy), Arc::new(data::doctor()), clock::now());
        Ok(Self { upstream, judge, bases, rtype: ResourceType::parse("Observation")? })
    }

    /// One searchset through it, window by window.
    async fn filtered(&self) -> Result<Passed> {
        let permit = decide_interaction(&data::doctor(), Action::Search, self.rtype)
            .map_err(|refused| anyhow!("the measured caller is refused: {}", refused.reason.rule.as_str()))?;
        let query = format!("patient=Patient/{}", data::PATIENT);
        let plan = SearchPlan {
            rtype: self.rtype,
            page: PagePlan {
                target: format!("Observation?{query}"),
                query,
                count: 1_000,
                to_the_end: true,
                skip: 0,
                bounds: Bounds { most_entries: 10_000, window: (256 << 10, 256) },
            },
            looks: Looks::default(),
            trim: Trim::default(),
            joined: false,
            dropped: Vec::new(),
            reaches: Reaches::new(|_| true),
            parts: Parts::One,
        };
        let mut pages = Pages::new(self.upstream.clone(), 8 << 20, None);
        let status = pages.open(&permit, plan.page.target.clone()).await?;
        ensure!(status == 200, "the FHIR server answers {status}");
        let link = self.bases.public.join("Observation");
        let mut answer =
            SearchAnswer::new(self.judge.clone(), permit, pages, plan, Box::new(move |_| Ok(link.clone())));
        let mut passed = Passed { read: OBSERVATIONS * BYTES, shown: 0 };
        loop {
            let window = answer.next_window().await?;
            passed.shown += usize::try_from(window.counts().disclosed)?;
            if window.is_last() {
                return Ok(passed);
            }
        }
    }
}

/// Entries of 100 KB each that make the 100 MB of row 5.
const LARGE: usize = 1_000;
const LARGE_BYTES: usize = 100_000;

/// Row 5: 100 MB through a gateway, and through whole-body buffering.
pub async fn streamed(bench: &Bench) -> Measured {
    let large = data::entry(&data::observation(12_345, LARGE_BYTES, false)).to_string();
    let (before, after) = large.split_once("12345").context("no number in the entry")?;
    let (begin, end) = (r#"{"resourceType":"Bundle","type":"searchset","entry":["#, "]}");
    let length = begin.len() + end.len() + LARGE * large.len() + LARGE - 1;
    let small =
        serde_json::json!({"resourceType": "Bundle", "type": "searchset", "entry": [data::entry(&data::patient())]});
    let observations = Reply::Streamed {
        begin: format!("{}{begin}", head(length, "")).into(),
        piece: (Bytes::copy_from_slice(before.as_bytes()), Bytes::copy_from_slice(after.as_bytes())),
        times: LARGE,
        end: Bytes::from_static(end.as_bytes()),
    };
    let mut replies = vec![("Patient?", fhir(small.to_string().as_bytes(), "")), ("Observation?", observations)];
    replies.extend(data::world());
    let stub = Stub::start(replies, None)?;
    let mut front = Front::start(bench, "searchset", &stub.base, &serde_json::json!({})).await?;
    let reader = front.gateway.fhir(front.token.clone())?;
    for _ in 0..50 {
        reader.get(&format!("Patient?_id={}", data::PATIENT)).await?.success()?;
    }
    let (mut extra, mut first, mut finished, mut buffered) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        let process = front.gateway.process()?.id();
        let resting = cost::memory(&process.to_string(), "VmRSS")?;
        cost::forget_peak(process)?;
        let begun = Instant::now();
        let request =
            reader.request(reqwest::Method::GET, &format!("Observation?patient=Patient/{}&_count=1000", data::PATIENT));
        let answer = request.send().await?.error_for_status()?;
        let (mut body, mut bytes, mut first_byte) = (answer.bytes_stream(), 0, None);
        while let Some(chunk) = body.next().await {
            first_byte.get_or_insert_with(|| begun.elapsed());
            bytes += chunk?.len();
        }
        ensure!(bytes > LARGE * LARGE_BYTES, "{bytes} bytes came through");
        extra.push(cost::memory(&process.to_string(), "VmHWM")? - resting);
        first.push(first_byte.context("nothing came through")?.as_secs_f64());
        let upstream = stub.streamed_at().context("the FHIR server did not finish")?;
        finished.push(upstream.duration_since(begun).as_secs_f64());
        buffered.push(whole_body(&stub.base).await?);
    }
    let memory = Quantity::of(Unit::Bytes, &extra).context("nothing was measured")?;
    let buffered = Quantity::of(Unit::Bytes, &buffered).context("nothing was measured")?;
    let first = Quantity::of(Unit::Seconds, &first).context("nothing was measured")?;
    let finished = Quantity::of(Unit::Seconds, &finished).context("nothing was measured")?;
    Ok(vec![
        Line::new(5, "searchset of 100 MB: extra memory of the gateway", memory)
            .beside(Beside::measured("read whole into a Value", buffered))
            .goal("≤ 8 MB", memory.median <= 8e6)
            .note("Row 5: peak of the resident memory over that before the search; all 1,000 entries are shown and recorded."),
        Line::new(5, "its first byte", first)
            .beside(Beside::measured("the upstream's last byte", finished))
            .goal("before the upstream has finished", first.median < finished.median),
    ])
}

/// The peak of memory when the answer is read whole and parsed.
async fn whole_body(base: &str) -> Result<f64> {
    let own = i32::try_from(std::process::id())?;
    let resting = cost::memory("self", "VmRSS")?;
    cost::forget_peak(own)?;
    let body = client::client()?.get(format!("{base}/Observation?all")).send().await?.bytes().await?;
    let (written, _) = tokio::task::spawn_blocking(move || by_value(&body)).await??;
    ensure!(written.len() > LARGE * LARGE_BYTES, "the Value is short");
    Ok(cost::memory("self", "VmHWM")? - resting)
}
