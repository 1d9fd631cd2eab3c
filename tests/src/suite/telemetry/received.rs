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
    /// The traces that it links to.
    pub(super) links: Vec<String>,
}

/// A line that begins what belongs to one resource.
fn begins_resource(line: &str) -> bool {
    ["ResourceSpans #", "ResourceMetrics #", "ResourceLog #", "ResourceLogs #"]
        .iter()
        .any(|what| line.starts_with(what))
}

/// All spans, in the order of their arrival.
pub(super) fn spans(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let (mut service, mut inside) = (String::new(), false);
    for line in text.lines().map(str::trim) {
        if begins_resource(line) {
            (service, inside) = (String::new(), false);
        } else if line.starts_with("Span #") {
            spans.push(Span { service: service.clone(), ..Span::default() });
            inside = true;
        } else if let Some((name, value)) = line.strip_prefix("-> ").and_then(|line| line.split_once(": ")) {
            let value = value.to_owned();
            if let ("Trace ID", Some(span)) = (name, spans.last_mut().filter(|_| inside)) {
                span.links.push(value);
                continue;
            }
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
        inside = line.starts_with("Metric #") || inside && !begins_resource(line);
        if let (true, Some(name)) = (inside, line.strip_prefix("-> Name: ")) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The log lines that arrived: the service, and what was said.
pub(super) fn log_lines(text: &str) -> Vec<(String, String)> {
    let (mut service, mut inside) = (String::new(), false);
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        if begins_resource(line) {
            (service, inside) = (String::new(), false);
        } else if line.starts_with("LogRecord #") {
            inside = true;
        } else if let (false, Some(name)) = (inside, line.strip_prefix("-> service.name: ")) {
            service = text_of(name);
        } else if let (true, Some(body)) = (inside, line.strip_prefix("Body: ")) {
            lines.push((service.clone(), text_of(body)));
        }
    }
    lines
}

/// `text` out of `Str(text)`.
fn text_of(value: &str) -> String {
    value.strip_prefix("Str(").and_then(|value| value.strip_suffix(')')).unwrap_or(value).to_owned()
}
