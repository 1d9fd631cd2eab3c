//! The versions of FHIR whose Consents and resources can be decided on.

use serde::{Deserialize, Serialize};

/// A version of FHIR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FhirVersion {
    /// 4.0.1.
    #[default]
    R4,
    /// 4.3.0.
    R4B,
    /// 5.0.0.
    R5,
}
