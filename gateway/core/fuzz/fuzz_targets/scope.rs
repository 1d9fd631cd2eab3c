//! Any claim parses, and what it does not say it does not grant.
#![no_main]

use gateway_core::resource_type::ResourceType;
use gateway_core::scope::{Letter, ScopeGrant, Scopes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|claim: &str| {
    let scopes = Scopes::parse(claim);
    for letter in [Letter::Create, Letter::Read, Letter::Update, Letter::Delete, Letter::Search] {
        let grant = scopes.allows(letter, &ResourceType::PATIENT);
        let plain = |context| {
            let about = |scope: &&str| {
                !scope.contains('?')
                    && (scope.starts_with(&format!("{context}/Patient."))
                        || scope.starts_with(&format!("{context}/*.")))
            };
            claim.split(' ').any(|scope| about(&scope))
        };
        match grant {
            ScopeGrant::None => {}
            ScopeGrant::PatientOnly => assert!(plain("patient")),
            ScopeGrant::All => assert!(plain("user") || plain("system")),
        }
    }
});
