//! Arguments that are written out: queries, spans of time, numbers of nodes, options, declarations of parameters.

use orch_wire::nodeset::Limit;
use orch_wire::query::Query;
use rhai::{Dynamic, Expr};

use super::checker::{Checker, Frame};
use super::functions::Arguments;
use super::ty::Ty;
use crate::diagnostic::{Code, Diagnostic};
use crate::script::nearest::nearest;
use crate::script::program::ParamType;
use crate::script::queries::fault_of_literal;
use crate::script::signature::{Field, Form, Type};
use crate::script::types::{portion, quoted, span};

impl Checker<'_> {
    /// Looks at an argument by its value, where that is written out.
    pub(super) fn argument(
        &mut self,
        frame: &mut Frame,
        form: &Form,
        param: &Field,
        written: &Expr,
        ty: &Ty,
        receiver: Option<&Ty>,
    ) {
        if let (Type::Keys(keys), Expr::Map(entries, _)) = (&param.kind, written) {
            for (name, value) in &entries.0 {
                match keys.iter().find(|key| key.name == name.name.as_str()) {
                    Some(key) => {
                        let ty = self.silently(|checker| checker.expression(frame, value));
                        if ty.fits(&key.kind) {
                            self.argument(frame, form, key, value, &ty, receiver);
                        } else {
                            let message = format!(
                                "`{}` of `{}` is {}, not {ty}",
                                key.name,
                                form.name,
                                key.kind.described()
                            );
                            self.found(
                                frame.file,
                                value.start_position(),
                                Diagnostic::error(Code::Usage, message),
                            );
                        }
                    }
                    None => {
                        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
                        let message = format!("`{}` has no option `{}`", form.name, name.name);
                        let finding = Diagnostic::error(Code::Usage, message);
                        let finding = match nearest(&name.name, names.iter().copied()) {
                            Some(near) => finding.help(format!("did you mean `{near}`?")),
                            None => finding.help(format!("its options: {}", quoted(&names))),
                        };
                        self.found(frame.file, name.pos, finding);
                    }
                }
            }
            return;
        }
        if let (Type::Array(items), Expr::Array(values, _)) = (&param.kind, written) {
            let param = Field { name: param.name.clone(), optional: false, kind: (**items).clone() };
            for value in values {
                let ty = self.silently(|checker| checker.expression(frame, value));
                self.argument(frame, form, &param, value, &ty, receiver);
            }
            return;
        }
        let Some(literal) = self.literal(frame, written) else { return };
        let kind = match &param.kind {
            Type::OneOf(kinds) => kinds.iter().find(|kind| ty.fits(kind)).unwrap_or(&Type::Any),
            kind => kind,
        };
        self.value(frame, form, kind, &literal, written, receiver);
    }

    fn value(
        &mut self,
        frame: &Frame,
        form: &Form,
        kind: &Type,
        literal: &Dynamic,
        written: &Expr,
        receiver: Option<&Ty>,
    ) {
        let text = literal.clone().into_string().ok();
        let position = written.start_position();
        let wrong = match (kind, text) {
            (Type::Query, Some(text)) => return self.query(frame, written, &text),
            (Type::Fact, Some(text)) => return self.fact(frame, &text, self.span(frame.file, position)),
            (Type::Field, Some(text)) => {
                if let Some(Ty::Results(Some(called))) = receiver {
                    self.field(frame, &called.clone(), &text, position);
                }
                return;
            }
            (Type::Action, Some(text)) if !text.contains('.') => {
                Some(format!("`{text}` names no action: write \"agent.action\""))
            }
            (Type::Span, _) => span(literal).err(),
            (Type::Portion, _) => wrong_portion(form, literal),
            _ => None,
        };
        if let Some(why) = wrong {
            self.found(frame.file, position, Diagnostic::error(Code::Usage, why));
        }
    }

    fn query(&mut self, frame: &Frame, written: &Expr, text: &str) {
        let span = self.span(frame.file, written.start_position());
        let Some(file) = self.file(frame.file) else { return };
        let is_written_here = matches!(written, Expr::StringConstant(..));
        match fault_of_literal(self.known.schemas, &file.source, span, text) {
            Some(fault) if is_written_here => {
                let at = fault.span.unwrap_or(span);
                self.found_at(frame.file, at, fault);
            }
            Some(fault) => self.found_at(frame.file, span, fault),
            None => {
                let Ok(query) = Query::parse(text) else { return };
                for name in query.fact_names() {
                    let mut place = span;
                    if let (true, Some(at)) = (is_written_here, text.find(name)) {
                        place.column += 1 + text.get(..at).map_or(0, |before| before.chars().count());
                        place.length = name.chars().count();
                    }
                    self.fact(frame, name, place);
                }
            }
        }
    }

    /// A fact that the fleet does not know, and that looks like one that it does.
    fn fact(&mut self, frame: &Frame, name: &str, span: crate::diagnostic::Span) {
        let Some(facts) = self.known.facts else { return };
        let reserved = ["identity", "collective", "agent"];
        // Elements of lists are not among the names.
        let is_element = name.split('.').any(|part| part.parse::<usize>().is_ok());
        if facts.is_empty() || facts.contains(name) || reserved.contains(&name) || is_element {
            return;
        }
        // Two edits make any other word of a short one.
        let length = name.chars().count();
        let most = if length < 5 { 1 } else { 2 };
        let near = facts
            .iter()
            .filter(|fact| fact.len().abs_diff(name.len()) <= most && length <= 80)
            .map(|fact| (strsim::damerau_levenshtein(name, fact), fact))
            .min();
        if let Some((_, near)) = near.filter(|(distance, _)| *distance <= most) {
            let finding =
                Diagnostic::error(Code::UnknownFact, format!("no node is known to have a fact `{name}`"))
                    .as_warning()
                    .help(format!("did you mean `{near}`?"));
            self.found_at(frame.file, span, finding);
        }
    }

    /// Type of the value of a parameter.
    pub(super) fn param_type(&mut self, frame: &mut Frame, arguments: &Arguments<'_>) -> Ty {
        let kind = arguments.written.get(1).and_then(|kind| self.literal(frame, kind));
        let kind =
            kind.and_then(|kind| kind.into_string().ok()).and_then(|kind| kind.parse::<ParamType>().ok());
        // A default of nothing tells that it was left out.
        if let Some(Ty::Nothing) = arguments.types.get(3) {
            return Ty::Unknown;
        }
        match kind {
            Some(ParamType::String | ParamType::Duration | ParamType::Choice(_)) => Ty::String,
            Some(ParamType::Int) => Ty::Int,
            Some(ParamType::Float) => Ty::Float,
            Some(ParamType::Bool) => Ty::Bool,
            Some(ParamType::List) => Ty::array(Ty::Unknown),
            Some(ParamType::Map) => Ty::Map(Box::default()),
            Some(ParamType::Secret) => Ty::Secret,
            None => Ty::Unknown,
        }
    }
}

/// What is wrong with a number or share of nodes.
fn wrong_portion(form: &Form, literal: &Dynamic) -> Option<String> {
    let text = match portion(literal) {
        Ok(text) => text,
        Err(why) => return Some(why),
    };
    let bears = ["tolerate", "rollout"].contains(&form.name.as_str());
    if bears && (text == "all" || text.trim_end_matches('%').parse::<u32>() == Ok(0)) {
        return None;
    }
    text.parse::<Limit>().err().map(|error| error.to_string())
}
