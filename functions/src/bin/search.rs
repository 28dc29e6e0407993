//! `aquifer-search`: the function that answers searches. It reads, takes no lock and needs no permission to write.

use std::process::ExitCode;
use std::sync::Arc;

use aquifer_functions::lambda::environment::Environment;
use aquifer_functions::lambda::front::Front;
use aquifer_functions::lambda::role::Role;
use aquifer_functions::lambda::run;
use aquifer_indexer::reindex::NoSources;

fn main() -> ExitCode {
    run::function(|| {
        let environment = Environment::read()?;
        let sources = Arc::new(NoSources);
        let front = Arc::new(Front::new(environment, Role::Search, sources, None));
        Ok(move |event| {
            let front = Arc::clone(&front);
            async move { front.answer(event).await }
        })
    })
}
