//! Agents, actions, their arguments, and the fields of their results.

use std::sync::Arc;

use orch_wire::schema::{ActionSchema, AgentSchema, ValueType};
use rhai::{Dynamic, Expr, Position};

use super::checker::{Checker, Frame};
use super::functions::Arguments;
use super::ty::{Called, Traits, Ty};
use crate::diagnostic::{Code, Diagnostic};
use crate::script::nearest::nearest;
use crate::script::signature::Kind;
use crate::script::types::{OWN_FIELDS, Secrets, quoted, to_json};

impl Checker<'_> {
    /// `receiver.name`.
    pub(super) fn property(&mut self, frame: &mut Frame, receiver: Ty, name: &str, position: Position) -> Ty {
        let forms = self.native.forms(name).iter();
        let form = forms
            .filter(|form| form.kind == Kind::Property)
            .find(|form| form.receiver.as_ref().is_some_and(|kind| receiver.is_receiver(kind)));
        if let Some(form) = form {
            let given = Ty::of(&form.returns);
            return Self::refined(&receiver, name, given);
        }
        match &receiver {
            Ty::Selection(traits) => self.agent(frame, *traits, name, position),
            Ty::Outcome(Some(called)) => self.output(frame, &called.clone(), name, position),
            Ty::Map(values) => (**values).clone(),
            Ty::Unknown | Ty::Outcome(None) | Ty::Error => Ty::Unknown,
            _ if self.native.has_property(name) => Ty::Unknown,
            _ => {
                let known = self.native.members(|kind| receiver.is_receiver(kind));
                let finding = Diagnostic::error(
                    Code::UnknownProperty,
                    format!("{receiver} {} no property `{name}`", receiver.has()),
                );
                let is_method = known.contains(&name);
                let finding = match nearest(name, known) {
                    _ if is_method => finding.help(format!("it is a method: write `{name}(…)`")),
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding,
                };
                self.found(frame.file, position, finding);
                Ty::Unknown
            }
        }
    }

    /// `receiver[index]`.
    pub(super) fn index(
        &mut self,
        frame: &mut Frame,
        receiver: Ty,
        index: &Ty,
        literal: Option<&Dynamic>,
        position: Position,
    ) -> Ty {
        let name = literal.and_then(|literal| literal.clone().into_string().ok());
        match (&receiver, name) {
            (Ty::Array(items), _) if *index == Ty::Int => (**items).clone(),
            (Ty::Map(values), _) => (**values).clone(),
            (Ty::Selection(traits), Some(name)) => self.agent(frame, *traits, &name, position),
            (Ty::Outcome(Some(called)), Some(name)) => self.output(frame, &called.clone(), &name, position),
            (Ty::Summary, _) => Ty::Int,
            _ => Ty::Unknown,
        }
    }

    fn agent(&mut self, frame: &Frame, traits: Traits, name: &str, position: Position) -> Ty {
        if let Some(schema) = self.known.schemas.get(name) {
            return Ty::Agent(schema.name.as_str().into(), traits);
        }
        let agents: Vec<&str> = self.known.schemas.iter().map(|schema| schema.name.as_str()).collect();
        let members = self.native.members(|kind| Ty::selection().is_receiver(kind));
        let message = format!("no agent `{name}` is known, nor has a selection such a property");
        let finding = Diagnostic::error(Code::UnknownAgent, message);
        let finding = if members.contains(&name) {
            finding.help(format!("it is a method: write `{name}(…)`"))
        } else {
            match nearest(name, agents.iter().copied().chain(members)) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help(format!("known agents: {}", quoted(&agents))),
            }
        };
        self.found(frame.file, position, finding);
        Ty::Unknown
    }

    /// `selection.agent.name(…)`.
    pub(super) fn action(
        &mut self,
        frame: &mut Frame,
        agent: &Arc<str>,
        traits: Traits,
        name: &str,
        arguments: &Arguments<'_>,
        position: Position,
    ) -> Ty {
        let Some(schema) = self.known.schemas.get(agent).cloned() else { return Ty::Results(None) };
        let Some(action) = self.known_action(frame, &schema, name, position) else {
            return Ty::Results(None);
        };
        let (given, ty) = (arguments.written.first(), arguments.types.first());
        if arguments.written.len() > 1 || ty.is_some_and(|ty| !matches!(ty, Ty::Map(_) | Ty::Unknown)) {
            let finding = Diagnostic::error(Code::Arguments, format!("the arguments of `{name}` are a map"));
            let at = given.map_or(position, Expr::start_position);
            self.found(frame.file, at, finding.help(format!("write `{name}(#{{ … }})`")));
        } else {
            self.call_arguments(frame, &schema, action, given, position);
        }
        self.unbounded(frame, traits, &schema, action, position);
        self.differing(frame, &schema, action, position);
        Ty::Results(Some(Called { agent: agent.clone(), action: name.into() }))
    }

    /// `selection.invoke("agent.action", #{…})`.
    pub(super) fn invoked(
        &mut self,
        frame: &mut Frame,
        traits: Traits,
        arguments: &Arguments<'_>,
        position: Position,
    ) -> Ty {
        let forms = self.native.forms("invoke");
        self.apply(frame, forms, None, arguments, position);
        let Some(written) = arguments.written.first() else { return Ty::Results(None) };
        let literal = self.literal(frame, written).and_then(|literal| literal.into_string().ok());
        let Some((agent, name)) = literal.as_deref().and_then(|text| text.split_once('.')) else {
            return Ty::Results(None);
        };
        let Some(schema) = self.known.schemas.get(agent).cloned() else {
            self.agent(frame, traits, agent, written.start_position());
            return Ty::Results(None);
        };
        let at = written.start_position();
        let Some(action) = self.known_action(frame, &schema, name, at) else { return Ty::Results(None) };
        self.call_arguments(frame, &schema, action, arguments.written.get(1), position);
        self.unbounded(frame, traits, &schema, action, position);
        self.differing(frame, &schema, action, at);
        Ty::Results(Some(Called { agent: agent.into(), action: name.into() }))
    }

    fn known_action<'s>(
        &mut self,
        frame: &Frame,
        schema: &'s AgentSchema,
        name: &str,
        position: Position,
    ) -> Option<&'s ActionSchema> {
        if let Some(action) = schema.action(name) {
            return Some(action);
        }
        let names: Vec<&str> = schema.actions.keys().map(String::as_str).collect();
        let message = format!("the agent `{}` has no action `{name}`", schema.name);
        let finding = Diagnostic::error(Code::UnknownAgent, message);
        let finding = match nearest(name, names.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("its actions: {}", quoted(&names))),
        };
        self.found(frame.file, position, finding);
        None
    }

    /// The arguments of a call against the schema: names, what is missing, literals by their value, the rest by type.
    fn call_arguments(
        &mut self,
        frame: &mut Frame,
        schema: &AgentSchema,
        action: &ActionSchema,
        given: Option<&Expr>,
        position: Position,
    ) {
        let mut names: Vec<String> = Vec::new();
        match given {
            None => {}
            Some(Expr::Map(entries, _)) => {
                for (name, value) in &entries.0 {
                    names.push(name.name.to_string());
                    let Some(input) = action.input(&name.name) else {
                        if !action.open_inputs {
                            let meant = self.unknown_input(frame, action, &name.name, name.pos);
                            // That it is missing as well would be the same fault twice.
                            names.extend(meant);
                        }
                        continue;
                    };
                    let json =
                        self.literal(frame, value).and_then(|value| to_json(&value, Secrets::Mask).ok());
                    let fault = match json {
                        Some(json) => input.fault(&json).map(|fault| fault.to_string()),
                        None => {
                            let ty = self.silently(|checker| checker.expression(frame, value));
                            (!passes(&ty, input.kind)).then(|| {
                                format!("`{}` must be {}, not {ty}", input.name, input.kind.described())
                            })
                        }
                    };
                    if let Some(fault) = fault {
                        let finding = Diagnostic::error(Code::Arguments, fault)
                            .note(format!("of `{}.{}`: {}", schema.name, action.name, input.description));
                        self.found(frame.file, value.start_position(), finding);
                    }
                }
            }
            // A map that is put together elsewhere: what is written out can still be told.
            Some(other) => match self.literal(frame, other).and_then(|map| map.try_cast::<rhai::Map>()) {
                Some(map) => names.extend(map.keys().map(ToString::to_string)),
                None => return,
            },
        }
        let is_missing = |input: &&orch_wire::schema::InputSchema| {
            !input.optional && input.default.is_none() && !names.contains(&input.name)
        };
        for input in action.inputs.iter().filter(is_missing) {
            let message = format!("`{}.{}` needs `{}`", schema.name, action.name, input.name);
            let finding = Diagnostic::error(Code::Arguments, message)
                .note(format!("`{}`: {}", input.name, input.description))
                .help(format!("write `{}(#{{ {}: … }})`", action.name, input.name));
            self.found(frame.file, position, finding);
        }
    }

    /// Tells of an argument that is no input; gives the input that is likely meant.
    fn unknown_input(
        &mut self,
        frame: &Frame,
        action: &ActionSchema,
        name: &str,
        position: Position,
    ) -> Option<String> {
        let names: Vec<&str> = action.inputs.iter().map(|input| input.name.as_str()).collect();
        let finding =
            Diagnostic::error(Code::Arguments, format!("`{name}` is no input of `{}`", action.name));
        let meant = nearest(name, names.iter().copied());
        let finding = match meant {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None if names.is_empty() => finding.help("it has none"),
            None => finding.help(format!("its inputs: {}", quoted(&names))),
        };
        self.found(frame.file, position, finding);
        meant.map(str::to_owned)
    }

    /// An output of an action, as a property of one of its results.
    fn output(&mut self, frame: &Frame, called: &Called, name: &str, position: Position) -> Ty {
        let Some(action) =
            self.known.schemas.get(&called.agent).and_then(|schema| schema.action(&called.action))
        else {
            return Ty::Unknown;
        };
        match action.output(name) {
            // A node may not have given it.
            Some(_) => Ty::Unknown,
            None => {
                let finding = unknown_field(called, action, name);
                self.found(frame.file, position, finding);
                Ty::Unknown
            }
        }
    }

    /// The name of a field in a string, of results whose action is known.
    pub(super) fn field(&mut self, frame: &Frame, called: &Called, name: &str, position: Position) {
        let Some(action) =
            self.known.schemas.get(&called.agent).and_then(|schema| schema.action(&called.action))
        else {
            return;
        };
        let root = name.split('.').next().unwrap_or(name);
        let known =
            OWN_FIELDS.contains(&root) || action.output(root).is_some() || action.output(name).is_some();
        if !known {
            let finding = unknown_field(called, action, name);
            self.found(frame.file, position, finding);
        }
    }
}

/// Nodes may give more than the schema declares, so that it is worth a look and no more.
fn unknown_field(called: &Called, action: &ActionSchema, name: &str) -> Diagnostic {
    let outputs: Vec<&str> = action.outputs.iter().map(|output| output.name.as_str()).collect();
    let message = format!("`{}.{}` has no output `{name}`", called.agent, called.action);
    let finding = Diagnostic::error(Code::UnknownField, message).as_warning();
    match nearest(name, outputs.iter().copied().chain(OWN_FIELDS)) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None if outputs.is_empty() => finding,
        None => finding.help(format!("its outputs: {}", quoted(&outputs))),
    }
}

/// Whether a value of a type may be what an input asks for.
fn passes(ty: &Ty, kind: ValueType) -> bool {
    match (ty, kind) {
        (Ty::Unknown, _) | (_, ValueType::Any | ValueType::List) => true,
        (Ty::String | Ty::Secret | Ty::Char, kind) => kind == ValueType::String,
        (Ty::Int, kind) => matches!(kind, ValueType::Integer | ValueType::Number),
        (Ty::Float, kind) => matches!(kind, ValueType::Float | ValueType::Number),
        (Ty::Number, kind) => matches!(kind, ValueType::Integer | ValueType::Float | ValueType::Number),
        (Ty::Bool, kind) => kind == ValueType::Boolean,
        (Ty::Array(_), kind) => kind == ValueType::Array,
        (Ty::Map(_), kind) => kind == ValueType::Hash,
        (Ty::Results(_), kind) => kind == ValueType::Array,
        (Ty::Nothing | Ty::Closure(_) | Ty::Selection(_) | Ty::Task, _) => false,
        _ => true,
    }
}
