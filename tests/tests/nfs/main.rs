//! The promise on a real NFSv4.1 mount: several kernels, one server, faults.
//!
//! Each story runs in a lab of its own ([`aquifer_tests::lab`]), on the servers where it makes a difference. They need
//! root on Debian; elsewhere they are skipped, which counts as a failure where `CI` is set.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test does not expect is to fail it"
)]

mod account;
mod asleep;
mod assumptions;
mod collected;
mod counts;
mod crowd;
mod doctor;
mod full;
mod hard_links;
mod lost_reply;
mod merges;
mod recreated;
mod restart;
mod scene;
mod stale;
mod two_writers;
mod unlinked;
mod visible;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use aquifer_tests::lab::{Setting, namespace};
use libtest_mimic::{Arguments, Failed, Trial};

/// Stories at once, unless `--test-threads` says otherwise: most of their time they wait for a lease to end.
const AT_ONCE: usize = 3;

/// A story that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(40 * 60);

/// A story, and the settings it runs in.
struct Story {
    name: &'static str,
    settings: &'static [Setting],
    tell: fn(Setting),
}

const BOTH: &[Setting] = &[Setting::GANESHA, Setting::KERNEL];
/// Stories in which something is published while others write or read run on a mount without locks too.
const ALL: &[Setting] = &[Setting::GANESHA, Setting::KERNEL, Setting::GANESHA_NOLOCK];

/// `module::function`, and the settings it runs in.
macro_rules! stories {
    ($($module:ident::$function:ident on $settings:expr,)*) => {
        &[$(Story {
            name: concat!(stringify!($module), "::", stringify!($function)),
            settings: $settings,
            tell: $module::$function,
        },)*]
    };
}

const STORIES: &[Story] = stories! {
    assumptions::hold_on_the_mount on BOTH,
    assumptions::a_lock_is_lost_without_a_word on BOTH,
    doctor::finds_a_mount_well_from_one_machine_and_from_two on BOTH,
    doctor::finds_locks_that_stay_on_one_machine on &[Setting::GANESHA_NOLOCK],
    visible::what_was_acknowledged_is_found_by_the_next_search_of_every_reader on ALL,
    asleep::frozen_while_it_posts on ALL,
    asleep::cut_off_while_it_posts on ALL,
    asleep::killed_while_it_posts on ALL,
    asleep::frozen_while_it_merges on ALL,
    asleep::cut_off_while_it_merges on ALL,
    asleep::killed_while_it_merges on ALL,
    asleep::frozen_while_it_reindexes on ALL,
    asleep::cut_off_while_it_reindexes on ALL,
    asleep::killed_while_it_reindexes on ALL,
    recreated::while_its_deleter_is_frozen on ALL,
    recreated::while_its_deleter_is_cut_off on ALL,
    two_writers::both_make_progress_in_one_history on ALL,
    lost_reply::the_nonce_decides on ALL,
    lost_reply::an_index_is_created_and_deleted_once on ALL,
    merges::under_load_and_faults on ALL,
    collected::a_reader_that_was_frozen_across_it_answers_right on ALL,
    collected::searches_that_it_respects_never_fail on ALL,
    hard_links::are_not_needed on &[Setting::GANESHA],
    unlinked::a_version_is_read_without_its_link_and_without_its_manifest on ALL,
    stale::files_are_unlinked_and_the_server_restarts on BOTH,
    stale::files_are_unlinked_and_the_lease_ends on BOTH,
    restart::under_load on ALL,
    full::posts_are_refused_and_searches_go_on on BOTH,
    crowd::twenty_on_one_machine on BOTH,
    crowd::on_eight_machines on BOTH,
    counts::posts_and_refreshes on BOTH,
    counts::a_cold_open_and_its_first_query on &[Setting::GANESHA],
};

fn main() -> ExitCode {
    match namespace::story() {
        Some(title) => tell(&title),
        None => plan(),
    }
}

/// Inside its namespaces: one story.
fn tell(title: &str) -> ExitCode {
    namespace::end_with_parent();
    std::thread::spawn(|| {
        std::thread::sleep(PATIENCE);
        eprintln!("the story hangs: it is ended");
        std::process::exit(1);
    });
    let told = titles().find(|(known, ..)| known == title);
    let (_, story, setting) = told.unwrap_or_else(|| panic!("there is no story {title}"));
    (story.tell)(setting);
    ExitCode::SUCCESS
}

/// Outside: a test for each story and setting.
fn plan() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(AT_ONCE));
    let missing = namespace::missing();
    if let Some(missing) = &missing {
        println!("no NFS lab here, its stories are skipped: {missing}");
        if env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false") {
            eprintln!("where CI is set, that is a failure");
            return ExitCode::FAILURE;
        }
    }
    let trials = titles().map(|(title, ..)| {
        let own = title.clone();
        let run = move || {
            let told = namespace::enter(&own).map_err(Failed::from)?;
            // Others are told at the same time.
            told.lines().for_each(|line| println!("{own}: {line}"));
            Ok(())
        };
        Trial::test(title, run).with_ignored_flag(missing.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn titles() -> impl Iterator<Item = (String, &'static Story, Setting)> {
    STORIES.iter().flat_map(|story| {
        let titled = move |&setting| (format!("{}::{setting}", story.name), story, setting);
        story.settings.iter().map(titled)
    })
}
