//! The end-to-end tests: each a name, what it needs, and an async function over the one shared [`Stack`].

pub mod harness;
pub mod runner;

use std::pin::Pin;

use anyhow::Result;

use crate::harness::stack::Stack;

/// What a test's function gives back.
pub type Verdict<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// What a test needs beyond FHIR server, chain and issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing.
    Peers,
    /// The sidecar.
    Sidecar,
    /// Sidecar and gateway.
    Gateway,
}

/// One end-to-end test.
pub struct Test {
    /// `area::what_holds`; filters look for a part of it.
    pub name: &'static str,
    /// What it needs beyond FHIR server, chain and issuer.
    pub needs: Needs,
    /// The test: it fails by its error, and is skipped where that error is a [`Skip`].
    pub run: for<'a> fn(&'a mut Stack) -> Verdict<'a>,
}

/// The error of a test that cannot be made here; the sentence says what is missing.
#[derive(Debug)]
pub struct Skip(pub String);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// A test out of an async function over `&mut Stack`: `test!(area::function, Peers)`; the last word is what it [`Needs`].
macro_rules! test {
    ($area:ident :: $function:ident, $needs:ident) => {
        $crate::suite::Test {
            name: concat!(stringify!($area), "::", stringify!($function)),
            needs: $crate::suite::Needs::$needs,
            run: |stack| Box::pin($area::$function(stack)),
        }
    };
}
/// All of them, in the order in which they run.
#[must_use]
pub fn tests() -> Vec<Test> {
    vec![
        test!(harness::fhir_server_answers_with_its_own_base, Peers),
        test!(harness::demo_data_is_there, Peers),
        test!(harness::searches_count_what_was_loaded, Peers),
        test!(harness::writes_are_seen_by_the_next_search, Peers),
        test!(harness::chain_mines_and_finalises, Peers),
        test!(harness::issuer_signs_by_every_algorithm, Peers),
        test!(harness::issuer_rotates_and_fails_on_demand, Peers),
        test!(harness::collector_takes_traces, Peers),
        test!(harness::sidecar_survives_a_crash, Sidecar),
    ]
}
