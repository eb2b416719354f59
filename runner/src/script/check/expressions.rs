//! Expressions: what they come to.

use std::sync::Arc;

use rhai::{ASTFlags, Expr, FnCallExpr, FnPtr, Position, Stmt};

use super::checker::{Checker, Frame};
use super::ty::{Closure, Ty};

impl Checker<'_> {
    /// What an expression comes to; everything in it is looked at.
    pub(super) fn expression(&mut self, frame: &mut Frame, expression: &Expr) -> Ty {
        if !self.may_go_on() {
            return Ty::Unknown;
        }
        match expression {
            Expr::Unit(_) => Ty::Nothing,
            Expr::BoolConstant(..) => Ty::Bool,
            Expr::IntegerConstant(..) => Ty::Int,
            Expr::FloatConstant(..) => Ty::Float,
            Expr::CharConstant(..) => Ty::Char,
            Expr::StringConstant(..) => Ty::String,
            Expr::InterpolatedString(parts, _) => {
                for part in parts {
                    self.expression(frame, part);
                }
                Ty::String
            }
            Expr::DynamicConstant(value, _) => match value.read_lock::<FnPtr>() {
                Some(closure) => self.pointer(frame, &closure, Vec::new()),
                None => Ty::Unknown,
            },
            Expr::Array(items, _) => {
                let items: Vec<Ty> = items.iter().map(|item| self.expression(frame, item)).collect();
                Ty::array(items.into_iter().reduce(Ty::or).unwrap_or_default())
            }
            Expr::Map(entries, _) => {
                let values: Vec<Ty> =
                    entries.0.iter().map(|(_, value)| self.expression(frame, value)).collect();
                Ty::Map(Box::new(values.into_iter().reduce(Ty::or).unwrap_or_default()))
            }
            Expr::Variable(variable, _, position) => {
                self.variable(frame, &variable.1, &variable.2, *position)
            }
            Expr::ThisPtr(_) => frame.this.clone(),
            Expr::Stmt(block) => self.block_expression(frame, block.statements()),
            Expr::FnCall(call, position) => self.function_call(frame, call, *position),
            Expr::And(parts, _) | Expr::Or(parts, _) => {
                for part in parts.iter() {
                    self.expression(frame, part);
                }
                Ty::Bool
            }
            Expr::Coalesce(parts, _) => {
                for part in parts.iter() {
                    self.expression(frame, part);
                }
                Ty::Unknown
            }
            Expr::Dot(sides, flags, _) => {
                let receiver = self.expression(frame, &sides.lhs);
                self.mutated(frame, &sides.lhs, &sides.rhs);
                self.chain(frame, receiver, false, &sides.rhs, *flags)
            }
            Expr::Index(sides, flags, _) => {
                let receiver = self.expression(frame, &sides.lhs);
                self.chain(frame, receiver, true, &sides.rhs, *flags)
            }
            // A property or a method without its receiver does not stand alone.
            _ => Ty::Unknown,
        }
    }

    /// A block as an expression; a closure with what it captures is one too.
    fn block_expression(&mut self, frame: &mut Frame, statements: &[Stmt]) -> Ty {
        if let [Stmt::Share(names), Stmt::Expr(last)] = statements
            && let Expr::FnCall(call, _) = &**last
            && let Some(Expr::DynamicConstant(value, _)) = call.args.first()
            && let Some(closure) = value.read_lock::<FnPtr>()
        {
            let captured = names.iter().map(|(name, _)| {
                let variable = frame.scope.find(&name.name);
                variable.map(|variable| variable.ty.clone()).unwrap_or_default()
            });
            let captured = captured.collect();
            for (name, _) in names.iter() {
                if let Some(variable) = frame.scope.find(&name.name) {
                    variable.is_used = true;
                    variable.is_captured = true;
                }
            }
            return self.pointer(frame, &closure, captured);
        }
        self.inner(frame, statements)
    }

    fn pointer(&mut self, frame: &Frame, pointer: &FnPtr, captured: Vec<Ty>) -> Ty {
        let closure = Closure { file: frame.file, name: pointer.fn_name().to_owned(), captured };
        self.made(Arc::new(closure))
    }

    fn variable(
        &mut self,
        frame: &mut Frame,
        name: &str,
        namespace: &rhai::Namespace,
        _position: Position,
    ) -> Ty {
        if !namespace.is_empty() {
            if namespace.root() == "global" {
                return self.global(frame.file, name);
            }
            return Ty::Unknown;
        }
        match frame.scope.find(name) {
            Some(variable) => {
                variable.is_used = true;
                variable.ty.clone()
            }
            None => Ty::Unknown,
        }
    }

    /// The rest of a chain, step by step: `receiver.a.b(c)[d]`.
    fn chain(&mut self, frame: &mut Frame, receiver: Ty, is_index: bool, rest: &Expr, flags: ASTFlags) -> Ty {
        let goes_on = !flags.contains(ASTFlags::BREAK);
        match rest {
            Expr::Dot(sides, flags, _) if goes_on => {
                let next = self.step(frame, receiver, is_index, &sides.lhs);
                self.chain(frame, next, false, &sides.rhs, *flags)
            }
            Expr::Index(sides, flags, _) if goes_on => {
                let next = self.step(frame, receiver, is_index, &sides.lhs);
                self.chain(frame, next, true, &sides.rhs, *flags)
            }
            last => self.step(frame, receiver, is_index, last),
        }
    }

    fn step(&mut self, frame: &mut Frame, receiver: Ty, is_index: bool, step: &Expr) -> Ty {
        if is_index {
            let index = self.expression(frame, step);
            let literal = self.literal(frame, step);
            return self.index(frame, receiver, &index, literal.as_ref(), step.start_position());
        }
        match step {
            Expr::Property(property, position) => self.property(frame, receiver, &property.2, *position),
            Expr::MethodCall(call, position) => self.method_call(frame, receiver, call, *position),
            other => self.expression(frame, other),
        }
    }

    /// `list.push(x)` changes what the variable before it holds.
    fn mutated(&mut self, frame: &mut Frame, receiver: &Expr, rest: &Expr) {
        const CHANGING: [&str; 12] = [
            "push",
            "append",
            "insert",
            "pad",
            "set",
            "splice",
            "mixin",
            "fill_with",
            "extract",
            "chop",
            "crop",
            "clear",
        ];
        let call: Option<&FnCallExpr> = match rest {
            Expr::MethodCall(call, _) => Some(call),
            Expr::Dot(sides, ..) => match &sides.lhs {
                Expr::MethodCall(call, _) => Some(call),
                _ => None,
            },
            _ => None,
        };
        let (Some(call), Expr::Variable(variable, _, position)) = (call, receiver) else { return };
        if !CHANGING.contains(&call.name.as_str()) {
            return;
        }
        let holds_others = frame
            .scope
            .find(&variable.1)
            .is_some_and(|variable| matches!(variable.ty, Ty::Array(_) | Ty::Map(_)));
        if holds_others {
            self.captured(frame, &variable.1, *position, &Ty::Unknown);
            frame.scope.assign(&variable.1, &Ty::Unknown);
        }
    }
}
