//! What closures capture, and who may change it.
//!
//! The engine turns a captured variable into a cell that both share. Branches get copies instead, so that an assignment in
//! one would be lost; and a captured selection is read as a clone, so that it cannot be assigned to.

use rhai::Position;

use super::checker::{Checker, Frame};
use super::ty::Ty;
use crate::diagnostic::{Code, Diagnostic};

impl Checker<'_> {
    /// Looks at an assignment to a name that may be captured.
    pub(super) fn captured(&mut self, frame: &mut Frame, name: &str, position: Position, value: &Ty) {
        let is_captured_here = frame.captured.iter().any(|captured| captured == name);
        if is_captured_here && frame.is_branch {
            let finding = Diagnostic::error(Code::Captured, format!("a branch cannot change `{name}`"))
                .note("each branch has a copy of what it captures")
                .help("return the value instead: `parallel` and `wait` give it back");
            return self.found(frame.file, position, finding);
        }
        let Some(variable) = frame.scope.find(name) else { return };
        let is_read_as_clone = matches!(variable.ty, Ty::Selection(_) | Ty::Results(_) | Ty::Outcome(_));
        if is_read_as_clone && (variable.is_captured || is_captured_here) {
            let what = &variable.ty;
            let same = if value.agrees(what) { "the new value" } else { "it" };
            let message = format!("`{name}` cannot be changed: it is {what} that a closure reads");
            let finding = Diagnostic::error(Code::Captured, message)
                .help(format!("give {same} a new name: `let other = …`"));
            self.found(frame.file, position, finding);
        }
    }
}
