//! One line of the table: what is ours, what is beside it, what was to be reached.

use super::samples::Quantity;

/// Where the figure beside ours comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Measured in turn with ours.
    SameRun,
    /// Quoted; measured by others elsewhere.
    Published,
}

/// What ours is compared with.
#[derive(Debug, Clone)]
pub struct Beside {
    /// Its name.
    pub name: String,
    /// Its figure.
    pub figure: Quantity,
    /// Where that comes from.
    pub source: Source,
}

impl Beside {
    /// A peer that was measured in turn with ours.
    #[must_use]
    pub fn measured(name: &str, figure: Quantity) -> Self {
        Self { name: name.to_owned(), figure, source: Source::SameRun }
    }

    /// A figure that others published.
    #[must_use]
    pub fn published(name: &str, figure: Quantity) -> Self {
        Self { name: name.to_owned(), figure, source: Source::Published }
    }
}

/// Whether a goal is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Met,
    /// It is not.
    Missed,
    /// The line has no goal of its own.
    NoGoal,
}

impl Verdict {
    /// Met where the condition holds.
    #[must_use]
    pub const fn when(holds: bool) -> Self {
        if holds { Self::Met } else { Self::Missed }
    }

    /// The word in the table.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "NOT met",
            Self::NoGoal => "–",
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Line {
    /// The row of the numbers that it belongs to.
    pub row: u8,
    /// What was measured.
    pub what: String,
    /// Our figure.
    pub ours: Quantity,
    /// What it is compared with.
    pub beside: Option<Beside>,
    /// The goal, in words.
    pub goal: String,
    /// Whether it is met.
    pub verdict: Verdict,
    /// What must be known to read the figure.
    pub note: String,
}

impl Line {
    /// A line without peer, goal or note.
    #[must_use]
    pub fn new(row: u8, what: impl Into<String>, ours: Quantity) -> Self {
        Self {
            row,
            what: what.into(),
            ours,
            beside: None,
            goal: "–".to_owned(),
            verdict: Verdict::NoGoal,
            note: String::new(),
        }
    }

    /// With what it is compared with.
    #[must_use]
    pub fn beside(self, beside: Beside) -> Self {
        Self { beside: Some(beside), ..self }
    }

    /// With its goal and whether that is met.
    #[must_use]
    pub fn goal(self, goal: impl Into<String>, met: bool) -> Self {
        Self { goal: goal.into(), verdict: Verdict::when(met), ..self }
    }

    /// With what must be known to read it.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// Ours divided by what is beside it.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let beside = self.beside.as_ref()?;
        (beside.figure.median > 0.0).then(|| self.ours.median / beside.figure.median)
    }
}

/// What a row came to: lines, or why there are none.
pub type Measured = anyhow::Result<Vec<Line>>;
