//! One line that allows or denies.

use std::{fmt, sync::Arc};

use super::{
    callers::Entry,
    condition::{Answer, Condition},
    decide::Request,
    decision::Effect,
    groups::Groups,
};
use crate::query::{DataCall, NodeView};

/// A compiled line: its effect holds for a call that fits every column.
pub(super) struct Rule {
    pub(super) line: usize,
    /// As written.
    pub(super) text: Arc<str>,
    pub(super) effect: Effect,
    pub(super) callers: Vec<Entry>,
    pub(super) actions: Actions,
    /// Facts and classes, or one query.
    pub(super) conditions: Vec<(Column, Condition)>,
}

/// The column of actions.
pub(super) enum Actions {
    All,
    Named(Vec<String>),
}

/// A column of a line, after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Who calls.
    Callers,
    /// What is called.
    Actions,
    /// Facts of the node.
    Facts,
    /// Classes of the node.
    Classes,
    /// A query, in the last column of four.
    Query,
}

impl Column {
    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Callers => "callers",
            Self::Actions => "actions",
            Self::Facts => "facts",
            Self::Classes => "classes",
            Self::Query => "query",
        }
    }
}

/// Why a line says nothing about a call: the first column that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The column.
    pub column: Column,
    /// The data function that the node has not, where that is the reason.
    pub undecided: Option<DataCall>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.column, &self.undecided) {
            (_, Some(call)) => write!(f, "the node cannot ask {call}, so that the line does not allow"),
            (Column::Callers, None) => f.write_str("it is for other callers"),
            (Column::Actions, None) => f.write_str("it is for other actions"),
            (Column::Facts, None) => f.write_str("its facts do not hold on the node"),
            (Column::Classes, None) => f.write_str("the node has not its classes"),
            (Column::Query, None) => f.write_str("its query does not hold on the node"),
        }
    }
}

impl Rule {
    /// Holds the line against a call: it matches, maybe because a data function could not be asked, or it does not.
    ///
    /// A condition that the node cannot decide is false in a line that allows and true in one that denies. Callers and
    /// actions are looked at first, so that no data function is asked for a call that the line is not about.
    pub(super) fn matches(
        &self,
        request: &Request<'_>,
        node: &NodeView<'_>,
        groups: &Groups,
    ) -> Result<Option<DataCall>, Mismatch> {
        let differs = |column| Err(Mismatch { column, undecided: None });
        if !self.callers.iter().any(|entry| entry.means(request.caller, groups)) {
            return differs(Column::Callers);
        }
        if let Actions::Named(names) = &self.actions
            && !names.iter().any(|name| name == request.action)
        {
            return differs(Column::Actions);
        }
        let mut assumed = None;
        for (column, condition) in &self.conditions {
            match condition.ask(node) {
                Answer::Holds => {}
                Answer::Differs => return differs(*column),
                Answer::Undecided(call) if self.effect == Effect::Deny => assumed = Some(call),
                Answer::Undecided(call) => {
                    return Err(Mismatch { column: *column, undecided: Some(call) });
                }
            }
        }
        Ok(assumed)
    }
}
