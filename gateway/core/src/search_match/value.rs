//! The values of a search parameter: alternatives between commas, with FHIR's escapes (FHIR R4, "Escaping Search
//! Parameters").

use super::Unsupported;

/// One alternative: its characters, and which of them were escaped and so separate nothing.
pub(super) struct Alternative(Vec<(char, bool)>);

/// Splits a value at its commas and reads each alternative; none may be empty.
pub(super) fn each<T>(
    value: &str,
    read: impl Fn(&Alternative) -> Result<T, Unsupported>,
) -> Result<Vec<T>, Unsupported> {
    let mut alternatives = vec![Alternative(Vec::new())];
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let next = match character {
            ',' => {
                alternatives.push(Alternative(Vec::new()));
                continue;
            }
            '\\' => match characters.next() {
                Some(escaped @ (',' | '|' | '$' | '\\')) => (escaped, true),
                _ => return Err(Unsupported),
            },
            plain => (plain, false),
        };
        alternatives.last_mut().ok_or(Unsupported)?.0.push(next);
    }
    alternatives
        .iter()
        .map(|alternative| if alternative.0.is_empty() { Err(Unsupported) } else { read(alternative) })
        .collect()
}

impl Alternative {
    /// The parts between unescaped `|`. An unescaped `$` belongs to composites, which are not supported.
    pub(super) fn parts(&self) -> Result<Vec<String>, Unsupported> {
        let mut parts = vec![String::new()];
        for (character, escaped) in &self.0 {
            match (character, escaped) {
                ('$', false) => return Err(Unsupported),
                ('|', false) => parts.push(String::new()),
                (character, _) => parts.last_mut().ok_or(Unsupported)?.push(*character),
            }
        }
        Ok(parts)
    }
}

/// A value without parts.
pub(super) fn plain(alternative: &Alternative) -> Result<String, Unsupported> {
    let mut parts = alternative.parts()?.into_iter();
    match (parts.next(), parts.next()) {
        (Some(whole), None) => Ok(whole),
        _ => Err(Unsupported),
    }
}

/// A URI, whose `|` names a version.
pub(super) fn uri(alternative: &Alternative) -> Result<String, Unsupported> {
    Ok(alternative.parts()?.join("|"))
}

/// `true` or `false`, and nothing else.
pub(super) fn boolean(value: &str) -> Result<bool, Unsupported> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Unsupported),
    }
}
