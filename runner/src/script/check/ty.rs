//! What is known of a value before the script runs.

use std::fmt;
use std::sync::Arc;

use crate::script::signature::Type;

/// A type as it was inferred. Nothing is ever claimed about what is [`Ty::Unknown`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum Ty {
    #[default]
    Unknown,
    Nothing,
    Bool,
    Int,
    Float,
    Number,
    Char,
    String,
    Array(Box<Ty>),
    /// A map whose values have this type.
    Map(Box<Ty>),
    Closure(Arc<Closure>),
    Selection(Traits),
    Node,
    /// `selection.AGENT`, by its name.
    Agent(Arc<str>, Traits),
    Results(Option<Called>),
    Outcome(Option<Called>),
    Summary,
    Folded,
    Error,
    Task,
    Secret,
}

/// What is known of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Traits {
    /// It may be the whole fleet: made by `nodes()`, and nothing has limited it since.
    pub(super) unbounded: bool,
}

/// The action whose results these are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Called {
    pub(super) agent: Arc<str>,
    pub(super) action: Arc<str>,
}

/// A closure: the function that it is, and what it captures.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Closure {
    /// The file it stands in.
    pub(super) file: usize,
    /// Its name there.
    pub(super) name: String,
    /// Types of what it captures, in the order of its first parameters.
    pub(super) captured: Vec<Ty>,
}

impl Ty {
    pub(super) fn array(items: Ty) -> Self {
        Ty::Array(Box::new(items))
    }

    pub(super) fn selection() -> Self {
        Ty::Selection(Traits::default())
    }

    /// The type that authors call so in `@param`.
    pub(super) fn named(word: &str) -> Option<Self> {
        Type::named(word).ok().map(|kind| Ty::of(&kind))
    }

    /// What a function gives back that is described to give this.
    pub(super) fn of(kind: &Type) -> Self {
        match kind {
            Type::Any | Type::Span | Type::Portion | Type::Closure { .. } => Ty::Unknown,
            Type::Nothing => Ty::Nothing,
            Type::Bool => Ty::Bool,
            Type::Int => Ty::Int,
            Type::Float => Ty::Float,
            Type::Number => Ty::Number,
            Type::Char => Ty::Char,
            Type::String | Type::Query | Type::Fact | Type::Field | Type::Action => Ty::String,
            Type::Array(items) => Ty::array(Ty::of(items)),
            Type::Map(values) => Ty::Map(Box::new(Ty::of(values))),
            Type::Keys(_) => Ty::Map(Box::default()),
            Type::OneOf(kinds) => kinds.iter().map(Ty::of).reduce(Ty::or).unwrap_or_default(),
            Type::Selection => Ty::selection(),
            Type::Node => Ty::Node,
            // Only the agent itself says which it is.
            Type::Agent => Ty::Unknown,
            Type::Results => Ty::Results(None),
            Type::Outcome => Ty::Outcome(None),
            Type::Summary => Ty::Summary,
            Type::Folded => Ty::Folded,
            Type::Error => Ty::Error,
            Type::Task => Ty::Task,
            Type::Secret => Ty::Secret,
        }
    }

    /// What is known when it is either of both.
    pub(super) fn or(self, other: Ty) -> Ty {
        match (self, other) {
            (a, b) if a == b => a,
            (Ty::Selection(a), Ty::Selection(b)) => {
                Ty::Selection(Traits { unbounded: a.unbounded && b.unbounded })
            }
            (Ty::Results(_), Ty::Results(_)) => Ty::Results(None),
            (Ty::Outcome(_), Ty::Outcome(_)) => Ty::Outcome(None),
            (Ty::Array(a), Ty::Array(b)) => Ty::array(a.or(*b)),
            (Ty::Map(a), Ty::Map(b)) => Ty::Map(Box::new(a.or(*b))),
            (Ty::Int | Ty::Float | Ty::Number, Ty::Int | Ty::Float | Ty::Number) => Ty::Number,
            _ => Ty::Unknown,
        }
    }

    /// Whether a variable of this type may be given such a value too, without being known less.
    pub(super) fn agrees(&self, other: &Ty) -> bool {
        self == other || matches!((self, other), (Ty::Selection(_), Ty::Selection(_)))
    }

    /// What `for` gives of it.
    pub(super) fn items(&self) -> Ty {
        match self {
            Ty::Array(items) => (**items).clone(),
            Ty::Selection(_) => Ty::Node,
            Ty::Results(called) => Ty::Outcome(called.clone()),
            Ty::Summary | Ty::Folded => Ty::Map(Box::default()),
            Ty::String => Ty::Char,
            _ => Ty::Unknown,
        }
    }

    /// Whether a value of this type can be what a function asks for. Where it is not known, it can.
    pub(super) fn fits(&self, asked: &Type) -> bool {
        match (asked, self) {
            (Type::Any, _) | (_, Ty::Unknown) => true,
            (Type::OneOf(kinds), ty) => kinds.iter().any(|kind| ty.fits(kind)),
            (Type::Nothing, Ty::Nothing)
            | (Type::Bool, Ty::Bool)
            | (Type::Int, Ty::Int | Ty::Number)
            | (Type::Float, Ty::Float | Ty::Number)
            | (Type::Number, Ty::Int | Ty::Float | Ty::Number)
            | (Type::Char, Ty::Char)
            | (Type::String | Type::Query | Type::Fact | Type::Field | Type::Action, Ty::String)
            | (Type::Span, Ty::String | Ty::Int | Ty::Float | Ty::Number)
            | (Type::Portion, Ty::String | Ty::Int | Ty::Number)
            | (Type::Keys(_), Ty::Map(_))
            | (Type::Closure { .. }, Ty::Closure(_))
            | (Type::Selection, Ty::Selection(_))
            | (Type::Node, Ty::Node)
            | (Type::Agent, Ty::Agent(..))
            | (Type::Results, Ty::Results(_))
            | (Type::Outcome, Ty::Outcome(_))
            | (Type::Summary, Ty::Summary)
            | (Type::Folded, Ty::Folded)
            | (Type::Error, Ty::Error)
            | (Type::Task, Ty::Task)
            | (Type::Secret, Ty::Secret) => true,
            (Type::Array(asked), Ty::Array(items)) => items.fits(asked),
            (Type::Map(asked), Ty::Map(values)) => values.fits(asked),
            _ => false,
        }
    }

    /// The type that methods are described for.
    pub(super) fn is_receiver(&self, receiver: &Type) -> bool {
        *self != Ty::Unknown && *receiver != Type::Any && self.fits(receiver)
    }

    /// The verb that follows on its name.
    pub(super) fn has(&self) -> &'static str {
        if matches!(self, Ty::Results(_) | Ty::Folded) { "have" } else { "has" }
    }

    /// Whether it is one of the values that orch brings to the language.
    pub(super) fn is_own(&self) -> bool {
        matches!(
            self,
            Ty::Selection(_)
                | Ty::Node
                | Ty::Agent(..)
                | Ty::Results(_)
                | Ty::Outcome(_)
                | Ty::Summary
                | Ty::Folded
                | Ty::Error
                | Ty::Task
                | Ty::Secret
        )
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ty::Unknown => "a value",
            Ty::Nothing => "nothing",
            Ty::Bool => "a bool",
            Ty::Int => "an int",
            Ty::Float => "a float",
            Ty::Number => "a number",
            Ty::Char => "a char",
            Ty::String => "a string",
            Ty::Array(_) => "an array",
            Ty::Map(_) => "a map",
            Ty::Closure(_) => "a closure",
            Ty::Selection(_) => "a selection",
            Ty::Node => "a node",
            Ty::Agent(..) => "an agent",
            Ty::Results(_) => "results",
            Ty::Outcome(_) => "a result",
            Ty::Summary => "a summary",
            Ty::Folded => "folded results",
            Ty::Error => "an error",
            Ty::Task => "a task",
            Ty::Secret => "a secret",
        })
    }
}
