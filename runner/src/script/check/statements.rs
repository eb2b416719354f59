//! Statements: what they declare, and what they come to.

use rhai::{ASTFlags, Expr, Position, Stmt};

use super::checker::{Checker, Frame};
use super::ty::Ty;
use crate::diagnostic::{Code, Diagnostic};

impl Checker<'_> {
    /// A block in a scope that is left by whoever entered it; gives what its last statement comes to. `is_script` says that
    /// nobody takes that.
    pub(super) fn block(&mut self, frame: &mut Frame, statements: &[Stmt], is_script: bool) -> Ty {
        let mut last = Ty::Nothing;
        for (at, statement) in statements.iter().enumerate() {
            last = self.statement(frame, statement);
            if is_script || at + 1 < statements.len() {
                self.unlooked(frame, statement, &last);
            }
        }
        last
    }

    /// A block with a scope of its own.
    pub(super) fn inner(&mut self, frame: &mut Frame, statements: &[Stmt]) -> Ty {
        let depth = frame.scope.depth();
        let last = self.block(frame, statements, false);
        let ended = frame.scope.leave(depth);
        self.ended(frame.file, &ended);
        last
    }

    fn statement(&mut self, frame: &mut Frame, statement: &Stmt) -> Ty {
        match statement {
            Stmt::If(parts, _) => {
                self.condition(frame, &parts.expr);
                let then = self.inner(frame, parts.body.statements());
                let otherwise = self.inner(frame, parts.branch.statements());
                then.or(otherwise)
            }
            Stmt::Switch(parts, _) => {
                let (value, cases) = &**parts;
                self.expression(frame, value);
                let mut given: Option<Ty> = None;
                for case in &cases.expressions {
                    if !matches!(case.lhs, Expr::BoolConstant(true, _)) {
                        self.expression(frame, &case.lhs);
                    }
                    let ty = self.expression(frame, &case.rhs);
                    given = Some(given.map_or(ty.clone(), |known| known.or(ty)));
                }
                given.unwrap_or_default()
            }
            Stmt::While(parts, _) => {
                if !matches!(parts.expr, Expr::Unit(_)) {
                    self.condition(frame, &parts.expr);
                }
                self.inner(frame, parts.body.statements());
                Ty::Unknown
            }
            Stmt::Do(parts, _, _) => {
                self.inner(frame, parts.body.statements());
                self.condition(frame, &parts.expr);
                Ty::Unknown
            }
            Stmt::For(parts, _) => {
                let (name, counter, parts) = &**parts;
                let items = self.expression(frame, &parts.expr).items();
                let depth = frame.scope.depth();
                frame.scope.bind(&name.name, items);
                if let Some(counter) = counter {
                    frame.scope.bind(&counter.name, Ty::Int);
                }
                self.block(frame, parts.body.statements(), true);
                let ended = frame.scope.leave(depth);
                self.ended(frame.file, &ended);
                Ty::Unknown
            }
            Stmt::Var(parts, flags, _) => {
                let (name, value, _) = &**parts;
                let ty = self.expression(frame, value);
                let is_constant = flags.contains(ASTFlags::CONSTANT);
                let literal = is_constant.then(|| value.get_literal_value(None)).flatten();
                if is_constant {
                    self.constant(frame.file, &name.name, ty.clone());
                }
                frame.scope.declare(&name.name, ty, literal, name.pos);
                if flags.contains(ASTFlags::EXPORTED) {
                    self.used(frame, &name.name);
                }
                Ty::Nothing
            }
            Stmt::Assignment(parts) => {
                let (operator, sides) = &**parts;
                let value = self.expression(frame, &sides.rhs);
                self.assignment(frame, &sides.lhs, value, operator.is_op_assignment());
                Ty::Nothing
            }
            Stmt::FnCall(call, position) => self.function_call(frame, call, *position),
            Stmt::Block(block) => self.inner(frame, block.statements()),
            Stmt::TryCatch(parts, _) => {
                let tried = self.inner(frame, parts.body.statements());
                let depth = frame.scope.depth();
                if let Expr::Variable(name, ..) = &parts.expr {
                    frame.scope.bind(&name.1, Ty::Unknown);
                }
                let caught = self.block(frame, parts.branch.statements(), false);
                let ended = frame.scope.leave(depth);
                self.ended(frame.file, &ended);
                tried.or(caught)
            }
            Stmt::Expr(expression) => self.expression(frame, expression),
            Stmt::BreakLoop(value, ..) => {
                if let Some(value) = value {
                    self.expression(frame, value);
                }
                Ty::Nothing
            }
            Stmt::Return(value, flags, _) => {
                let ty = value.as_ref().map_or(Ty::Nothing, |value| self.expression(frame, value));
                // `throw` gives nothing back.
                if !flags.contains(ASTFlags::BREAK) {
                    frame.returns.push(ty.clone());
                }
                ty
            }
            Stmt::Export(names, _) => {
                self.used(frame, &names.0.name);
                Ty::Nothing
            }
            Stmt::Share(names) => {
                for (name, _) in names.iter() {
                    if let Some(variable) = frame.scope.find(&name.name) {
                        variable.is_used = true;
                        variable.is_captured = true;
                    }
                }
                Ty::Nothing
            }
            // Imports are followed when the program is loaded.
            _ => Ty::Nothing,
        }
    }

    pub(super) fn used(&mut self, frame: &mut Frame, name: &str) {
        if let Some(variable) = frame.scope.find(name) {
            variable.is_used = true;
        }
    }

    /// What decides a branch must be a bool.
    fn condition(&mut self, frame: &mut Frame, expression: &Expr) {
        let ty = self.expression(frame, expression);
        if ty.is_own()
            || matches!(ty, Ty::String | Ty::Int | Ty::Float | Ty::Array(_) | Ty::Map(_) | Ty::Nothing)
        {
            let finding = Diagnostic::error(Code::Usage, format!("a condition is a bool, not {ty}"));
            let finding = match &ty {
                Ty::Selection(_) | Ty::Results(_) => finding.help("ask for `.is_empty` or `.count`"),
                _ => finding,
            };
            self.found(frame.file, expression.start_position(), finding);
        }
    }

    /// Something is put into a variable, or into something within one.
    fn assignment(&mut self, frame: &mut Frame, target: &Expr, value: Ty, is_changed: bool) {
        let Expr::Variable(variable, _, position) = target else {
            // `map.entry = …` and `list[0] = …` change what the variable holds.
            if let Some(name) = base(target) {
                self.captured(frame, &name.0, name.1, &Ty::Unknown);
                if let Some(variable) = frame.scope.find(&name.0)
                    && let Ty::Array(_) | Ty::Map(_) = variable.ty
                {
                    frame.scope.assign(&name.0, &Ty::Unknown);
                }
            }
            self.expression(frame, target);
            return;
        };
        let name = variable.1.as_str();
        let value = if is_changed { Ty::Unknown } else { value };
        self.captured(frame, name, *position, &value);
        let known = frame.scope.find(name).map(|variable| variable.ty.clone()).unwrap_or_default();
        match (is_changed, known) {
            // `count += 1` keeps a number a number.
            (true, Ty::Int | Ty::Float | Ty::String | Ty::Number | Ty::Selection(_)) => {}
            _ => frame.scope.assign(name, &value),
        }
    }
}

/// The variable that a chain of properties and indices begins with.
fn base(expression: &Expr) -> Option<(String, Position)> {
    match expression {
        Expr::Variable(variable, _, position) => Some((variable.1.to_string(), *position)),
        Expr::Dot(sides, ..) | Expr::Index(sides, ..) => base(&sides.lhs),
        _ => None,
    }
}
