//! What the collector received, out of the text that it prints.

use std::collections::BTreeMap;

/// A span.
#[derive(Debug, Clone, Default)]
pub(super) struct Span {
    /// `service.name` of the resource that it stands under.
    pub(super) service: String,
    /// 32 hex digits.
    pub(super) trace: String,
    /// 16 hex digits; empty for a root.
    pub(super) parent: String,
    /// 16 hex digits.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// `SPAN_KIND_…`.
    pub(super) kind: String,
    /// Its attributes, as they are printed: `Str(…)`.
    pub(super) attributes: BTreeMap<String, String>,
}

/// All spans, in the order of their arrival.
pub(super) fn spans(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let (mut service, mut inside) = (String::new(), false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("ResourceSpans #") || line.starts_with("ResourceMetrics #") {
            (service, inside) = (String::new(), false);
        } else if line.starts_with("Span #") {
            spans.push(Span { service: service.clone(), ..Span::default() });
            inside = true;
        } else if let Some((name, value)) = line.strip_prefix("-> ").and_then(|line| line.split_once(": ")) {
            let value = value.to_owned();
            match spans.last_mut().filter(|_| inside) {
                Some(span) => drop(span.attributes.insert(name.to_owned(), value)),
                None if name == "service.name" => service = text_of(&value),
                None => {}
            }
        } else if let (true, Some(span), Some((name, value))) = (inside, spans.last_mut(), line.split_once(':')) {
            let value = value.trim().to_owned();
            match name.trim() {
                "Trace ID" => span.trace = value,
                "Parent ID" => span.parent = value,
                "ID" => span.id = value,
                "Name" => span.name = value,
                "Kind" => span.kind = value,
                _ => {}
            }
        }
    }
    spans
}

/// The names of the metrics that arrived.
pub(super) fn metric_names(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim) {
        inside = line.starts_with("Metric #") || inside && !line.starts_with("ResourceSpans #");
        if let (true, Some(name)) = (inside, line.strip_prefix("-> Name: ")) {
            names.push(name.to_owned());
        }
    }
    names
}

/// `text` out of `Str(text)`.
fn text_of(value: &str) -> String {
    value.strip_prefix("Str(").and_then(|value| value.strip_suffix(')')).unwrap_or(value).to_owned()
}
