//! `aquifer-reindex`: the function that tends indexes: it drains, rebuilds, merges, collects and verifies, on a
//! schedule or when it is asked.

use std::process::ExitCode;
use std::sync::Arc;

use aquifer_functions::doctor::partner_if_asked;
use aquifer_functions::lambda::environment::Environment;
use aquifer_functions::lambda::run;
use aquifer_functions::lambda::tend::Tend;

fn main() -> ExitCode {
    if let Some(ended) = partner_if_asked() {
        return ended;
    }
    run::function(|| {
        let environment = Environment::read()?;
        let sources = Arc::new(environment.external_sources()?);
        let tend = Tend::new(environment, sources);
        let tend = match std::env::current_exe() {
            Ok(program) => tend.with_second_process(program),
            Err(error) => {
                tracing::warn!(%error, "the mount is examined without a second process");
                tend
            }
        };
        let tend = Arc::new(tend);
        Ok(move |event| {
            let tend = Arc::clone(&tend);
            async move { tend.answer(event).await }
        })
    })
}
