//! What a script decides on by `switch`. For a value of another type than its cases the engine takes the last one without a word, so that a
//! dry run has to know before on what a `switch` looks.

use std::collections::HashSet;

use rhai::{AST, ASTNode, Expr, Stmt};

/// What the `switch`es of a script and its modules look at.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    /// Names of variables, and the last properties and methods of chains.
    names: HashSet<String>,
    /// Some look at what has no name, such as what a function gives.
    other: bool,
}

impl Switches {
    pub(crate) fn of<'a>(asts: impl Iterator<Item = &'a AST>) -> Self {
        let mut switches = Self::default();
        for ast in asts {
            ast.walk(&mut |path| {
                if let Some(ASTNode::Stmt(Stmt::Switch(parts, _))) = path.last() {
                    switches.look(&parts.0);
                }
                true
            });
        }
        switches
    }

    fn look(&mut self, value: &Expr) {
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
            Expr::Dot(parts, ..) => self.look(&parts.rhs),
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
