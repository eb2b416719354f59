//! The notation in which functions of the language are described, and the types that it names.
//!
//! ```text
//! nodes(query: query) -> selection
//! selection.limit(most: portion) -> selection
//! selection.filter(keeps: |node| bool) -> selection
//! selection.expect(least: int, most?: int, options?: #{ unanswered?: int }) -> selection
//! selection + selection -> selection
//! selection.count -> int
//! result[name: string] -> any
//! log::info(value: any)
//! ```
//!
//! A `?` follows the name of what may be left out; `or` stands between types; a function without `->` gives nothing.

use std::fmt;

/// A type as far as it is known before a script runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    /// Nothing is known, or everything is allowed.
    Any,
    /// `()`.
    Nothing,
    Bool,
    Int,
    Float,
    /// An int or a float.
    Number,
    Char,
    String,
    /// A string that is a query.
    Query,
    /// A string that names a fact.
    Fact,
    /// A string that names a field of results.
    Field,
    /// A string that names an agent and an action.
    Action,
    /// A span of time: a string such as `30s`, or a number of seconds.
    Span,
    /// A number of nodes, or a share such as `25%`.
    Portion,
    Array(Box<Type>),
    /// A map with values of a type.
    Map(Box<Type>),
    /// A map with these entries and no others.
    Keys(Vec<Field>),
    Closure {
        params: Vec<Type>,
        returns: Box<Type>,
    },
    OneOf(Vec<Type>),
    Selection,
    Node,
    /// `selection.AGENT`.
    Agent,
    Results,
    /// One result.
    Outcome,
    Summary,
    Folded,
    Error,
    Task,
    Secret,
}

/// A parameter of a function, or an entry of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) optional: bool,
    pub(crate) kind: Type,
}

/// How something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `name(…)`, or `receiver.name(…)`.
    Function,
    /// `receiver.name`.
    Property,
    /// `receiver[name]`.
    Index,
    /// `left op right`.
    Operator,
}

/// One way to write a function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Form {
    pub(crate) kind: Kind,
    /// What it is called on.
    pub(crate) receiver: Option<Type>,
    pub(crate) name: String,
    pub(crate) params: Vec<Field>,
    pub(crate) returns: Type,
    /// As it was written.
    pub(crate) text: &'static str,
}

impl Form {
    /// Reads a form.
    pub(crate) fn parse(text: &'static str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let form = reader.form(text)?;
        match reader.rest.trim() {
            "" => Ok(form),
            rest => Err(format!("what is `{rest}`?")),
        }
    }

    /// Fewest and most arguments, the receiver not counted.
    pub(crate) fn arguments(&self) -> std::ops::RangeInclusive<usize> {
        let required = self.params.iter().filter(|param| !param.optional).count();
        required..=self.params.len()
    }

    /// The names under which an engine knows it, with the numbers of arguments, the receiver included.
    #[cfg(test)]
    pub(crate) fn engine_names(&self) -> Vec<(String, usize)> {
        match self.kind {
            Kind::Property => vec![(format!("get${}", self.name), 1)],
            Kind::Index => vec![("index$get$".to_owned(), 2)],
            Kind::Operator => vec![(self.name.clone(), 2)],
            Kind::Function => {
                let receiver = usize::from(self.receiver.is_some());
                self.arguments().map(|count| (self.name.clone(), count + receiver)).collect()
            }
        }
    }
}

struct Reader {
    rest: &'static str,
}

impl Reader {
    fn form(&mut self, text: &'static str) -> Result<Form, String> {
        let mut receiver = None;
        let mut name = self.word()?.to_owned();
        while self.take("::") {
            name = format!("{name}::{}", self.word()?);
        }
        let mut kind = Kind::Function;
        let mut params = Vec::new();
        if self.take(".") {
            receiver = Some(Type::named(&name)?);
            name = self.word()?.to_owned();
            kind = Kind::Property;
        } else if self.take("[") {
            receiver = Some(Type::named(&name)?);
            params.push(self.field()?);
            self.need("]")?;
            (name, kind) = (String::new(), Kind::Index);
        } else if let Some(sign) = ["+", "-", "&"].into_iter().find(|sign| self.begins(sign)) {
            self.need(sign)?;
            receiver = Some(Type::named(&name)?);
            params.push(Field { name: "other".to_owned(), optional: false, kind: self.one()? });
            (name, kind) = (sign.to_owned(), Kind::Operator);
        }
        if matches!(kind, Kind::Function | Kind::Property) && self.take("(") {
            kind = Kind::Function;
            params = self.fields(")")?;
        }
        let returns = if self.take("->") { self.kind()? } else { Type::Nothing };
        Ok(Form { kind, receiver, name, params, returns, text })
    }

    fn fields(&mut self, end: &str) -> Result<Vec<Field>, String> {
        let mut fields = Vec::new();
        while !self.take(end) {
            if !fields.is_empty() {
                self.need(",")?;
            }
            fields.push(self.field()?);
        }
        Ok(fields)
    }

    fn field(&mut self) -> Result<Field, String> {
        let name = self.word()?.to_owned();
        let optional = self.take("?");
        self.need(":")?;
        Ok(Field { name, optional, kind: self.kind()? })
    }

    /// A type, or several with `or` between them.
    fn kind(&mut self) -> Result<Type, String> {
        let first = self.one()?;
        let mut kinds = vec![first];
        while self.take("or ") {
            kinds.push(self.one()?);
        }
        Ok(match kinds.len() {
            1 => kinds.swap_remove(0),
            _ => Type::OneOf(kinds),
        })
    }

    fn one(&mut self) -> Result<Type, String> {
        if self.take("[") {
            let items = self.kind()?;
            self.need("]")?;
            return Ok(Type::Array(Box::new(items)));
        }
        if self.take("#{") {
            return Ok(Type::Keys(self.fields("}")?));
        }
        if self.take("|") {
            let mut params = Vec::new();
            while !self.take("|") {
                if !params.is_empty() {
                    self.need(",")?;
                }
                params.push(self.kind()?);
            }
            let ends = self.rest.trim_start().is_empty()
                || [",", ")", "}", "or "].iter().any(|end| self.begins(end));
            let returns = if ends { Type::Any } else { self.one()? };
            return Ok(Type::Closure { params, returns: Box::new(returns) });
        }
        let word = self.word()?;
        if word == "map" && self.take("of ") {
            return Ok(Type::Map(Box::new(self.one()?)));
        }
        Type::named(word)
    }

    fn begins(&self, what: &str) -> bool {
        self.rest.trim_start().starts_with(what)
    }

    fn take(&mut self, what: &str) -> bool {
        match self.rest.trim_start().strip_prefix(what) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, what: &str) -> Result<(), String> {
        if self.take(what) { Ok(()) } else { Err(format!("`{what}` is missing before `{}`", self.rest)) }
    }

    fn word(&mut self) -> Result<&'static str, String> {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        if word.is_empty() {
            return Err(format!("a name is missing before `{rest}`"));
        }
        self.rest = rest;
        Ok(word)
    }
}

/// Types that are a word.
const NAMED: [(&str, Type); 24] = [
    ("any", Type::Any),
    ("nothing", Type::Nothing),
    ("bool", Type::Bool),
    ("int", Type::Int),
    ("float", Type::Float),
    ("number", Type::Number),
    ("char", Type::Char),
    ("string", Type::String),
    ("query", Type::Query),
    ("fact", Type::Fact),
    ("field", Type::Field),
    ("action", Type::Action),
    ("span", Type::Span),
    ("portion", Type::Portion),
    ("selection", Type::Selection),
    ("node", Type::Node),
    ("agent", Type::Agent),
    ("results", Type::Results),
    ("result", Type::Outcome),
    ("summary", Type::Summary),
    ("folded", Type::Folded),
    ("error", Type::Error),
    ("task", Type::Task),
    ("secret", Type::Secret),
];

impl Type {
    /// The type of this name.
    pub(crate) fn named(word: &str) -> Result<Self, String> {
        match word {
            "array" => return Ok(Type::Array(Box::new(Type::Any))),
            "map" => return Ok(Type::Map(Box::new(Type::Any))),
            _ => {}
        }
        let found = NAMED.iter().find(|(name, _)| *name == word);
        found.map(|(_, kind)| kind.clone()).ok_or_else(|| format!("there is no type `{word}`"))
    }
}

impl Type {
    /// The type with its article, for sentences.
    pub(crate) fn described(&self) -> String {
        match self {
            Type::Any => "anything".to_owned(),
            Type::Nothing => "nothing".to_owned(),
            Type::Results => "results".to_owned(),
            Type::Folded => "folded results".to_owned(),
            Type::Query => "a query".to_owned(),
            Type::Fact => "the name of a fact".to_owned(),
            Type::Field => "the name of a field".to_owned(),
            Type::Action => "the name of an action, \"agent.action\"".to_owned(),
            Type::Span => "a span of time such as \"30s\"".to_owned(),
            Type::Portion => "a number of nodes, or a share such as \"10%\"".to_owned(),
            Type::Array(items) => match &**items {
                Type::Any => "an array".to_owned(),
                Type::Closure { .. } => "an array of closures".to_owned(),
                items => format!("an array of {items}s"),
            },
            Type::Map(_) | Type::Keys(_) => "a map".to_owned(),
            Type::Closure { .. } => "a closure".to_owned(),
            Type::OneOf(kinds) => kinds.iter().map(Type::described).collect::<Vec<_>>().join(" or "),
            Type::Int | Type::Agent | Type::Error => format!("an {self}"),
            named => format!("a {named}"),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |kinds: &[Type], between: &str| {
            kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
        };
        match self {
            Type::Array(items) if **items == Type::Any => f.write_str("array"),
            Type::Array(items) => write!(f, "[{items}]"),
            Type::Map(values) if **values == Type::Any => f.write_str("map"),
            Type::Map(values) => write!(f, "map of {values}"),
            Type::Keys(fields) => {
                let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
                write!(f, "#{{ {} }}", fields.join(", "))
            }
            Type::Closure { params, returns } => {
                write!(f, "|{}|", list(params, ", "))?;
                if **returns == Type::Any { Ok(()) } else { write!(f, " {returns}") }
            }
            Type::OneOf(kinds) => f.write_str(&list(kinds, " or ")),
            named => {
                let word = NAMED.iter().find(|(_, kind)| kind == named);
                f.write_str(word.map_or("any", |(word, _)| word))
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = if self.optional { "?" } else { "" };
        write!(f, "{}{optional}: {}", self.name, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_they_are_shown() {
        let form = Form::parse(
            "selection.expect(least: int, most?: int, options?: #{ unanswered?: int }) -> selection",
        );
        let form = form.unwrap();
        assert_eq!((form.kind, form.receiver.clone()), (Kind::Function, Some(Type::Selection)));
        assert_eq!(form.arguments(), 1..=3);
        assert_eq!(form.params[2].to_string(), "options?: #{ unanswered?: int }");
        let form =
            Form::parse("selection.each_of(ask: |node, int| bool, names: [string] or string)").unwrap();
        assert_eq!(form.params[0].to_string(), "ask: |node, int| bool");
        assert_eq!(form.params[1].to_string(), "names: [string] or string");
        assert_eq!(Form::parse("a() -> map of selection").unwrap().returns.to_string(), "map of selection");
        assert_eq!(form.returns, Type::Nothing);
        assert_eq!(Form::parse("background(work: ||) -> task").unwrap().params[0].to_string(), "work: ||");
        assert_eq!(Form::parse("selection - selection -> selection").unwrap().kind, Kind::Operator);
        assert_eq!(Form::parse("result[name: string] -> any").unwrap().kind, Kind::Index);
        assert_eq!(Form::parse("log::info(value: any)").unwrap().name, "log::info");
        for wrong in ["", "a(", "a(b)", "a(b: c)", "a() -> ", "a.b.c", "a() -> int x"] {
            assert!(Form::parse(wrong).is_err(), "{wrong}");
        }
    }
}
