//! Scripts that run other scripts.

use rhai::{Map, NativeCallContext};

use crate::script::dry::holds_unknown;
use crate::script::run::{Run, run_inside};
use crate::script::types::{Outcome, Secrets, from_map, map_to_json, usage};
use crate::script::vocabulary::{Example, Family, Function, no_types};

fn run_script(context: NativeCallContext<'_>, path: &str, params: Map) -> Outcome<Map> {
    let run = Run::of(&context)?;
    if let Some(unknown) = params.values().find_map(holds_unknown).filter(|_| run.dry.is_some()) {
        return Err(unknown.stop());
    }
    let params = map_to_json(&params, Secrets::Reveal).map_err(usage)?;
    Ok(from_map(&run_inside(&run, path, params)?))
}

pub(super) const FAMILY: Family = Family {
    title: "Other scripts",
    text: "A script can be a part of another one.",
    types: no_types,
    functions: &[Function {
        forms: &["run_script(path: string, params?: map) -> map"],
        text: "Runs another script of the project with these parameters, and gives what it emits. It is checked before it begins, may do \
               what this script may, and its calls are this run's. Its paths are taken from its own folder.",
        example: Example {
            script: r#"
                let counted = run_script("tools/count.orch", #{ tier: "web" });
                print(counted.nodes);"#,
            prints: "3",
        },
        register: |engine| {
            engine
                .register_fn("run_script", |context: NativeCallContext<'_>, path: &str| {
                    run_script(context, path, Map::new())
                })
                .register_fn("run_script", run_script);
        },
    }],
};
