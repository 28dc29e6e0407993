//! `aquifer-writer`: the function that takes documents, indexes events, and administers indexes. What would take too long it hands to
//! the reindex function.

use std::process::ExitCode;
use std::sync::Arc;

use aquifer_functions::lambda::environment::Environment;
use aquifer_functions::lambda::front::Front;
use aquifer_functions::lambda::handoff::{Handoff, LambdaHandoff};
use aquifer_functions::lambda::role::Role;
use aquifer_functions::lambda::run;

fn main() -> ExitCode {
    run::function(|| {
        let environment = Environment::read()?;
        let reindex = environment.reindex_function.as_deref();
        let handoff = reindex.map(|name| Arc::new(LambdaHandoff::new(name)) as Arc<dyn Handoff>);
        let sources = Arc::new(environment.external_sources()?);
        let objects = Arc::clone(&sources);
        let front = Front::new(environment, Role::Writer, sources, handoff);
        let front = Arc::new(front.with_objects(objects));
        Ok(move |event| {
            let front = Arc::clone(&front);
            async move { front.answer(event).await }
        })
    })
}
