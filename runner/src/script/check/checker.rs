//! The check of a whole program: which functions are looked at, with which types, and what was found.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rhai::{AST, ASTNode, Engine, Expr, ImmutableString, Position, ScriptFuncDef, Shared, Stmt};

use super::known::Known;
use super::native::Native;
use super::scope::{Scope, Variable};
use super::shadow;
use super::ty::{Closure, Ty};
use crate::diagnostic::{Code, Diagnostic, Severity, Span};
use crate::script::program::{File, Files, Tokens};

/// Deepest calls of functions that are followed; further ones give what is not known.
const DEPTH: usize = 48;
/// Most calls of one function with different types that are followed.
const VARIANTS: usize = 32;
/// Most expressions that are looked at: what is left after that is not known. A check must end.
const MOST_STEPS: usize = 500_000;

/// A function of the program with its body.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) definition: Shared<ScriptFuncDef>,
    body: Vec<Stmt>,
    /// What its comments say of its parameters.
    stated: Vec<Ty>,
    /// Whether it asks for the type of a value: it does other things with other types then, and nothing is claimed.
    asks_for_types: bool,
}

impl Function {
    fn new(ast: &AST, definition: &Shared<ScriptFuncDef>) -> Self {
        let (name, count) = (&definition.name, definition.params.len());
        // The engine gives bodies only to those who walk through them.
        let mut alone = ast.clone_functions_only();
        alone.retain_functions(|_, _, other, params| other == name && params == count);
        let mut body = Vec::new();
        let mut asks_for_types = false;
        alone.walk(&mut |path| {
            match path {
                [ASTNode::Stmt(statement)] => body.push((*statement).clone()),
                [.., ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))] => {
                    asks_for_types |= call.name == "type_of";
                }
                _ => {}
            }
            true
        });
        Self { definition: definition.clone(), body, stated: stated(definition), asks_for_types }
    }

    fn is_closure(&self) -> bool {
        !rhai::is_valid_identifier(&self.definition.name)
    }
}

/// What is known of the function that is looked at.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) file: usize,
    pub(super) scope: Scope,
    /// Types of the values that `return` gives.
    pub(super) returns: Vec<Ty>,
    /// Names that it captured, if it is a closure.
    pub(super) captured: Vec<String>,
    /// Whether it runs beside others: it has copies of what it captured.
    pub(super) is_branch: bool,
    pub(super) this: Ty,
}

/// A function with the types that it is called with, and whether as a branch.
type Called = (usize, ImmutableString, Vec<Ty>, bool);

/// The check in progress.
pub(super) struct Checker<'a> {
    pub(super) known: Known<'a>,
    pub(super) engine: &'a Engine,
    pub(super) native: &'a Native,
    pub(super) files: &'a Files,
    tokens: Vec<OnceCell<Tokens<'a>>>,
    functions: Vec<HashMap<(ImmutableString, usize), Arc<Function>>>,
    findings: Vec<Diagnostic>,
    /// While a function is looked at a first time, only to learn which variables change their type.
    silent: usize,
    /// What functions give for these types; nothing while they are looked at.
    done: HashMap<Called, Ty>,
    /// The same, as far as it was learnt in silence.
    given: HashMap<Called, Ty>,
    depth: usize,
    steps: usize,
    /// Closures that were made, and not yet looked at as an argument.
    waiting: Vec<Arc<Closure>>,
    seen: HashSet<Arc<Closure>>,
    /// Constants of the top level, which functions read as `global::NAME`, and those that some function reads.
    constants: HashMap<(usize, String), Ty>,
    read: HashSet<(usize, String)>,
    /// Variables of the top level that nothing there uses: functions may still.
    unused: Vec<(usize, Variable)>,
    /// Agents, and actions, of which it was told how nodes differ.
    pub(super) told: HashSet<String>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(known: Known<'a>, engine: &'a Engine, files: &'a Files) -> Self {
        let functions = files.0.iter().map(|file| {
            let all = file.ast.shared_lib().iter_script_fn_info();
            all.map(|(.., name, count, definition)| {
                ((name.into(), count), Arc::new(Function::new(&file.ast, definition)))
            })
            .collect::<HashMap<_, _>>()
        });
        Self {
            known,
            engine,
            native: Native::get(),
            files,
            tokens: files.0.iter().map(|_| OnceCell::new()).collect(),
            functions: functions.collect(),
            findings: Vec::new(),
            silent: 0,
            done: HashMap::new(),
            given: HashMap::new(),
            depth: 0,
            steps: 0,
            waiting: Vec::new(),
            seen: HashSet::new(),
            constants: HashMap::new(),
            read: HashSet::new(),
            unused: Vec::new(),
            told: HashSet::new(),
        }
    }

    /// Looks at everything; the findings in the order of the files and of their lines.
    pub(super) fn run(mut self) -> Vec<Diagnostic> {
        for file in 0..self.files.0.len() {
            if let (Some(at), Some(tokens)) = (self.files.0.get(file), self.tokens(file)) {
                let faults =
                    shadow::faults(self.engine, &at.ast, &at.source, tokens, |action| self.is_meant(action));
                self.findings.extend(faults);
            }
            self.top_level(file);
        }
        // Functions that nobody calls with known types are looked at with what their comments say. Of the modules that ship with
        // the program only what a script uses must fit the agents that it knows.
        for file in 0..self.files.0.len() {
            if self.file(file).is_some_and(File::is_standard) {
                continue;
            }
            let mut functions: Vec<Arc<Function>> = self
                .functions
                .get(file)
                .into_iter()
                .flatten()
                .map(|(_, function)| function.clone())
                .collect();
            functions.retain(|function| !function.is_closure());
            functions.sort_by(|a, b| a.definition.name.cmp(&b.definition.name));
            for function in functions {
                let name = &function.definition.name;
                let was_called = self.done.keys().any(|(at, done, ..)| *at == file && done == name);
                if !was_called || function.stated.iter().any(|ty| *ty != Ty::Unknown) {
                    let types = function.stated.clone();
                    self.call(file, &function, types, Ty::Unknown);
                }
            }
        }
        // So are closures that were not passed to a function of the language.
        let mut at = 0;
        while let Some(closure) = self.waiting.get(at).cloned() {
            if !self.seen.contains(&closure) {
                self.closure(&closure, &[], false);
            }
            at += 1;
        }
        for (file, variable) in std::mem::take(&mut self.unused) {
            self.ended(file, &[variable]);
        }
        let mut findings = self.findings;
        let place = |finding: &Diagnostic| {
            let file = finding.file.as_ref().map(|file| file.name.clone());
            let span = finding.span.map_or((0, 0), |span| (span.line, span.column));
            (finding.severity == Severity::Warning, file, span)
        };
        findings.sort_by_key(place);
        findings.dedup_by(|a, b| a.code == b.code && a.span == b.span && a.message == b.message);
        findings
    }

    pub(super) fn file(&self, index: usize) -> Option<&'a File> {
        self.files.0.get(index)
    }

    /// The tokens of a file, which are read when something is found in it.
    pub(super) fn tokens(&self, index: usize) -> Option<&Tokens<'a>> {
        let file = self.files.0.get(index)?;
        Some(self.tokens.get(index)?.get_or_init(|| Tokens::of(self.engine, &file.source.text)))
    }

    pub(super) fn span(&self, file: usize, position: Position) -> Span {
        let span = self.tokens(file).and_then(|tokens| tokens.at(position));
        span.unwrap_or(Span { line: 1, column: 1, length: 1 })
    }

    /// Notes a finding at a place.
    pub(super) fn found(&mut self, file: usize, position: Position, finding: Diagnostic) {
        if self.silent == 0 {
            let span = self.span(file, position);
            self.found_at(file, span, finding);
        }
    }

    /// Whether nothing is told now.
    pub(super) fn is_silent(&self) -> bool {
        self.silent > 0
    }

    pub(super) fn found_at(&mut self, file: usize, span: Span, finding: Diagnostic) {
        if let Some(at) = self.files.0.get(file).filter(|_| self.silent == 0) {
            self.findings.push(finding.at(&at.source, span));
        }
    }

    /// A function of a file by its name and number of arguments.
    pub(super) fn function(&self, file: usize, name: &str, arguments: usize) -> Option<Arc<Function>> {
        self.functions.get(file)?.get(&(name.into(), arguments)).cloned()
    }

    /// Names of the functions of a file, and how many arguments each takes.
    pub(super) fn functions_of(&self, file: usize) -> impl Iterator<Item = (&str, usize)> {
        let all = self.functions.get(file).into_iter().flatten();
        all.filter(|(_, function)| !function.is_closure()).map(|((name, count), _)| (name.as_str(), *count))
    }

    fn top_level(&mut self, file: usize) {
        let Some(at) = self.files.0.get(file) else { return };
        let statements = at.ast.statements();
        let frame = Frame { file, ..Frame::default() };
        self.twice(frame, |checker, frame| {
            checker.block(frame, statements, file == 0);
            let ended = frame.scope.leave(0);
            if checker.silent == 0 {
                let unused = ended.into_iter().filter(|variable| !variable.is_used);
                checker.unused.extend(unused.map(|variable| (file, variable)));
            }
            Ty::Nothing
        });
    }

    /// Looks at something a second time when the first showed that variables change their type.
    fn twice(&mut self, mut frame: Frame, look: impl Fn(&mut Self, &mut Frame) -> Ty) -> Ty {
        let bound: Vec<Variable> = frame.scope.leave(0);
        let fresh = |unsteady: HashSet<Position>| {
            let mut scope = Scope::with_unsteady(unsteady);
            for variable in &bound {
                scope.bind(&variable.name, variable.ty.clone());
            }
            let Frame { file, is_branch, .. } = frame;
            let (captured, this) = (frame.captured.clone(), frame.this.clone());
            Frame { file, scope, captured, is_branch, this, returns: Vec::new() }
        };
        let mut unsteady = HashSet::new();
        let made = self.waiting.len();
        self.silent += 1;
        // Each round can only add to what is not known; that ends soon.
        for _ in 0..4 {
            let before = unsteady.len();
            let mut frame = fresh(unsteady);
            look(self, &mut frame);
            unsteady = frame.scope.into_unsteady();
            if unsteady.len() == before {
                break;
            }
        }
        self.silent -= 1;
        // Closures that were made in silence captured what was believed then.
        self.waiting.truncate(made);
        let mut frame = fresh(unsteady);
        let last = look(self, &mut frame);
        frame.returns.into_iter().fold(last, Ty::or)
    }

    /// What a function of the program gives for arguments of these types; its body is looked at.
    pub(super) fn call(&mut self, file: usize, function: &Function, types: Vec<Ty>, this: Ty) -> Ty {
        let known = types.into_iter().zip(&function.stated).map(|(given, stated)| match given {
            _ if function.asks_for_types => Ty::Unknown,
            Ty::Unknown => stated.clone(),
            given => given,
        });
        let types = known.collect();
        let frame = Frame { file, this, ..Frame::default() };
        self.body(frame, function, types)
    }

    /// What a closure gives when it is called with these types.
    pub(super) fn closure(&mut self, closure: &Arc<Closure>, params: &[Ty], is_branch: bool) -> Ty {
        self.seen.insert(closure.clone());
        let functions = self.functions.get(closure.file).into_iter().flatten();
        let mut named = functions.filter(|((name, _), _)| *name == closure.name.as_str());
        let Some(function) = named.next().map(|(_, function)| function.clone()) else { return Ty::Unknown };
        let names = &function.definition.params;
        let captured = closure.captured.iter().cloned();
        let all = captured.chain(params.iter().cloned()).chain(std::iter::repeat(Ty::Unknown));
        let types: Vec<Ty> = all.take(names.len()).collect();
        let captured = names.iter().take(closure.captured.len()).map(ToString::to_string).collect();
        let frame = Frame { file: closure.file, captured, is_branch, ..Frame::default() };
        self.body(frame, &function, types)
    }

    fn body(&mut self, mut frame: Frame, function: &Function, types: Vec<Ty>) -> Ty {
        let (file, name) = (frame.file, &function.definition.name);
        let key = (file, name.clone(), types.clone(), frame.is_branch);
        // Who only wants to know the type need not look again; who tells of faults looks once.
        let known = self.done.get(&key).or_else(|| self.given.get(&key).filter(|_| self.silent > 0));
        if let Some(known) = known {
            return known.clone();
        }
        let variants = self.done.keys().filter(|(at, done, ..)| *at == file && done == name).count();
        if self.depth >= DEPTH || variants >= VARIANTS {
            return Ty::Unknown;
        }
        self.done.insert(key.clone(), Ty::Unknown);
        self.depth += 1;
        for (name, ty) in function.definition.params.iter().zip(&types) {
            frame.scope.bind(name, ty.clone());
        }
        let given = self.twice(frame, |checker, frame| {
            let last = checker.block(frame, &function.body, false);
            let ended = frame.scope.leave(0);
            checker.ended(file, &ended);
            last
        });
        self.depth -= 1;
        if self.silent == 0 {
            self.done.insert(key, given.clone());
        } else {
            self.done.remove(&key);
            self.given.insert(key, given.clone());
        }
        given
    }

    /// Counts a step; false when there were too many.
    pub(super) fn may_go_on(&mut self) -> bool {
        self.steps += 1;
        self.steps < MOST_STEPS
    }

    /// Notes a closure that was made here.
    pub(super) fn made(&mut self, closure: Arc<Closure>) -> Ty {
        self.waiting.push(closure.clone());
        Ty::Closure(closure)
    }

    /// How many closures were made so far.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The closures that were made since there were so many.
    pub(super) fn made_since(&self, before: usize) -> Vec<Arc<Closure>> {
        self.waiting.get(before..).unwrap_or_default().to_vec()
    }

    /// Looks at something that was looked at before, without telling its faults twice.
    pub(super) fn silently<T>(&mut self, look: impl FnOnce(&mut Self) -> T) -> T {
        self.silent += 1;
        let made = self.waiting.len();
        let seen = look(self);
        self.waiting.truncate(made);
        self.silent -= 1;
        seen
    }

    /// A constant of a file, as a function of it reads it.
    pub(super) fn global(&mut self, file: usize, name: &str) -> Ty {
        let key = (file, name.to_owned());
        let ty = self.constants.get(&key).cloned().unwrap_or_default();
        self.read.insert(key);
        ty
    }

    /// Notes a constant of the top level.
    pub(super) fn constant(&mut self, file: usize, name: &str, ty: Ty) {
        self.constants.insert((file, name.to_owned()), ty);
    }

    /// Variables went out of scope.
    pub(super) fn ended(&mut self, file: usize, variables: &[Variable]) {
        for variable in variables.iter().filter(|variable| !variable.is_used) {
            let Some(position) = variable.declared else { continue };
            let name = &variable.name;
            if name.starts_with('_') || self.read.contains(&(file, name.clone())) {
                continue;
            }
            let finding = Diagnostic::error(Code::Unused, format!("`{name}` is never used"))
                .as_warning()
                .help(format!("remove it, or call it `_{name}` to keep it"));
            self.found(file, position, finding);
        }
    }
}

/// `/// @param name type`: what the author says of parameters.
fn stated(function: &ScriptFuncDef) -> Vec<Ty> {
    let stated = |name: &ImmutableString| {
        let lines = function.comments.iter().flat_map(|comment| comment.lines());
        let mut tags = lines.filter_map(|line| line.trim_start_matches('/').trim().strip_prefix("@param "));
        let kind = tags.find_map(|tag| {
            let mut words = tag.split_whitespace();
            (words.next() == Some(name.as_str())).then(|| words.next()).flatten()
        });
        kind.and_then(Ty::named).unwrap_or_default()
    };
    function.params.iter().map(stated).collect()
}
