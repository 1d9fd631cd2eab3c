//! Pages: the upstream's searchset, page after page, one raw entry at a time.
//!
//! At most one chunk and one entry are in memory. A page that does not end as a well-formed Bundle is an error, found
//! at its end: what was cut out of it before stays subject to the same abort (EVIDENCE.md 1).

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use gateway_core::decide::Permit;
use gateway_core::json::{BundleScanner, Doc, Piece, ScanLimits};

use crate::forward::{ByteStream, Upstream, UpstreamError, UpstreamRequest};
use crate::problem::Problem;

/// What comes next out of the upstream's pages.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// One element of `entry`, not yet parsed.
    Entry(Vec<u8>),
    /// One that is too large to be decided on: how it begins.
    TooLong(Vec<u8>),
    /// A page ended well-formed; whether the upstream has a further one.
    PageEnd {
        /// The target of the next page, below the upstream's base.
        next: Option<String>,
    },
}

/// A reader over the pages of one search.
pub struct Pages {
    upstream: Upstream,
    limits: ScanLimits,
    page: Option<Page>,
    /// First pages of the searches that follow on the one under way.
    further: VecDeque<String>,
    traceparent: Option<String>,
    fresh: bool,
    turned: bool,
}

struct Page {
    body: ByteStream,
    scanner: Option<BundleScanner>,
    pieces: VecDeque<Piece>,
    next: Option<String>,
}

impl Pages {
    /// A reader that has asked nothing yet.
    pub fn new(upstream: Upstream, entry_limit: usize, traceparent: Option<String>) -> Self {
        let limits = ScanLimits { entry: entry_limit, ..ScanLimits::default() };
        Self { upstream, limits, page: None, further: VecDeque::new(), traceparent, fresh: false, turned: false }
    }

    /// The same reader, whose upstream is not to answer from a cache of its own.
    #[must_use]
    pub fn fresh(self, fresh: bool) -> Self {
        Self { fresh, ..self }
    }

    /// The same, going on with these searches when the one that is opened ends.
    #[must_use]
    pub fn then(self, further: impl IntoIterator<Item = String>) -> Self {
        Self { further: further.into_iter().collect(), ..self }
    }

    /// Whether the page that ended was the last of its search: another one may follow on it.
    pub fn turned(&self) -> bool {
        self.turned
    }

    /// Asks for the page at `target`. Answers the upstream's status where that is not 200, its body unread.
    pub async fn open(&mut self, permit: &Permit, target: String) -> Result<u16, Problem> {
        let request = UpstreamRequest { traceparent: self.traceparent.clone(), ..UpstreamRequest::get(target) };
        let answer = match self.fresh {
            true => self.upstream.forward_fresh(permit, request).await?,
            false => self.upstream.forward(permit, request).await?,
        };
        let status = answer.status;
        if status == 200 {
            let scanner = Some(BundleScanner::new(self.limits));
            self.page = Some(Page { body: answer.into_json()?, scanner, pieces: VecDeque::new(), next: None });
        }
        Ok(status)
    }

    /// The next entry of the open page, or its end.
    pub async fn next(&mut self) -> Result<Next, Problem> {
        loop {
            let Some(page) = &mut self.page else { return Ok(Next::PageEnd { next: None }) };
            match page.pieces.pop_front() {
                Some(Piece::Entry(raw)) => return Ok(Next::Entry(raw)),
                Some(Piece::TooLong(begin)) => return Ok(Next::TooLong(begin)),
                Some(Piece::Head { key, raw }) if key == "link" => {
                    page.next = next_link(&self.upstream, &raw)?;
                    continue;
                }
                Some(Piece::Head { .. } | Piece::Entries) => continue,
                None => {}
            }
            let Some(scanner) = &mut page.scanner else {
                let own = page.next.take();
                self.turned = own.is_none();
                let next = own.or_else(|| self.further.pop_front());
                self.page = None;
                return Ok(Next::PageEnd { next });
            };
            match page.body.next().await {
                Some(chunk) => page.pieces.extend(scanner.push(&chunk?).map_err(|_| MALFORMED)?),
                None => {
                    if let Some(scanner) = page.scanner.take() {
                        scanner.finish().map_err(|_| MALFORMED)?;
                    }
                }
            }
        }
    }
}

const MALFORMED: Problem = Problem::Unfilterable("upstream-malformed-bundle");

/// The target of `Bundle.link` with relation `next` (FHIR R4 §3.1.0.7, RFC 5005).
fn next_link(upstream: &Upstream, raw: &[u8]) -> Result<Option<String>, Problem> {
    let doc = Doc::parse(raw).map_err(|_| MALFORMED)?;
    let next = doc.root().items().find(|link| link.str_at("relation").as_deref() == Some("next"));
    let Some(url) = next.and_then(|link| link.str_at("url")) else { return Ok(None) };
    let target = upstream.target_of_link(&url)?;
    // Nothing that a URL parser would undo: no dot segment, plain or encoded, no turned slash.
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'$'));
    if !plain || path.split('/').any(|segment| segment == ".." || segment == ".") {
        return Err(UpstreamError::ForeignLink.into());
    }
    Ok(Some(target.to_owned()))
}
