//! `aquifer-writer`: the function that takes documents, indexes events, and administers indexes. What would take too long it hands to
//! the reindex function.

use std::sync::Arc;

use anyhow::Result;
use aquifer_functions::lambda::environment::Environment;
use aquifer_functions::lambda::front::{Front, Role};
use aquifer_functions::lambda::handoff::{Handoff, LambdaHandoff};
use aquifer_functions::lambda::{log, run};

fn main() -> Result<()> {
    log::start();
    let environment = Environment::read()?;
    let reindex = environment.reindex_function.clone();
    let handoff = reindex.map(|name| Arc::new(LambdaHandoff::new(name)) as Arc<dyn Handoff>);
    let sources = Arc::new(environment.external_sources()?);
    let front = Front::new(
        environment,
        Role::Writer,
        Arc::clone(&sources) as _,
        handoff,
    );
    let front = Arc::new(front.with_objects(sources));
    run::run(move |event| {
        let front = Arc::clone(&front);
        async move { Ok(front.answer(event).await?) }
    })?;
    Ok(())
}
