//! The list of all rules.

use super::{
    Check, Rule, batches, counts, deletes, folder, jobs, keys, marks, references, retired,
    segments, succession,
};

macro_rules! rule {
    ($number:literal, $kind:ident, $module:ident::$name:ident) => {
        Rule {
            number: $number,
            name: stringify!($name),
            file: concat!("src/invariants/", stringify!($module), ".rs"),
            check: Check::$kind($module::$name),
        }
    };
}

/// Every rule, in the order of the invariants.
pub const RULES: &[Rule] = &[
    rule!("I1", Step, succession::follows_its_base),
    rule!("I1", Version, succession::only_the_first_creates),
    rule!("I3", Version, references::refers_to_what_exists),
    rule!("I3", Version, references::sections_lie_in_their_file),
    rule!("I3", Step, references::takes_over_only_what_its_base_uses),
    rule!("I4", Past, marks::names_its_successor),
    rule!("I4", Past, marks::the_newest_version_is_linked),
    rule!("I5", Past, marks::builds_on_an_announced_version),
    rule!(
        "I7",
        Step,
        batches::names_only_what_it_applies_or_its_base_left
    ),
    rule!("I7", Folder, folder::applied_batches_that_remain_are_named),
    rule!("I8", Past, batches::applies_each_batch_once),
    rule!("I9", Step, counts::a_commit_adds_up),
    rule!("I9", Keys, keys::each_key_is_there_once),
    rule!("I10", Version, retired::ranges_are_sound),
    rule!("I10", Step, retired::unused_files_are_retired),
    rule!("I11", Step, retired::only_a_collection_counts_as_one),
    rule!("I12", Folder, folder::files_of_the_newest_version_exist),
    rule!("I13", Step, retired::a_commit_names_only_its_own_bundles),
    rule!("I13", Past, retired::no_file_returns),
    rule!("I14", Step, counts::maintenance_keeps_every_document),
    rule!("I15", Version, references::files_lie_in_pages),
    rule!("I18", Step, succession::one_definition_in_a_lineage),
    rule!("I19", Step, jobs::touched_keys_are_named),
    rule!("I20", Step, jobs::a_checkpoint_follows_its_base),
    rule!("I20", Step, jobs::ended_jobs_are_remembered),
    rule!("I21", Folder, folder::files_of_the_job_exist),
    rule!("I22", Step, counts::a_rebuild_keeps_every_document),
    rule!("I23", Step, counts::records_are_kept),
    rule!("I26", Step, succession::counters_never_go_back),
    rule!("I27", Version, segments::deletes_are_counted),
    rule!("I27", Step, segments::kept_segments_only_lose_documents),
    rule!("I27", Deletes, deletes::deletes_only_grow),
    rule!("I28", Step, succession::nothing_follows_a_deletion),
];
