//! What can be meant, and hardly ever is.

use orch_wire::schema::{ActionSchema, AgentSchema};
use rhai::{Expr, Position, Stmt};

use super::checker::{Checker, Frame};
use super::ty::{Traits, Ty};
use crate::diagnostic::{Code, Diagnostic};

impl Checker<'_> {
    /// A write on every node there is, whatever their number.
    pub(super) fn unbounded(
        &mut self,
        frame: &Frame,
        traits: Traits,
        schema: &AgentSchema,
        action: &ActionSchema,
        position: Position,
    ) {
        if traits.unbounded && action.is_write() {
            let message =
                format!("`{}.{}` would act on the whole fleet, whatever its size", schema.name, action.name);
            let finding = Diagnostic::error(Code::Unbounded, message)
                .as_warning()
                .help("say how many nodes you mean: `.expect(1, 50)`, or `.limit(\u{2026})`");
            self.found(frame.file, position, finding);
        }
    }

    /// Results of a call that bears bad nodes, and that nobody looks at.
    pub(super) fn unlooked(&mut self, frame: &Frame, statement: &Stmt, given: &Ty) {
        let Stmt::Expr(expression) = statement else { return };
        let (Ty::Results(_), Expr::Dot(..)) = (given, &**expression) else { return };
        if let Some(position) = tolerated(expression) {
            let finding =
                Diagnostic::error(Code::Unlooked, "bad nodes are tolerated, and nobody looks at the results")
                    .as_warning()
                    .help("keep them: `let results = …`, and look at `results.bad`");
            self.found(frame.file, position, finding);
        }
    }
}

/// Where `tolerate` is called in a chain.
fn tolerated(expression: &Expr) -> Option<Position> {
    match expression {
        Expr::Dot(sides, ..) | Expr::Index(sides, ..) => {
            tolerated(&sides.lhs).or_else(|| tolerated(&sides.rhs))
        }
        Expr::MethodCall(call, position) if call.name == "tolerate" => Some(*position),
        _ => None,
    }
}
