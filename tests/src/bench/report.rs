//! The table, on the terminal and in `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Outcome;
use super::line::{Line, Source};
use crate::harness::workspace;

const BEGIN: &str = "<!-- measured: begin (written by cargo bench-all) -->";
const END: &str = "<!-- measured: end -->";

/// Everything that a run found, as Markdown.
#[must_use]
pub fn markdown(facts: &[(&'static str, String)], outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for (name, value) in facts {
        let _ = writeln!(text, "- {name}: {value}");
    }
    text.push_str("\n| # | what | ours | beside it | ours ÷ theirs | goal | |\n|---|---|---|---|---|---|---|\n");
    let mut notes = Vec::new();
    for outcome in outcomes {
        match &outcome.lines {
            Ok(lines) => {
                for line in lines {
                    let _ = writeln!(text, "{}", table_line(line, &mut notes));
                }
            }
            Err(why) => {
                let numbers: Vec<String> = outcome.numbers.iter().map(ToString::to_string).collect();
                let _ = writeln!(
                    text,
                    "| {} | {} | not measured: {} | | | | |",
                    numbers.join(", "),
                    outcome.what,
                    cell(why)
                );
            }
        }
    }
    text.push_str(
        "\nIn brackets the lowest and the highest round; *italics*: published by others, measured elsewhere.\n",
    );
    for (at, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", at + 1);
    }
    text
}

fn table_line(line: &Line, notes: &mut Vec<String>) -> String {
    let beside = line.beside.as_ref().map_or_else(String::new, |beside| match beside.source {
        Source::SameRun => format!("{}: {}", beside.name, beside.figure.shown()),
        Source::Published => format!("*{}: {}*", beside.name, beside.figure.shown()),
    });
    let ratio = line.ratio().map_or_else(String::new, |ratio| match ratio {
        small if small < 0.01 => format!("{small:.4}"),
        large if large >= 100.0 => format!("{large:.0}"),
        ratio => format!("{ratio:.2}"),
    });
    let mark = if line.note.is_empty() {
        String::new()
    } else {
        let known = notes.iter().position(|note| *note == line.note);
        let at = known.unwrap_or_else(|| {
            notes.push(line.note.clone());
            notes.len() - 1
        });
        format!(" ({})", at + 1)
    };
    format!(
        "| {} | {}{mark} | {} | {beside} | {ratio} | {} | {} |",
        line.row,
        line.what,
        line.ours.shown(),
        line.goal,
        line.verdict.word()
    )
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Puts what was measured into `docs/benchmarks.md`; what people wrote around it stays.
///
/// # Errors
/// When the file is not there, has no place for it, or cannot be written.
pub fn keep(measured: &str) -> Result<PathBuf> {
    let path = workspace::root()?.join("docs/benchmarks.md");
    let page = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    workspace::replace(&path, replaced(&page, measured).context("docs/benchmarks.md has lost its marks")?.as_bytes())?;
    Ok(path)
}

fn replaced(page: &str, measured: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{measured}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::line::Beside;
    use crate::bench::samples::{Quantity, Unit};

    #[test]
    fn a_line_says_everything() {
        let ours = Quantity::of(Unit::PerSecond, &[300_000.0]).unwrap();
        let theirs = Quantity::published(Unit::PerSecond, 12_000.0);
        let line = Line::new(9, "adds", ours)
            .beside(Beside::published("Tessera", theirs))
            .goal("≥ 150,000/s", true)
            .note("why");
        let mut notes = vec!["another".to_owned()];
        assert_eq!(
            table_line(&line, &mut notes),
            "| 9 | adds (2) | 300,000/s | *Tessera: 12,000/s* | 25.00 | ≥ 150,000/s | met |"
        );
        assert_eq!(table_line(&line, &mut notes).matches("(2)").count(), 1, "equal notes stand once");
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb");
        assert_eq!(replaced(&page, "new"), Some(format!("a\n{BEGIN}\nnew\n{END}\nb")));
        assert_eq!(replaced("no marks", "new"), None);
    }
}
