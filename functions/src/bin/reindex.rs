//! `aquifer-reindex`: the function that tends indexes: it drains, rebuilds, merges, collects and verifies, on a
//! schedule or when it is asked.

use std::sync::Arc;

use anyhow::Result;
use aquifer_functions::lambda::environment::Environment;
use aquifer_functions::lambda::handoff::LambdaHandoff;
use aquifer_functions::lambda::tend::Tend;
use aquifer_functions::lambda::{log, run};

fn main() -> Result<()> {
    log::start();
    let environment = Environment::read()?;
    let named = environment.reindex_function.clone();
    let itself = LambdaHandoff::new(named.unwrap_or_else(|| environment.function.clone()));
    let sources = Arc::new(environment.external_sources()?);
    let tend = Arc::new(Tend::new(environment, sources, Some(Arc::new(itself))));
    run::run(move |event| {
        let tend = Arc::clone(&tend);
        async move { Ok(tend.answer(event).await?) }
    })?;
    Ok(())
}
