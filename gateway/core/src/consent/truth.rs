//! Three-valued logic (Kleene's): what is unknown never satisfies a permit and always satisfies a deny.

use super::Effect;

/// Whether a stated element matches a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It matches for certain.
    True,
    /// It does not match for certain.
    False,
    /// It cannot be told.
    Unknown,
}

impl Truth {
    /// Conjunction.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            (Self::Unknown, Self::True | Self::Unknown) | (Self::True, Self::Unknown) => Self::Unknown,
        }
    }

    /// Disjunction.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::False, Self::False) => Self::False,
            (Self::Unknown, Self::False | Self::Unknown) | (Self::False, Self::Unknown) => Self::Unknown,
        }
    }

    /// The disjunction of many; of none, `False`.
    pub fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().fold(Self::False, Self::or)
    }

    /// Whether a provision of this effect, matching so, takes part (CONSENT.md, "Matching is three-valued").
    pub fn satisfies(self, effect: Effect) -> bool {
        match (effect, self) {
            (_, Self::True) | (Effect::Deny, Self::Unknown) => true,
            (_, Self::False) | (Effect::Permit, Self::Unknown) => false,
        }
    }
}

impl From<bool> for Truth {
    fn from(known: bool) -> Self {
        if known { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests;
