//! The engine: its limits, its hooks, and every function of the language.

use std::sync::Arc;

use rhai::module_resolvers::DummyModuleResolver;
use rhai::{Dynamic, Engine, OptimizationLevel};

use super::dry::{self, DryRun};
use super::errors;
use super::functions::{limit_sizes, register_actions};
use super::program::register_names;
use super::run::{Branch, Memory, SharedRun, connect};
use super::types::{OneResult, Results, Selection};
use super::vocabulary;
use crate::schemas::Schemas;

/// Deepest calls of functions within each other. The stack of the script's thread is sized for it.
const CALL_LEVELS: usize = 128;
/// Deepest nesting of expressions, at the top level and in functions.
const EXPRESSIONS: (usize, usize) = (128, 64);
/// Most variables that are alive at once.
const VARIABLES: usize = 10_000;
/// Most functions of a script.
const FUNCTIONS: usize = 2_000;
/// Most modules loaded.
const MODULES: usize = 200;
/// Stack of the thread that a script runs on: the deepest calls and expressions fit in a debug build too.
pub(crate) const STACK: usize = 256 * 1024 * 1024;

/// What ends a script that takes too much memory.
pub(crate) const OUT_OF_MEMORY: &str = "out of memory";

/// Sets every limit that there is: the engine's own differ between debug and release builds.
fn limit(engine: &mut Engine) {
    engine
        .set_max_call_levels(CALL_LEVELS)
        .set_max_expr_depths(EXPRESSIONS.0, EXPRESSIONS.1)
        .set_max_variables(VARIABLES)
        .set_max_functions(FUNCTIONS)
        .set_max_modules(MODULES)
        // None: a script waits for nodes for hours, and `on_progress` ends it when it is cancelled.
        .set_max_operations(0)
        // None: with a limit the engine measures an array whenever something is put into it, so that
        // building one costs the square of its length.
        .set_max_string_size(0)
        .set_max_array_size(0)
        .set_max_map_size(0);
}

/// An engine that knows the language and these agents. It belongs to no run yet: enough to compile.
pub(crate) fn engine(schemas: &Schemas) -> Engine {
    let mut engine = Engine::new();
    limit(&mut engine);
    engine
        .set_strict_variables(true)
        .set_optimization_level(OptimizationLevel::None)
        .set_module_resolver(DummyModuleResolver::new())
        .disable_symbol("eval");
    register_names(&mut engine);
    vocabulary::register(&mut engine);
    limit_sizes(&mut engine);
    register_actions(&mut engine, schemas);
    share_by_clone(&mut engine, None);
    engine
}

/// The same engine, in a run.
pub(crate) fn engine_of(run: &SharedRun) -> Engine {
    let mut engine = engine(&run.schemas);
    engine.set_default_tag(Dynamic::from(run.clone()));
    connect(&mut engine, run);
    if let Some(dry) = &run.dry {
        dry::teach(&mut engine, run);
        share_by_clone(&mut engine, Some(dry.clone()));
    }
    let memory = Memory::watch();
    engine.on_progress(move |operations| {
        // A look takes a lock; one in 64 operations is soon enough. A text that is doubled grows faster than that.
        if operations % 64 == 0 && Branch::is_cancelled() {
            return Some(Dynamic::UNIT);
        }
        (operations % 4 == 0 && memory.is_spent()).then(|| OUT_OF_MEMORY.into())
    });
    engine
}

/// A closure turns what it captures into a cell, and a method on a cell locks it for as long as it lasts: a closure that
/// reads the selection whose method runs it would find it locked. Selections and results never change, so that they
/// are read as clones. What `catch` is given for an error of the engine is read as an error like all others.
fn share_by_clone(engine: &mut Engine, dry: Option<Arc<DryRun>>) {
    #[expect(
        deprecated,
        reason = "the hook is not deprecated: its marker says that it may change, and the version is pinned"
    )]
    engine.on_var(move |name, _, context| {
        let Some(value) = context.scope().get(name) else { return Ok(None) };
        if let Some((dry, unknown)) = dry.as_ref().zip(dry::Unknown::of_value(value)) {
            dry.read(name, unknown)?;
        }
        if !value.is_shared() {
            let caught = errors::of_engine(value);
            if let Some(stop) = caught.as_ref().and_then(|error| dry::stop_of_caught(&error.message)) {
                return Err(stop);
            }
            return Ok(caught.map(Dynamic::from));
        }
        // By `read_lock`, which gives up: to ask a cell that is locked elsewhere for its type would panic.
        let own = (value.read_lock::<Selection>().map(|selection| Dynamic::from(selection.clone())))
            .or_else(|| value.read_lock::<Results>().map(|results| Dynamic::from(results.clone())))
            .or_else(|| value.read_lock::<OneResult>().map(|result| Dynamic::from(result.clone())));
        Ok(own)
    });
}
