//! `orch`: the operator's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment = orch_runner::config::Environment::of_process();
    orch_runner::cli::run(std::env::args_os(), &environment).into()
}
