//! `aquifer-search`: the function that answers searches. It reads, takes no lock and needs no permission to write.

use std::sync::Arc;

use anyhow::Result;
use aquifer_functions::lambda::environment::Environment;
use aquifer_functions::lambda::front::{Front, Role};
use aquifer_functions::lambda::{log, run};
use aquifer_indexer::reindex::NoSources;

fn main() -> Result<()> {
    log::start();
    let environment = Environment::read()?;
    let front = Arc::new(Front::new(
        environment,
        Role::Search,
        Arc::new(NoSources),
        None,
    ));
    run::run(move |event| {
        let front = Arc::clone(&front);
        async move { Ok(front.answer(event).await?) }
    })?;
    Ok(())
}
