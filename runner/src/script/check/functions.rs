//! Calls of functions and methods: whether there are such, and whether the arguments are what they take.

use std::sync::Arc;

use rhai::{Dynamic, Expr, FnCallExpr, FnPtr, Position, Stmt};

use super::checker::{Checker, Frame};
use super::ty::{Closure, Traits, Ty};
use crate::diagnostic::{Code, Diagnostic};
use crate::script::nearest::nearest;
use crate::script::signature::{Form, Kind, Type};
use crate::script::types::quoted;

/// Functions whose closures run beside the script.
const BRANCHES: [&str; 3] = ["parallel", "background", "defer"];

/// Arguments of a call: their types, and what is written.
pub(super) struct Arguments<'e> {
    pub(super) types: Vec<Ty>,
    pub(super) written: &'e [Expr],
    /// The closures that stand in each.
    made: Vec<Vec<Arc<Closure>>>,
}

impl Arguments<'_> {
    /// All closures among the arguments.
    pub(super) fn closures(&self) -> Vec<Arc<Closure>> {
        let held = self.types.iter().filter_map(|ty| match ty {
            Ty::Closure(closure) => Some(closure.clone()),
            _ => None,
        });
        self.made.iter().flatten().cloned().chain(held).collect()
    }
}

impl Checker<'_> {
    /// The value of an expression that is written out, or of a constant that is.
    pub(super) fn literal(&mut self, frame: &mut Frame, expression: &Expr) -> Option<Dynamic> {
        match expression {
            Expr::Variable(variable, _, _) if variable.2.is_empty() => {
                frame.scope.find(&variable.1).and_then(|variable| variable.literal.clone())
            }
            other => other.get_literal_value(None),
        }
    }

    fn arguments<'e>(&mut self, frame: &mut Frame, call: &'e FnCallExpr) -> Arguments<'e> {
        let mut arguments = Arguments { types: Vec::new(), written: &call.args, made: Vec::new() };
        for argument in &call.args {
            let before = self.waiting();
            arguments.types.push(self.expression(frame, argument));
            arguments.made.push(self.made_since(before));
        }
        arguments
    }

    /// `name(…)`, `module::name(…)`, or an operator.
    pub(super) fn function_call(&mut self, frame: &mut Frame, call: &FnCallExpr, position: Position) -> Ty {
        let name = call.name.as_str();
        let arguments = self.arguments(frame, call);
        if call.is_operator_call() {
            return self.operator(frame, name, &arguments, position);
        }
        if call.is_qualified() {
            return self.qualified(frame, call, &arguments, position);
        }
        let count = arguments.types.len();
        if let Some(function) = self.function(frame.file, name, count) {
            return self.call(frame.file, &function, arguments.types, Ty::Unknown);
        }
        if let Some(variable) = frame.scope.find(name) {
            // A variable that holds a closure is called like a function.
            variable.is_used = true;
            return Ty::Unknown;
        }
        let native = self.native;
        // A method can be called as a function whose first argument is its receiver.
        let free: Vec<&Form> =
            native.forms(name).iter().copied().filter(|form| form.receiver.is_none()).collect();
        if !free.is_empty() {
            return self.apply(frame, &free, None, &arguments, position);
        }
        if native.takes(name, count) || !native.forms(name).is_empty() {
            return self.of_engine(name, &arguments);
        }
        self.unknown_function(frame, name, count, position);
        Ty::Unknown
    }

    fn unknown_function(&mut self, frame: &Frame, name: &str, count: usize, position: Position) {
        let own: Vec<(String, usize)> =
            self.functions_of(frame.file).map(|(name, count)| (name.to_owned(), count)).collect();
        let finding = if let Some((_, takes)) = own.iter().find(|(own, _)| own == name) {
            let finding = format!("`{name}` takes {}, not {count}", crate::report::count(*takes, "argument"));
            Diagnostic::error(Code::UnknownFunction, finding)
        } else if self.native.has(name) {
            let message = format!("`{name}` does not take {}", crate::report::count(count, "argument"));
            Diagnostic::error(Code::UnknownFunction, message)
        } else {
            let finding = Diagnostic::error(Code::UnknownFunction, format!("there is no function `{name}`"));
            let known = own.iter().map(|(name, _)| name.as_str()).chain(self.native.names());
            match nearest(name, known) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding,
            }
        };
        self.found(frame.file, position, finding);
    }

    /// A function of a module.
    fn qualified(
        &mut self,
        frame: &mut Frame,
        call: &FnCallExpr,
        arguments: &Arguments<'_>,
        position: Position,
    ) -> Ty {
        let (module, name) = (call.namespace.root().to_owned(), call.name.as_str());
        let whole = format!("{module}::{name}");
        let forms = self.native.forms(&whole);
        if !forms.is_empty() {
            return self.apply(frame, forms, None, arguments, position);
        }
        let inside = self.native.module(&module);
        if !inside.is_empty() {
            self.unknown_in_module(frame, &module, name, &inside, position);
            return Ty::Unknown;
        }
        let imports = self.file(frame.file).map(|file| file.imports.as_slice()).unwrap_or_default();
        let Some(file) = imports.iter().find(|import| import.alias == module).map(|import| import.file)
        else {
            return Ty::Unknown;
        };
        let count = arguments.types.len();
        if let Some(function) = self.function(file, name, count) {
            return self.call(file, &function, arguments.types.clone(), Ty::Unknown);
        }
        let known: Vec<(String, usize)> =
            self.functions_of(file).map(|(name, count)| (name.to_owned(), count)).collect();
        let counts: Vec<String> =
            known.iter().filter(|(known, _)| known == name).map(|(_, count)| count.to_string()).collect();
        if counts.is_empty() {
            let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            self.unknown_in_module(frame, &module, name, &names, position);
        } else {
            let message = format!("`{whole}` takes {} arguments, not {count}", counts.join(" or "));
            self.found(frame.file, position, Diagnostic::error(Code::UnknownFunction, message));
        }
        Ty::Unknown
    }

    fn unknown_in_module(
        &mut self,
        frame: &Frame,
        module: &str,
        name: &str,
        known: &[&str],
        position: Position,
    ) {
        let message = format!("the module `{module}` has no function `{name}`");
        let finding = Diagnostic::error(Code::UnknownFunction, message);
        let finding = match nearest(name, known.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{module}::{near}`?")),
            None if known.is_empty() => finding,
            None => finding.help(format!("it has {}", quoted(known))),
        };
        self.found(frame.file, position, finding);
    }

    /// `receiver.name(…)`.
    pub(super) fn method_call(
        &mut self,
        frame: &mut Frame,
        receiver: Ty,
        call: &FnCallExpr,
        position: Position,
    ) -> Ty {
        let name = call.name.as_str();
        let arguments = self.arguments(frame, call);
        let count = arguments.types.len();
        // The script's own function with `this`.
        if let Some(function) = self.function(frame.file, name, count) {
            return self.call(frame.file, &function, arguments.types, receiver);
        }
        if let Ty::Agent(agent, traits) = &receiver {
            return self.action(frame, agent, *traits, name, &arguments, position);
        }
        if name == "invoke"
            && let Ty::Selection(traits) = receiver
        {
            return self.invoked(frame, traits, &arguments, position);
        }
        let native = self.native;
        let forms = native.forms(name).iter().copied();
        let of: Vec<&Form> = forms
            .filter(|form| form.receiver.as_ref().is_some_and(|kind| receiver.is_receiver(kind)))
            .collect();
        if of.iter().any(|form| form.kind == Kind::Function) {
            let given = self.apply(frame, &of, Some(&receiver), &arguments, position);
            return Self::refined(&receiver, name, given);
        }
        if receiver.is_own() {
            if native.takes(name, count + 1)
                && ["type_of", "to_string", "to_debug", "is_shared"].contains(&name)
            {
                return self.of_engine(name, &arguments);
            }
            self.unknown_member(frame, &receiver, name, position);
            return Ty::Unknown;
        }
        self.of_engine_on(frame, &receiver, name, &arguments, position)
    }

    /// Chooses the form that fits, looks at the arguments, and gives what it gives.
    pub(super) fn apply(
        &mut self,
        frame: &mut Frame,
        forms: &[&Form],
        receiver: Option<&Ty>,
        arguments: &Arguments<'_>,
        position: Position,
    ) -> Ty {
        let count = arguments.types.len();
        let of_count: Vec<&Form> =
            forms.iter().copied().filter(|form| form.arguments().contains(&count)).collect();
        let Some(first) = of_count.first() else {
            let name = forms.first().map(|form| form.name.as_str()).unwrap_or_default();
            let message = format!("`{name}` does not take {}", crate::report::count(count, "argument"));
            let finding = Diagnostic::error(Code::UnknownFunction, message);
            let finding = forms
                .iter()
                .fold(finding, |finding, form| finding.note(format!("it is written `{}`", form.text)));
            self.found(frame.file, position, finding);
            return Ty::Unknown;
        };
        let fits =
            |form: &&&Form| form.params.iter().zip(&arguments.types).all(|(param, ty)| ty.fits(&param.kind));
        let form = of_count.iter().find(fits).copied().unwrap_or(first);
        let none_fits = !of_count.iter().any(|form| fits(&form));
        for (at, (param, ty)) in form.params.iter().zip(&arguments.types).enumerate() {
            let Some(written) = arguments.written.get(at) else { continue };
            if none_fits && !ty.fits(&param.kind) {
                let asked: Vec<String> = of_count
                    .iter()
                    .filter_map(|form| form.params.get(at))
                    .map(|param| param.kind.described())
                    .collect();
                let message =
                    format!("`{}` of `{}` is {}, not {ty}", param.name, form.name, asked.join(" or "));
                let finding =
                    Diagnostic::error(Code::Usage, message).note(format!("it is written `{}`", form.text));
                self.found(frame.file, written.start_position(), finding);
                continue;
            }
            self.argument(frame, form, param, written, ty, receiver);
        }
        let given = (0..count).filter_map(|at| self.closures(form, at, arguments, receiver)).next();
        match (&form.returns, form.name.as_str()) {
            // All of them, however many.
            (Type::Selection, "nodes") if count == 0 => Ty::Selection(Traits { unbounded: true }),
            (Type::Any, "param") => self.param_type(frame, arguments),
            (Type::Array(items), "map") if **items == Type::Any => Ty::array(given.unwrap_or_default()),
            (returns, _) => Ty::of(returns),
        }
    }

    /// Looks into the closures of an argument, with the types that the function gives them.
    fn closures(
        &mut self,
        form: &Form,
        at: usize,
        arguments: &Arguments<'_>,
        receiver: Option<&Ty>,
    ) -> Option<Ty> {
        let is_branch = BRANCHES.contains(&form.name.as_str());
        let kind = form.params.get(at).map(|param| &param.kind);
        let written = arguments.written.get(at);
        let mut closures = arguments.made.get(at).cloned().unwrap_or_default();
        if let (true, Some(Ty::Closure(closure))) = (closures.is_empty(), arguments.types.get(at)) {
            closures.push(closure.clone());
        }
        let mut given = None;
        for closure in closures {
            let kind = match (kind, written) {
                // An option that is a closure.
                (Some(Type::Keys(keys)), Some(Expr::Map(entries, _))) => {
                    let entry = entries.0.iter().find(|(_, value)| is_closure(value, &closure.name));
                    entry
                        .and_then(|(name, _)| keys.iter().find(|key| key.name == name.name.as_str()))
                        .map(|key| &key.kind)
                }
                (kind, _) => kind,
            };
            let params: Vec<Ty> = match kind {
                Some(Type::Closure { params, .. }) => {
                    params.iter().map(|kind| passed(kind, receiver)).collect()
                }
                _ => Vec::new(),
            };
            given = Some(self.closure(&closure, &params, is_branch));
        }
        given
    }

    /// What only the receiver tells of what a method gives.
    pub(super) fn refined(receiver: &Ty, name: &str, given: Ty) -> Ty {
        match (receiver, &given) {
            (Ty::Selection(before), Ty::Selection(_)) => {
                let bounding = ["where", "filter", "limit", "sample", "expect"];
                Ty::Selection(Traits { unbounded: before.unbounded && !bounding.contains(&name) })
            }
            (Ty::Results(called), Ty::Results(_)) => Ty::Results(called.clone()),
            (Ty::Results(called), Ty::Map(values)) if matches!(**values, Ty::Results(_)) => {
                Ty::Map(Box::new(Ty::Results(called.clone())))
            }
            _ => given,
        }
    }

    /// Something that an own type does not have.
    pub(super) fn unknown_member(&mut self, frame: &Frame, receiver: &Ty, name: &str, position: Position) {
        let known = self.native.members(|kind| receiver.is_receiver(kind));
        let message = format!("{receiver} {} no method `{name}`", receiver.has());
        let finding = Diagnostic::error(Code::UnknownFunction, message);
        let finding = match nearest(name, known.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding,
        };
        self.found(frame.file, position, finding);
    }

    fn operator(
        &mut self,
        frame: &mut Frame,
        sign: &str,
        arguments: &Arguments<'_>,
        position: Position,
    ) -> Ty {
        let [left, rest @ ..] = arguments.types.as_slice() else { return Ty::Unknown };
        let right = rest.first();
        match sign {
            "==" | "!=" | "<" | ">" | "<=" | ">=" | "!" | "in" | "contains" => return Ty::Bool,
            _ => {}
        }
        let Some(right) = right else { return left.clone() };
        if let (Ty::Selection(a), Ty::Selection(b)) = (left, right) {
            let unbounded = match sign {
                "+" => a.unbounded || b.unbounded,
                "&" => a.unbounded && b.unbounded,
                _ => a.unbounded,
            };
            return Ty::Selection(Traits { unbounded });
        }
        let is_set = |ty: &Ty| matches!(ty, Ty::Selection(_));
        if (is_set(left) && *right != Ty::Unknown || is_set(right) && *left != Ty::Unknown)
            && *left != Ty::String
        {
            let message = format!("`{sign}` does not take {left} and {right}");
            self.found(frame.file, position, Diagnostic::error(Code::Usage, message));
            return Ty::Unknown;
        }
        match (left, right) {
            (Ty::Int, Ty::Int) => Ty::Int,
            (Ty::Int | Ty::Float | Ty::Number, Ty::Int | Ty::Float | Ty::Number) => Ty::Number,
            (Ty::String, _) if sign == "+" => Ty::String,
            (Ty::Array(a), Ty::Array(b)) if sign == "+" => Ty::array((**a).clone().or((**b).clone())),
            _ => Ty::Unknown,
        }
    }
}

/// What a function passes to a closure, as far as its receiver tells.
fn passed(kind: &Type, receiver: Option<&Ty>) -> Ty {
    match (kind, receiver) {
        (Type::Outcome, Some(Ty::Results(called))) => Ty::Outcome(called.clone()),
        (Type::Results, Some(Ty::Results(called))) => Ty::Results(called.clone()),
        (kind, _) => Ty::of(kind),
    }
}

/// Whether an expression is the closure of this name, with or without what it captures.
fn is_closure(expression: &Expr, name: &str) -> bool {
    let pointer = match expression {
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Share(_), Stmt::Expr(last)] => match &**last {
                Expr::FnCall(call, _) => call.args.first(),
                _ => None,
            },
            _ => None,
        },
        other => Some(other),
    };
    match pointer {
        Some(Expr::DynamicConstant(value, _)) => {
            value.read_lock::<FnPtr>().is_some_and(|pointer| pointer.fn_name() == name)
        }
        _ => false,
    }
}
