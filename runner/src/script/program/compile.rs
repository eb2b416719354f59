//! From the text of a script to something that can run: what can be told before a node is reached.

use std::collections::HashMap;
use std::sync::Arc;

use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, Position, Stmt};
use serde_json::{Map, Value};

use super::library::Library;
use super::modules::{File, Files};
use super::params::ParamType;
use super::tokens::Tokens;
use crate::diagnostic::{Code, Diagnostic, Severity, SourceText, Span};
use crate::script::check::{self, Known};
use crate::script::dry::Decisions;
use crate::script::engine::engine;
use crate::script::nearest::nearest;
use crate::script::types::{Secrets, quoted, to_json};

/// Positions in a script are counted in 16 bits.
const MOST_LINES: usize = 65_535;
/// Longest script, in bytes.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A compiled script, with everything that it imports.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub(crate) source: SourceText,
    pub(crate) ast: AST,
    pub(crate) files: Files,
    warnings: Vec<Diagnostic>,
    params: Vec<Param>,
    /// Whether some `param(…)` has a name that is only known when it runs.
    open: bool,
    pub(crate) fallbacks: Fallbacks,
}

/// Places of `secret(…)` that stand as the default of a parameter, with the names of the script and of that: when it is given, nobody asks for the
/// secret, though the engine evaluates the default first.
pub(crate) type Fallbacks = Arc<HashMap<Position, (String, String)>>;

/// A parameter that a script declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ParamType,
    /// What it is for.
    pub help: String,
    /// Whether it must be given.
    pub required: bool,
    /// Its default, where that is written out.
    pub default: Option<Value>,
    /// Where a secret comes from that is not given, where that is written out: `env:TOKEN`.
    pub source: Option<String>,
    /// Whether the declaration is reached whatever happens: outside of functions, branches and loops.
    certain: bool,
}

/// Compiles a script and tells everything that is wrong with it as far as that can be told without running it.
///
/// # Errors
/// With at least one diagnostic that is an error, and the warnings.
pub fn compile<'k>(source: &SourceText, known: impl Into<Known<'k>>) -> Result<Compiled, Vec<Diagnostic>> {
    let known = known.into();
    too_large(source)?;
    let engine = engine(known.schemas);
    let library = Library::default();
    let files = Files::load(&engine, source, known.library.unwrap_or(&library))?;
    let Some(File { ast, .. }) = files.script() else { return Err(Vec::new()) };
    let mut found = Found::default();
    ast.walk(&mut |path| {
        found.node(path);
        true
    });
    let mut faults = Vec::new();
    if !found.faults.is_empty() {
        let tokens = Tokens::of(&engine, &source.text);
        let place = |position| tokens.at(position).unwrap_or(Span { line: 1, column: 1, length: 1 });
        let declared = found.faults.into_iter();
        faults.extend(declared.map(|(position, diagnostic)| diagnostic.at(source, place(position))));
    }
    faults.extend(check::findings(known, &engine, &files));
    if faults.iter().any(|fault| fault.severity == Severity::Error) {
        return Err(faults);
    }
    Ok(Compiled {
        source: source.clone(),
        ast: ast.clone(),
        warnings: faults,
        params: found.params,
        open: found.open,
        fallbacks: Arc::new(
            found.fallbacks.into_iter().map(|(at, param)| (at, (source.name.to_string(), param))).collect(),
        ),
        files,
    })
}

fn too_large(source: &SourceText) -> Result<(), Vec<Diagnostic>> {
    let lines = source.text.lines().count();
    let longest = source.text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let message = if source.text.len() > MOST_BYTES {
        format!("the script has {} bytes; at most {MOST_BYTES} are read", source.text.len())
    } else if lines > MOST_LINES {
        format!("the script has {lines} lines; places can be told in {MOST_LINES}")
    } else if longest > MOST_LINES {
        format!("a line of the script has {longest} characters; places can be told in {MOST_LINES}")
    } else {
        return Ok(());
    };
    Err(vec![Diagnostic::error(Code::TooLarge, message).note(format!("in {}", source.name))])
}

impl Compiled {
    /// On what it decides by `switch`, its modules too.
    pub(crate) fn decisions(&self) -> Decisions {
        let files = self.files.0.iter().map(|file| &file.ast);
        Decisions::of(std::iter::once(&self.ast).chain(files))
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &SourceText {
        &self.source
    }

    /// What is hardly meant in it.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The parameters that it declares with literal names, in the order of the script.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The text at its head (`//!`) that says what it is for; empty without one.
    pub fn doc(&self) -> String {
        let lines = self.ast.doc().lines().map(|line| {
            let line = line.trim_start_matches("//!");
            line.strip_prefix(' ').unwrap_or(line).to_owned()
        });
        lines.collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    /// Tells what is wrong with the parameters that were given, before anything runs.
    ///
    /// # Errors
    /// With a diagnostic for each that is unknown, missing or does not have its type.
    pub fn check_params(&self, given: &Map<String, Value>) -> Result<(), Vec<Diagnostic>> {
        let mut faults = Vec::new();
        let names: Vec<&str> = self.params.iter().map(|param| param.name.as_str()).collect();
        let script = |message: String| {
            Diagnostic::error(Code::Parameter, message).note(format!("in {}", self.source.name))
        };
        for (name, value) in given {
            match self.params.iter().find(|param| param.name == *name) {
                Some(param) => {
                    if let Err(why) = param.kind.read(value) {
                        faults.push(script(format!("the parameter `{name}` {why}")));
                    }
                }
                None if self.open => {}
                None => {
                    let unknown = script(format!("the script has no parameter `{name}`"));
                    faults.push(match nearest(name, names.iter().copied()) {
                        Some(near) => unknown.help(format!("did you mean `{near}`?")),
                        None if names.is_empty() => unknown.help("it has none"),
                        None => unknown.help(format!("its parameters are {}", quoted(&names))),
                    });
                }
            }
        }
        for param in self.params.iter().filter(|param| param.required && param.certain) {
            if !given.contains_key(&param.name) {
                let missing = script(format!("the parameter `{}` is missing", param.name));
                faults.push(
                    missing
                        .note(&param.help)
                        .help(format!("add `{}=…` after the name of the script", param.name)),
                );
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// What a walk over a script finds.
#[derive(Default)]
struct Found {
    params: Vec<Param>,
    open: bool,
    fallbacks: HashMap<Position, String>,
    faults: Vec<(Position, Diagnostic)>,
}

impl Found {
    fn node(&mut self, path: &[ASTNode<'_>]) {
        let (call, position) = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, position) | Expr::MethodCall(call, position))) => {
                (call, *position)
            }
            Some(ASTNode::Stmt(Stmt::FnCall(call, position))) => (call, *position),
            _ => return,
        };
        if call.name == "param" && (3..=4).contains(&call.args.len()) {
            self.param(path, call, position);
        }
    }

    fn param(&mut self, path: &[ASTNode<'_>], call: &FnCallExpr, position: Position) {
        let text = |at: usize| match call.args.get(at) {
            Some(Expr::StringConstant(text, position)) => Some((text.to_string(), *position)),
            _ => None,
        };
        let (Some((name, at)), Some((kind, kind_at))) = (text(0), text(1)) else {
            self.open = true;
            return;
        };
        let kind: ParamType = match kind.parse() {
            Ok(kind) => kind,
            Err(why) => return self.faults.push((kind_at, Diagnostic::error(Code::Declaration, why))),
        };
        if self.params.iter().any(|param| param.name == name) {
            let twice = format!("the parameter `{name}` is declared twice");
            return self.faults.push((at, Diagnostic::error(Code::Declaration, twice)));
        }
        let default = call.args.get(3).and_then(|default| default.get_literal_value(None));
        let default = default.filter(|value| !value.is_unit()).map(|value| to_json(&value, Secrets::Mask));
        let default = default.and_then(Result::ok);
        if let Some(Err(why)) = default.as_ref().map(|default| kind.read(default)) {
            let wrong = format!("the default of the parameter `{name}` {why}");
            return self.faults.push((position, Diagnostic::error(Code::Declaration, wrong)));
        }
        let mut source = None;
        if let Some(Expr::FnCall(secret, at)) = call.args.get(3)
            && secret.name == "secret"
        {
            self.fallbacks.insert(*at, name.clone());
            source = secret.args.first().and_then(|source| match source {
                Expr::StringConstant(text, _) => Some(text.to_string()),
                _ => None,
            });
        }
        self.params.push(Param {
            name,
            kind,
            source,
            help: text(2).map(|(help, _)| help).unwrap_or_default(),
            required: call.args.len() == 3,
            default,
            certain: path.iter().rev().skip(1).all(|node| matches!(node, ASTNode::Stmt(Stmt::Var(..)))),
        });
    }
}

/// Names of all functions that a script could call, for suggestions.
pub(crate) fn function_names(engine: &Engine) -> Vec<String> {
    let names = engine.collect_fn_metadata(
        None,
        |function| {
            let name = function.metadata.name.as_str();
            rhai::is_valid_identifier(name).then(|| name.to_owned())
        },
        true,
    );
    let unique: std::collections::BTreeSet<String> = names.into_iter().collect();
    unique.into_iter().collect()
}
