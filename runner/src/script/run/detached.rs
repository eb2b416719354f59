//! A closure that leaves its place: for a thread of its own, or for the end of the script.

use rhai::{Array, Dynamic, Engine, FnPtr, Map, NativeCallContext};

use crate::script::types::Outcome;

#[expect(
    deprecated,
    reason = "it is not deprecated: its marker says that it may change, and the version is pinned"
)]
type Stored = rhai::NativeCallContextStore;

/// A closure with copies of what it captured, and with the surroundings that it needs to find the functions of its module.
pub(crate) struct Detached {
    closure: FnPtr,
    surroundings: Stored,
}

impl Detached {
    /// Takes a closure out of the call that it was given to.
    #[expect(deprecated, reason = "storing is not deprecated either")]
    pub(crate) fn new(context: &NativeCallContext<'_>, closure: &FnPtr) -> Self {
        Self { closure: alone(closure), surroundings: context.store_data() }
    }

    /// Calls it.
    #[expect(deprecated, reason = "nor is taking out of the store")]
    pub(crate) fn call(&self, engine: &Engine, arguments: Vec<Dynamic>) -> Outcome<Dynamic> {
        let context = self.surroundings.create_context(engine);
        self.closure.call_within_context::<Dynamic>(&context, arguments)
    }
}

/// A closure that shares nothing: threads that share a cell of the engine meet "data race detected", or worse.
fn alone(closure: &FnPtr) -> FnPtr {
    let mut copy = closure.clone();
    let captured: Vec<Dynamic> = closure.iter_curry().map(copied).collect();
    copy.set_curry(captured);
    copy
}

/// A value without cells that others hold too.
pub(crate) fn copied(value: &Dynamic) -> Dynamic {
    let value = value.flatten_clone();
    if let Some(closure) = value.read_lock::<FnPtr>() {
        return Dynamic::from(alone(&closure));
    }
    if let Ok(list) = value.as_array_ref() {
        return list.iter().map(copied).collect::<Array>().into();
    }
    if let Ok(map) = value.as_map_ref() {
        return map.iter().map(|(name, value)| (name.clone(), copied(value))).collect::<Map>().into();
    }
    value
}
