//! The parsed form of a query.

use std::{collections::HashSet, ops::Range};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{ParseError, pattern::Pattern};

/// A compiled query.
///
/// Travels as its text (serde) and compares by meaning of its parts: two spellings of
/// one query (`a=1` and `(a == '1')`) are equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    expr: Expr,
}

/// An expression: terms joined by `and`, `or` and `not`.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// All of these hold; two or more, none of them an `All`.
    All(Vec<Expr>),
    /// Any of these holds; two or more, none of them an `Any`.
    Any(Vec<Expr>),
    /// This does not hold.
    Not(Box<Expr>),
    /// A single question about the node.
    Term(Term),
}

/// A single question about the node.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// The node has exactly this class.
    Class(String),
    /// Some class of the node matches.
    ClassMatches(Pattern),
    /// A fact compares so.
    Fact {
        /// The fact, possibly a dotted path.
        name: String,
        /// The comparison.
        test: Test,
    },
    /// An output of a data function, asked on the node now, compares so.
    Data {
        /// The function and its argument.
        call: DataCall,
        /// The output; may be left out where the function has only one.
        field: Option<String>,
        /// The comparison.
        test: Test,
        /// Where these stand, for whoever has something to say about them.
        places: Places,
    },
}

/// Where the parts of a data function's comparison stand, in bytes of the text that was parsed.
///
/// Equal to any other: spellings of one query are equal wherever its parts stand.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The name of the function.
    pub function: Range<usize>,
    /// The argument with its quotes; empty and behind the `(` where there is none.
    pub argument: Range<usize>,
    /// The name of the output; empty and behind the `)` where there is none.
    pub field: Range<usize>,
    /// The value, with its quotes or slashes.
    pub value: Range<usize>,
}

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A call of a data function.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataCall {
    /// Name of the function.
    pub function: String,
    /// Its argument, where one is given.
    pub argument: Option<String>,
}

/// A comparison with a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// `=`, `==`
    Equals(String),
    /// `!=`
    Differs(String),
    /// `<`, `<=`, `>`, `>=`
    Orders(Order, String),
    /// `=~`, and `=` with a `/regex/`
    Matches(Pattern),
    /// `!=` with a `/regex/`
    Avoids(Pattern),
}

/// An ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Order {
    /// Whether the ordering holds for an outcome of a comparison.
    pub(crate) fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

impl Expr {
    /// Joins by `and`; nested conjunctions are flattened, so that the printed text,
    /// which has no needless parentheses, parses to the same value. None of no parts.
    pub(crate) fn all(parts: Vec<Expr>) -> Option<Expr> {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            if let Expr::All(inner) = part { flat.extend(inner) } else { flat.push(part) }
        }
        if flat.len() < 2 { flat.pop() } else { Some(Expr::All(flat)) }
    }

    /// Joins by `or`, flattened likewise.
    pub(crate) fn any(parts: Vec<Expr>) -> Option<Expr> {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            if let Expr::Any(inner) = part { flat.extend(inner) } else { flat.push(part) }
        }
        if flat.len() < 2 { flat.pop() } else { Some(Expr::Any(flat)) }
    }

    /// Visits every term, left to right.
    fn each_term<'a>(&'a self, visit: &mut dyn FnMut(&'a Term)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each_term(visit)),
            Self::Not(inner) => inner.each_term(visit),
            Self::Term(term) => visit(term),
        }
    }
}

impl Query {
    /// Parses and compiles a query.
    ///
    /// # Errors
    /// With the place at fault, when the text is not a query or passes a limit.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        super::parse::query(text).map(|expr| Self { expr })
    }

    /// Wraps an expression that was put together from parts, by way of its text: what
    /// this end builds must be accepted by the other end's parser, limits included.
    pub(crate) fn assembled(expr: Expr) -> Result<Self, ParseError> {
        Self::parse(&Self { expr }.to_string())
    }

    /// Both queries hold.
    ///
    /// # Errors
    /// When the whole passes a limit.
    pub fn and(self, other: Query) -> Result<Self, ParseError> {
        let expr = Expr::All(vec![self.expr, other.expr]);
        Self::assembled(expr)
    }

    /// The expression, for checks and explanations.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Every term, left to right.
    pub fn terms(&self) -> Vec<&Term> {
        let mut terms = Vec::new();
        self.expr.each_term(&mut |term| terms.push(term));
        terms
    }

    /// The data functions the query asks, each call once, in the order of the text, so
    /// that a node may collect their answers before it evaluates.
    pub fn data_calls(&self) -> Vec<&DataCall> {
        let mut seen = HashSet::new();
        let calls = self.terms().into_iter().filter_map(|term| match term {
            Term::Data { call, .. } => Some(call),
            _ => None,
        });
        calls.filter(|call| seen.insert(*call)).collect()
    }

    /// The facts the query asks, as written, each once.
    pub fn fact_names(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let names = self.terms().into_iter().filter_map(|term| match term {
            Term::Fact { name, .. } => Some(name.as_str()),
            _ => None,
        });
        names.filter(|name| seen.insert(*name)).collect()
    }
}

impl std::str::FromStr for Query {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}
