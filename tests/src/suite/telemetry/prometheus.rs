//! A strict reader of the Prometheus text format 0.0.4: what it takes every scraper takes.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

/// The labels of a sample, by name.
type Labels = BTreeMap<String, String>;

/// A page of metrics.
#[derive(Debug, Default)]
pub(super) struct Page {
    kinds: BTreeMap<String, String>,
    samples: Vec<(String, Labels, f64)>,
}

impl Page {
    /// Reads a page: each family has help and a known type before its samples, no sample stands twice, and histograms add up.
    pub(super) fn read(text: &str) -> Result<Self> {
        ensure!(text.ends_with('\n'), "the last line is not ended");
        let mut page = Self::default();
        let mut helped: Option<&str> = None;
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split_once(' ').map(|(name, _)| name);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').with_context(|| format!("half a type: {line}"))?;
                ensure!(helped == Some(name), "{name} has no help");
                ensure!(["counter", "gauge", "histogram"].contains(&kind), "{name}: {kind}");
                ensure!(page.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} stands twice");
            } else {
                page.sample(line).with_context(|| format!("the line {line}"))?;
            }
        }
        page.histograms()?;
        Ok(page)
    }

    /// The sum of all samples of this name.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.samples.iter().filter(|sample| sample.0 == name).map(|sample| sample.2).sum()
    }

    /// The type of a family.
    pub(super) fn kind(&self, family: &str) -> Option<&str> {
        self.kinds.get(family).map(String::as_str)
    }

    fn sample(&mut self, line: &str) -> Result<()> {
        let (series, value) = line.rsplit_once(' ').context("no value")?;
        let value: f64 = value.replace("+Inf", "inf").parse()?;
        ensure!(value.is_finite(), "a value that is no number");
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, labels(rest)?),
            None => (series, Labels::new()),
        };
        let well = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':');
        ensure!(!name.is_empty() && well(name), "a name of other characters");
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|ending| name.strip_suffix(ending))
            .find(|family| self.kind(family) == Some("histogram"));
        let kind = self.kind(family.unwrap_or(name)).context("a sample without a type")?;
        ensure!(kind != "counter" || value >= 0.0, "a counter below zero");
        ensure!(!self.samples.iter().any(|other| other.0 == name && other.1 == labels), "it stands twice");
        self.samples.push((name.to_owned(), labels, value));
        Ok(())
    }

    /// Buckets rise, and the last holds as many as the count says.
    fn histograms(&self) -> Result<()> {
        for (family, _) in self.kinds.iter().filter(|(_, kind)| kind.as_str() == "histogram") {
            let counts = self.samples.iter().filter(|sample| sample.0 == format!("{family}_count"));
            for (_, labels, count) in counts {
                let without_bound = |other: &Labels| {
                    let mut other = other.clone();
                    other.remove("le");
                    other == *labels
                };
                let mut buckets = Vec::new();
                for (name, of, value) in &self.samples {
                    if *name == format!("{family}_bucket") && without_bound(of) {
                        let bound: f64 =
                            of.get("le").context("a bucket without bound")?.replace("+Inf", "inf").parse()?;
                        buckets.push((bound, *value));
                    }
                }
                ensure!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{family}: buckets that do not rise");
                ensure!(buckets.last() == Some(&(f64::INFINITY, *count)), "{family}: the last bucket is not the count");
            }
        }
        Ok(())
    }
}

/// `a="b",c="d"}` with the escapes `\\`, `\"` and `\n`.
fn labels(text: &str) -> Result<Labels> {
    let mut labels = Labels::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().context("a value without end")? {
                (at, '"') => break at,
                (_, '\\') => match characters.next().context("half an escape")?.1 {
                    'n' => value.push('\n'),
                    other @ ('\\' | '"') => value.push(other),
                    other => bail!("an escape of {other}"),
                },
                (_, other) => value.push(other),
            }
        };
        ensure!(labels.insert(name.trim_start_matches(',').to_owned(), value).is_none(), "a label stands twice");
        rest = after.get(end + 1..).context("half a value")?;
    }
    ensure!(rest == "}", "labels end with {rest}");
    Ok(labels)
}
