//! The end-to-end tests: each a name, what it needs, and an async function over the one shared [`Stack`].

mod able;
mod audit_feed;
mod backup;
mod bad_bodies;
mod bad_input;
mod batches;
mod chains;
mod channels;
mod chart;
mod compartment;
mod conditional;
mod crash;
mod demo_upstream;
mod drain;
mod explain;
mod faulty;
mod forwarder;
mod fresh;
mod glass;
mod granular;
pub mod harness;
mod history;
mod images;
pub mod leaks;
mod mutual_tls;
mod operations;
mod outages;
mod pages;
mod paging;
mod patches;
mod permitted;
mod reload;
mod replay;
pub mod runner;
mod shadow;
mod stranger;
pub mod telemetry;
mod told;
mod transactions;
mod trim;
mod twin;
mod us_core;
mod us_core_table;
mod wrong_answers;
mod wrong_histories;
mod wrong_writes;

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
        test!(images::run_in_an_empty_root, Peers),
        test!(leaks::hidden_reads_as_absent, Gateway),
        test!(leaks::deleted_reads_as_absent, Gateway),
        test!(leaks::hidden_searches_as_absent, Gateway),
        test!(leaks::small_pages_tell_nothing, Gateway),
        test!(leaks::small_pages_hold_everything, Gateway),
        test!(leaks::redacted_elements_are_not_searchable, Gateway),
        test!(leaks::old_versions_keep_new_labels, Gateway),
        test!(leaks::hidden_targets_of_a_provenance, Gateway),
        test!(leaks::includes_of_hidden_matches, Gateway),
        test!(leaks::unreadable_is_hidden, Gateway),
        test!(leaks::too_large_is_absent, Gateway),
        test!(leaks::too_many_consents_hide, Gateway),
        test!(leaks::hidden_targets_are_on_record, Gateway),
        test!(leaks::includes_follow_their_parameter, Gateway),
        test!(leaks::unreadable_targets_hide, Gateway),
        test!(leaks::revocation_between_pages, Gateway),
        test!(leaks::denials_are_on_record, Gateway),
        test!(leaks::hidden_writes_as_absent, Gateway),
        test!(leaks::writable_but_hidden, Gateway),
        test!(leaks::nobody_joins_an_organization, Gateway),
        test!(leaks::labels_of_elements_stay, Gateway),
        test!(leaks::redacted_images_stay, Gateway),
        test!(leaks::foreign_binaries_stay_closed, Gateway),
        test!(leaks::consents_of_others, Gateway),
        test!(leaks::creates_that_point_at_hidden, Gateway),
        test!(leaks::creates_that_point_at_visible, Gateway),
        test!(leaks::documents_bring_their_entries, Gateway),
        test!(leaks::updates_that_point_at_hidden, Gateway),
        test!(leaks::writers_without_read, Gateway),
        test!(leaks::references_are_bounded, Gateway),
        test!(leaks::a_patient_who_forbade_all_speaks_again, Gateway),
        test!(leaks::records_stay_with_their_patient, Gateway),
        test!(leaks::labels_stay, Gateway),
        test!(leaks::conditions_tell_nothing, Gateway),
        test!(leaks::ids_of_creates_tell_nothing, Gateway),
        test!(leaks::foundations_are_not_written, Gateway),
        test!(leaks::consents_for_others_in_disguise, Gateway),
        test!(leaks::hidden_records_are_not_relabelled, Gateway),
        test!(channels::every_channel_keeps_its_rule, Gateway),
        test!(granular::filters_mean_what_the_server_means, Gateway),
        test!(granular::hidden_by_a_filter_is_absent, Gateway),
        test!(granular::includes_match_and_what_covers_all_hides_nothing, Gateway),
        test!(granular::writes_match_before_and_after, Gateway),
        test!(granular::filters_never_lose_a_part, Gateway),
        test!(patches::what_is_decided_is_stored, Gateway),
        test!(patches::hidden_patches_as_absent, Gateway),
        test!(patches::tests_tell_nothing_of_what_is_redacted, Gateway),
        test!(patches::patches_are_guarded_as_updates, Gateway),
        test!(batches::entries_answer_as_alone, Gateway),
        test!(batches::hidden_entries_as_absent, Gateway),
        test!(transactions::transactions_are_stored_whole, Gateway),
        test!(transactions::one_refusal_refuses_all, Gateway),
        test!(transactions::bodies_of_creates_name_nothing, Gateway),
        test!(transactions::registrars_bring_records, Gateway),
        test!(batches::batches_are_bounded, Gateway),
        test!(conditional::creates_find_what_is_visible, Gateway),
        test!(conditional::creates_wait_for_one_another, Gateway),
        test!(conditional::changes_find_what_is_visible, Gateway),
        test!(conditional::criteria_are_checked, Gateway),
        test!(conditional::reads_since_a_date, Gateway),
        test!(conditional::registrars_create_patients, Gateway),
        test!(trim::trimmed_as_the_server_trims, Gateway),
        test!(trim::trimming_opens_nothing, Gateway),
        test!(trim::counts_count_what_is_visible, Gateway),
        test!(trim::every_page_is_trimmed, Gateway),
        test!(chains::chains_find_what_the_server_finds, Gateway),
        test!(chains::hidden_joins_as_absent, Gateway),
        test!(chains::steps_are_limited, Gateway),
        test!(chains::hidden_is_no_bridge, Gateway),
        test!(history::equal_where_nothing_is_hidden, Gateway),
        test!(history::a_patient_sees_her_own, Gateway),
        test!(history::hidden_answers_as_absent, Gateway),
        test!(history::labels_reach_every_version, Gateway),
        test!(history::deletions_are_told_of_what_was_visible, Gateway),
        test!(history::owners_change_between_versions, Gateway),
        test!(history::hidden_writes_between_pages_tell_nothing, Gateway),
        test!(history::redacted_in_every_version, Gateway),
        test!(history::scopes_decide_by_level, Gateway),
        test!(history::parameters_are_checked, Gateway),
        test!(history::versions_are_on_record, Gateway),
        test!(compartment::by_type_it_is_its_searches, Gateway),
        test!(compartment::whole_it_is_its_types, Gateway),
        test!(compartment::hidden_is_as_empty_as_absent, Gateway),
        test!(compartment::everything_leaves_out_what_is_hidden, Gateway),
        test!(compartment::everything_is_everything, Gateway),
        test!(compartment::scopes_and_parameters, Gateway),
        test!(wrong_histories::histories_tell_of_nothing_else, Gateway),
        test!(wrong_histories::operations_bring_nothing_else, Gateway),
        test!(operations::meta_is_that_of_a_read, Gateway),
        test!(operations::validation_tells_of_nothing_hidden, Gateway),
        test!(operations::redacted_is_not_validated, Gateway),
        test!(operations::terminology_is_passed_on, Gateway),
        test!(operations::capabilities_name_what_is_served, Gateway),
        test!(bad_input::tokens_are_refused_for_their_reason, Gateway),
        test!(bad_input::requests_are_refused_by_name, Gateway),
        test!(bad_input::heads_and_queries_are_limited, Gateway),
        test!(bad_input::unserved_interactions_are_refused_by_name, Gateway),
        test!(bad_input::unknown_parameters_are_dropped_or_refused, Gateway),
        test!(bad_input::patient_scopes_need_their_patient, Gateway),
        test!(bad_bodies::nothing_bad_is_written, Gateway),
        test!(bad_bodies::broken_transfers_write_nothing, Gateway),
        test!(wrong_answers::resources_are_not_released, Gateway),
        test!(wrong_answers::bundles_are_not_released, Gateway),
        test!(wrong_answers::an_answer_that_fails_midway_is_aborted, Gateway),
        test!(wrong_writes::writes_end_on_record, Gateway),
        test!(wrong_writes::a_write_without_its_echo_is_complete, Gateway),
        test!(wrong_writes::updates_are_guarded_without_etag, Gateway),
        test!(wrong_answers::disguised_links_stay_under_the_base, Gateway),
        test!(wrong_answers::pages_that_never_end_are_given_up, Gateway),
        test!(wrong_answers::a_slow_request_is_on_record, Gateway),
        test!(outages::upstream_away_and_back, Gateway),
        test!(outages::consent_source_away_and_back, Gateway),
        test!(outages::keys_away_and_back, Gateway),
        test!(outages::sidecar_away_and_back, Gateway),
        test!(outages::chain_away_and_back, Gateway),
        test!(mutual_tls::the_right_certificates_work_to_the_end, Gateway),
        test!(mutual_tls::wrong_certificates_are_refused_and_told, Gateway),
        test!(outages::journal_full_and_freed, Gateway),
        test!(outages::journal_not_writable, Gateway),
        test!(outages::three_errors_of_a_configuration_are_all_reported, Peers),
        test!(reload::policies_change_without_a_restart, Gateway),
        test!(explain::what_is_told_is_what_is_done, Gateway),
        test!(explain::refusals_are_told_by_their_stage, Gateway),
        test!(replay::other_rules_differ_where_they_must, Gateway),
        test!(shadow::it_is_counted_and_changes_nothing, Gateway),
        test!(fresh::changes_past_the_gateway_bite, Gateway),
        test!(fresh::notifications_wake_the_watch, Gateway),
        test!(fresh::without_a_history_dates_are_asked_for, Gateway),
        test!(audit_feed::every_access_arrives_once, Gateway),
        test!(audit_feed::the_audit_is_enforced_too, Gateway),
        test!(audit_feed::outages_and_crashes_lose_and_double_nothing, Gateway),
        test!(audit_feed::a_delay_that_is_too_long_fails_readiness_where_wanted, Gateway),
        test!(crash::nothing_received_is_unrecorded, Gateway),
        test!(drain::requests_at_work_finish, Gateway),
        test!(backup::a_lost_journal_is_restored, Gateway),
        test!(backup::an_old_snapshot_is_caught, Gateway),
        test!(stranger::a_real_bundle_is_checked_without_our_programs, Gateway),
        test!(chart::a_release_passes_its_own_test, Sidecar),
        test!(us_core::searches_lose_nothing, Gateway),
        test!(us_core::only_addresses_are_rewritten, Gateway),
        test!(us_core::synthea_loses_nothing, Gateway),
        test!(us_core::many_included_are_not_lost, Gateway),
        test!(paging::one_patients_pages_are_exact, Gateway),
        test!(paging::many_patients_pages_have_no_total, Gateway),
        test!(paging::a_launch_patient_counts_as_named, Gateway),
        test!(paging::page_sizes_at_the_edge, Gateway),
        test!(paging::paging_links_are_the_callers_own, Gateway),
        test!(paging::paging_links_do_not_outlive_consent, Gateway),
        test!(paging::includes_stand_beside_their_match, Gateway),
        test!(glass::claims_are_refused_for_their_reason, Gateway),
        test!(glass::one_record_for_one_caller, Gateway),
        test!(glass::grants_end_by_themselves, Gateway),
        test!(glass::signalled_and_overridden, Gateway),
        test!(twin::hidden_parts_tell_nothing, Sidecar),
        test!(demo_upstream::a_server_that_is_there_is_served_and_left_alone, Peers),
        test!(telemetry::traces_and_metrics_reach_the_collector, Peers),
        test!(telemetry::a_requests_trace_shows_its_sequencing, Peers),
        test!(telemetry::metrics_can_be_scraped, Peers),
        test!(telemetry::nothing_of_a_patient_a_token_or_a_query_is_told, Peers),
        test!(telemetry::everything_promised_is_measured, Peers),
    ]
}
