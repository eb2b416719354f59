//! Names that are in scope, with what is known of them.

use std::collections::HashSet;

use rhai::{Dynamic, Position};

use super::ty::Ty;

/// A variable or constant.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) ty: Ty,
    /// The value of a constant that is written out.
    pub(super) literal: Option<Dynamic>,
    /// Where it is declared; none for a parameter.
    pub(super) declared: Option<Position>,
    pub(super) is_used: bool,
    /// Whether a closure has captured it.
    pub(super) is_captured: bool,
}

/// The variables of one function, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Scope {
    variables: Vec<Variable>,
    /// Declarations that turned out to hold values of several types: nothing is claimed about them.
    unsteady: HashSet<Position>,
}

impl Scope {
    pub(super) fn with_unsteady(unsteady: HashSet<Position>) -> Self {
        Self { variables: Vec::new(), unsteady }
    }

    pub(super) fn into_unsteady(self) -> HashSet<Position> {
        self.unsteady
    }

    /// Adds a parameter, or another name that nobody declares.
    pub(super) fn bind(&mut self, name: &str, ty: Ty) {
        self.variables.push(Variable {
            name: name.to_owned(),
            ty,
            literal: None,
            declared: None,
            is_used: true,
            is_captured: false,
        });
    }

    /// Adds a declaration.
    pub(super) fn declare(&mut self, name: &str, ty: Ty, literal: Option<Dynamic>, position: Position) {
        let ty = if self.unsteady.contains(&position) { Ty::Unknown } else { ty };
        self.variables.push(Variable {
            name: name.to_owned(),
            ty,
            literal,
            declared: Some(position),
            is_used: false,
            is_captured: false,
        });
    }

    /// The variable that a name means here.
    pub(super) fn find(&mut self, name: &str) -> Option<&mut Variable> {
        self.variables.iter_mut().rfind(|variable| variable.name == name)
    }

    /// Notes that a variable holds a value of this type too.
    pub(super) fn assign(&mut self, name: &str, ty: &Ty) {
        let Some(variable) = self.variables.iter_mut().rfind(|variable| variable.name == name) else {
            return;
        };
        if !variable.ty.agrees(ty) {
            self.unsteady.extend(variable.declared);
            variable.ty = Ty::Unknown;
        } else {
            variable.ty = std::mem::take(&mut variable.ty).or(ty.clone());
        }
        variable.literal = None;
    }

    pub(super) fn depth(&self) -> usize {
        self.variables.len()
    }

    /// Leaves a block; gives the variables that end with it.
    pub(super) fn leave(&mut self, depth: usize) -> Vec<Variable> {
        self.variables.split_off(depth.min(self.variables.len()))
    }
}
