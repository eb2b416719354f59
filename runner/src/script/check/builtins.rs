//! What the engine's own functions give: lists, maps, ranges.

use rhai::Position;

use super::checker::{Checker, Frame};
use super::functions::Arguments;
use super::ty::Ty;
use crate::diagnostic::{Code, Diagnostic};
use crate::script::nearest::nearest;

impl Checker<'_> {
    /// A function of the engine without a receiver, or one whose receiver is not known.
    pub(super) fn of_engine(&mut self, name: &str, arguments: &Arguments<'_>) -> Ty {
        for closure in arguments.closures() {
            self.closure(&closure, &[], false);
        }
        match name {
            "print" | "debug" => Ty::Nothing,
            "type_of" | "to_string" | "to_debug" | "to_json" => Ty::String,
            "is_shared" | "is_def_var" | "is_def_fn" => Ty::Bool,
            "len" => Ty::Int,
            "range" => Ty::array(Ty::Int),
            _ => Ty::Unknown,
        }
    }

    /// A method of a value that is none of orch's own.
    pub(super) fn of_engine_on(
        &mut self,
        frame: &Frame,
        receiver: &Ty,
        name: &str,
        arguments: &Arguments<'_>,
        position: Position,
    ) -> Ty {
        // A map may hold a closure of any name.
        if !matches!(receiver, Ty::Unknown | Ty::Map(_)) && self.is_unheard_of(name) {
            let finding = self.unheard_of(receiver, name);
            self.found(frame.file, position, finding);
        }
        let items = match receiver {
            Ty::Array(items) => (**items).clone(),
            _ => Ty::Unknown,
        };
        let mut given = Ty::Unknown;
        for closure in arguments.closures() {
            // All functions of lists pass an item first; `reduce` what it has so far, and then the item.
            let params = match name {
                "reduce" | "reduce_rev" => vec![Ty::Unknown, items.clone()],
                "sort" => vec![items.clone(), items.clone()],
                _ => vec![items.clone()],
            };
            given = self.closure(&closure, &params, false);
        }
        match (receiver, name) {
            (_, "len") => Ty::Int,
            (_, "is_empty" | "contains" | "some" | "all" | "any" | "starts_with" | "ends_with") => Ty::Bool,
            (Ty::Array(_), "map") => Ty::array(given),
            (Ty::Array(_), "filter" | "retain" | "drain" | "extract" | "split") => Ty::array(items),
            (Ty::Map(_), "keys") => Ty::array(Ty::String),
            (Ty::Map(values), "values") => Ty::array((**values).clone()),
            _ => Ty::Unknown,
        }
    }

    /// A method that nothing at all has.
    fn is_unheard_of(&self, name: &str) -> bool {
        let is_action = || self.known.schemas.iter().any(|schema| schema.action(name).is_some());
        !self.native.has(name) && self.native.forms(name).is_empty() && !is_action()
    }

    /// The finding for a method of a string, a number or a list that does not exist.
    fn unheard_of(&self, receiver: &Ty, name: &str) -> Diagnostic {
        let finding = Diagnostic::error(Code::UnknownFunction, format!("{receiver} has no method `{name}`"));
        match nearest(name, self.native.names()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding,
        }
    }
}
