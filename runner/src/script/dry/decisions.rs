//! What a script decides on without a hook of the engine that a dry run could hold. For a value of another type than its cases a `switch` takes
//! the last one without a word; and what a condition refuses, a `catch` that does not look at its error hides. So a dry run has to
//! know before on what a script decides.

use std::collections::HashSet;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Stmt};

/// What the `switch`es of a script and its modules look at, and, where something in them is tried, the conditions too.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    /// Names of variables, and the last properties and methods of chains.
    names: HashSet<String>,
    /// Some look at what has no name, such as what a function gives.
    other: bool,
}

impl Decisions {
    pub(crate) fn of<'a>(asts: impl Iterator<Item = &'a AST> + Clone) -> Self {
        let mut tries = false;
        let mut functions = HashSet::new();
        for ast in asts.clone() {
            functions.extend(ast.iter_functions().map(|function| function.name.to_owned()));
            ast.walk(&mut |path| {
                tries |= matches!(path.last(), Some(ASTNode::Stmt(Stmt::TryCatch(..))));
                true
            });
        }
        let mut decisions = Self::default();
        let is_own = |call: &FnCallExpr| call.is_qualified() || functions.contains(call.name.as_str());
        for ast in asts {
            ast.walk(&mut |path| {
                match path.last() {
                    Some(ASTNode::Stmt(Stmt::Switch(parts, _))) => decisions.look(&parts.0, |_| true),
                    Some(node) if tries => {
                        for condition in conditions(node) {
                            decisions.look(condition, is_own);
                        }
                    }
                    _ => {}
                }
                true
            });
        }
        decisions
    }

    /// Looks at what is decided on; of calls only at those that may give what nobody knows.
    fn look(&mut self, value: &Expr, may_give_unknown: impl Fn(&FnCallExpr) -> bool) {
        match value {
            Expr::Variable(parts, ..) => {
                self.names.insert(parts.1.to_string());
            }
            Expr::Property(parts, _) => {
                self.names.insert(parts.2.to_string());
            }
            Expr::MethodCall(call, _) => {
                self.names.insert(call.name.to_string());
            }
            Expr::Dot(parts, ..) => self.look(&parts.rhs, may_give_unknown),
            Expr::FnCall(call, _) if !may_give_unknown(call) => {}
            // Each of their sides is a condition of its own, and what they give is true or false.
            Expr::And(..) | Expr::Or(..) => {}
            constant if constant.is_constant() => {}
            _ => self.other = true,
        }
    }

    /// Whether one looks at something of this name.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether one looks at what has no name.
    pub(crate) fn on_others(&self) -> bool {
        self.other
    }
}

/// What must be true or false, or gone through, for the engine to go on. A list or text that is written out is known, whatever is in it.
fn conditions<'a>(node: &ASTNode<'a>) -> Vec<&'a Expr> {
    let mut conditions: Vec<&Expr> = match node {
        ASTNode::Stmt(Stmt::If(parts, _) | Stmt::While(parts, _) | Stmt::Do(parts, ..)) => vec![&parts.expr],
        ASTNode::Stmt(Stmt::For(parts, _)) => vec![&parts.2.expr],
        ASTNode::Expr(Expr::And(sides, _) | Expr::Or(sides, _)) => sides.iter().collect(),
        _ => Vec::new(),
    };
    conditions
        .retain(|value| !matches!(value, Expr::Array(..) | Expr::Map(..) | Expr::InterpolatedString(..)));
    conditions
}
