//! An index that travels with the function that searches it, in an image or in a zip, and that nobody can write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aquifer_tests::Client;
use aquifer_tests::local_lambda::{Front, LocalLambda, READS, Routes, Trio, fetched};
use tempfile::TempDir;

use crate::packages::{Architecture, Packages, skip, source, unzip, write_program};

/// What a function and its layers may come to when they are unpacked.
const LAMBDA_MAX: u64 = 250 * 1024 * 1024;
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The packages for this machine, and a folder in which to work.
struct Workshop {
    packages: Packages,
    architecture: Architecture,
    folder: TempDir,
}

impl Workshop {
    #[track_caller]
    fn open() -> Option<Self> {
        let packages = Packages::given()?;
        let architectures = packages.architectures();
        let Some(&architecture) = architectures.iter().find(|one| one.is_native()) else {
            skip("there are no packages for the architecture of this machine");
            return None;
        };
        let folder = TempDir::new().unwrap();
        Some(Self {
            packages,
            architecture,
            folder,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The stage `index` of the Dockerfile: the samples, indexed.
    fn bake(&self) -> PathBuf {
        let baked = self.path("baked");
        run(Command::new(source("deploy/image/bake"))
            .arg(source("samples/http-status"))
            .arg(&baked)
            .env("AQUIFER", self.packages.program()));
        baked
    }

    /// A zip as docs/deploy/image.md makes it, unpacked as Lambda does it.
    fn zip_and_unzip(&self, entries: &[(&str, &Path)]) -> PathBuf {
        let zip = self.path("bundle.zip");
        let entry = |(name, path): &(&str, &Path)| format!("{name}={}", path.display());
        run(Command::new("python3")
            .arg(source("scripts/archive.py"))
            .arg("zip")
            .arg(&zip)
            .args(entries.iter().map(entry)));
        let task = self.path("task");
        unzip(&zip, &task);
        task
    }

    /// Searches in `root` by a program as Lambda starts it, on a machine on which `root` cannot be written.
    fn check(&self, root: &Path, program: &Path, variables: &[(&str, &str)]) {
        let emulator = match fetched() {
            Ok(emulator) => emulator,
            Err(missing) => return skip(&missing),
        };
        let [mut spec, ..] = Trio::default().specs(root, self.folder.path());
        spec.program = self.without_writing(root, program);
        spec.variables.remove("AQUIFER_REINDEX_FUNCTION");
        for (name, value) in variables {
            spec.variables
                .insert((*name).to_owned(), (*value).to_owned());
        }
        let lambda = LocalLambda::start(&emulator, vec![spec], RETRY_PAUSE);
        let only = || READS.to_owned();
        let routes = Routes {
            reads: only(),
            writes: only(),
            scheduled: only(),
        };
        let front = Front::HttpApi { stage: None };
        let url = lambda.open(front, routes, "127.0.0.1:0".parse().unwrap());
        let client = Client::new(&url.unwrap());

        let found = client.search(&[("q", "\"too many requests\"")]);
        assert_eq!(found["result"][0]["unique_key"], "429", "{found}");
        let japanese = client.search(&[("q", "認証")]);
        assert_eq!(japanese["result"][0]["unique_key"], "401-ja", "{japanese}");
        let posted = client.post("/documents", r#"{"unique_key":"418"}"#);
        assert!((400..500).contains(&posted.status), "{posted:?}");
        assert_eq!(lambda.tally(READS).failed, 0);
    }

    /// A program that mounts `root` read-only for itself alone and then becomes `program`. Permissions would not stop root.
    fn without_writing(&self, root: &Path, program: &Path) -> PathBuf {
        let user = if rustix::process::geteuid().is_root() {
            ""
        } else {
            "--user --map-root-user "
        };
        let script = format!(
            "exec unshare {user}--mount sh -ec '\n\
             mount --bind \"$1\" \"$1\"\n\
             mount -o remount,bind,ro \"$1\"\n\
             if touch \"$1/written\"; then exit 1; fi\n\
             exec \"$2\"' - '{}' '{}'",
            root.display(),
            program.display()
        );
        write_program(&self.path("without-writing"), &script)
    }
}

#[test]
fn an_image_serves_the_index_that_was_built_into_it() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let baked = workshop.bake();
    // As COPY does it: other inodes, no hard links.
    let image = workshop.path("image");
    run(Command::new("cp").arg("-r").arg(&baked).arg(&image));
    let task = workshop.path("task");
    fs::create_dir(&task).unwrap();
    let packages = &workshop.packages;
    let search = packages.bootstrap("search", workshop.architecture);
    fs::copy(search, task.join("aquifer-search")).unwrap();

    // The command of the image, and the folder, as the base image sets them.
    let variables = [
        ("_HANDLER", "search"),
        ("LAMBDA_TASK_ROOT", task.to_str().unwrap()),
    ];
    workshop.check(&image, &source("deploy/image/bootstrap"), &variables);
}

#[test]
fn a_zip_holds_the_function_and_its_index() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let packages = &workshop.packages;
    let search = packages.bootstrap("search", workshop.architecture);
    let task = workshop.zip_and_unzip(&[("index", &workshop.bake()), ("bootstrap", &search)]);
    assert!(bytes_below(&task) < LAMBDA_MAX);

    workshop.check(&task.join("index"), &task.join("bootstrap"), &[]);
}

#[test]
fn a_layer_serves_the_index_in_the_zip_of_its_function() {
    let Some(workshop) = Workshop::open() else {
        return;
    };
    let task = workshop.zip_and_unzip(&[("index", &workshop.bake())]);
    let packages = &workshop.packages;
    let layer = packages.bootstrap("search-layer", workshop.architecture);
    assert!(bytes_below(&task) + fs::metadata(&layer).unwrap().len() < LAMBDA_MAX);

    workshop.check(&task.join("index"), &layer, &[]);
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => bytes_below(&entry.path()),
            metadata => metadata.len(),
        })
        .sum()
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
