//! The files of a program: the script and every module that it imports, read and parsed before anything runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{
    AST, ASTNode, Engine, EvalAltResult, Expr, ImmutableString, Module, ModuleResolver, Position, Scope,
    Shared, Stmt,
};

use super::library::{Library, Place};
use super::tokens::Tokens;
use crate::diagnostic::{Code, Diagnostic, SourceText, Span};
use crate::script::errors;
use crate::script::nearest::nearest;

/// Most files of one program.
const MOST_FILES: usize = 200;

/// One file of a program.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) source: SourceText,
    pub(crate) ast: AST,
    pub(crate) imports: Vec<Import>,
    place: Place,
}

impl File {
    /// Whether it ships with the program.
    pub(crate) fn is_standard(&self) -> bool {
        self.place == Place::Standard
    }
}

/// An import of a file.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// As it is written.
    pub(crate) path: ImmutableString,
    /// The name that its functions go by.
    pub(crate) alias: ImmutableString,
    /// The file that it is, by its place in the program.
    pub(crate) file: usize,
}

/// All files of a program, the script first.
#[derive(Debug, Clone)]
pub(crate) struct Files(pub(crate) Arc<[File]>);

impl Files {
    /// Parses a script and everything that it imports.
    pub(super) fn load(
        engine: &Engine,
        source: &SourceText,
        library: &Library,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut loader = Loader { engine, library, files: Vec::new(), open: Vec::new() };
        loader.load(Place::Given, source.clone())?;
        let mut files: Vec<File> = Vec::with_capacity(loader.files.len());
        for file in loader.files {
            files.extend(file);
        }
        Ok(Self(files.into()))
    }

    /// The file of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&File> {
        self.0.iter().find(|file| &*file.source.name == name)
    }

    /// The script itself.
    pub(crate) fn script(&self) -> Option<&File> {
        self.0.first()
    }
}

struct Loader<'a> {
    engine: &'a Engine,
    library: &'a Library,
    /// Those whose imports are not all loaded yet are still to come.
    files: Vec<Option<File>>,
    /// Files that are being loaded, each imported by the one before.
    open: Vec<(Place, SourceText)>,
}

impl Loader<'_> {
    fn load(&mut self, place: Place, source: SourceText) -> Result<usize, Vec<Diagnostic>> {
        let index = self.files.len();
        self.files.push(None);
        let mut ast = self
            .engine
            .compile(&*source.text)
            .map_err(|error| vec![errors::of_parsing(self.engine, &source, &error.0, error.1)])?;
        ast.set_source(&*source.name);
        self.open.push((place.clone(), source.clone()));
        let mut imports = Vec::new();
        let mut faults = Vec::new();
        for (path, alias, position) in statements(&ast) {
            match path {
                Some(path) => match self.import(&place, &path) {
                    Ok(file) => imports.push(Import { path, alias, file }),
                    Err(Refused::Because(diagnostic)) => faults.push(self.at(&source, position, *diagnostic)),
                    Err(Refused::Faulty(inner)) => faults.extend(inner),
                },
                None => {
                    let message = "an import names its module in a plain string";
                    let diagnostic = Diagnostic::error(Code::Import, message)
                        .note("all modules are read and checked before the script begins");
                    faults.push(self.at(&source, position, diagnostic));
                }
            }
        }
        self.open.pop();
        if !faults.is_empty() {
            return Err(faults);
        }
        if let Some(slot) = self.files.get_mut(index) {
            *slot = Some(File { source, ast, imports, place });
        }
        Ok(index)
    }

    fn at(&self, source: &SourceText, position: Position, diagnostic: Diagnostic) -> Diagnostic {
        let span = Tokens::of(self.engine, &source.text).at(position);
        diagnostic.at(source, span.unwrap_or(Span { line: 1, column: 1, length: 1 }))
    }

    fn import(&mut self, from: &Place, path: &str) -> Result<usize, Refused> {
        let (place, source) = self.library.read(from, path).map_err(|why| Refused::because(path, &why))?;
        let same = |other: &Place, name: &str| match (other, &place) {
            (Place::Standard, Place::Standard) => *name == *source.name,
            (other, place) => other == place,
        };
        if let Some(at) = self.open.iter().position(|(place, open)| same(place, &open.name)) {
            return Err(self.cycle(path, at, &source));
        }
        let loaded =
            |file: &Option<File>| file.as_ref().is_some_and(|file| same(&file.place, &file.source.name));
        if let Some(index) = self.files.iter().position(loaded) {
            return Ok(index);
        }
        if self.files.len() >= MOST_FILES {
            let message = format!("the program has more than {MOST_FILES} files");
            return Err(Refused::Because(Box::new(Diagnostic::error(Code::Import, message))));
        }
        self.load(place, source).map_err(|faults| Refused::Faulty(self.chained(faults)))
    }

    /// Faults of a module, with the way that leads to it.
    fn chained(&self, faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let Some((_, importer)) = self.open.last() else { return faults };
        faults.into_iter().map(|fault| fault.note(format!("imported by {}", importer.name))).collect()
    }

    fn cycle(&self, path: &str, begins: usize, source: &SourceText) -> Refused {
        let chain = self.open.iter().skip(begins).map(|(_, source)| source.name.to_string());
        let chain: Vec<String> = chain.chain([source.name.to_string()]).collect();
        let message = format!("the import of `{path}` closes a circle");
        let diagnostic = Diagnostic::error(Code::Import, message).note(chain.join(" imports "));
        Refused::Because(Box::new(diagnostic.help("move what both need into a third module")))
    }
}

/// Why a module is not there.
enum Refused {
    /// The import is at fault.
    Because(Box<Diagnostic>),
    /// The module is.
    Faulty(Vec<Diagnostic>),
}

impl Refused {
    fn because(path: &str, why: &str) -> Self {
        let diagnostic = Diagnostic::error(Code::Import, format!("`{path}` cannot be imported: {why}"));
        Refused::Because(Box::new(match nearest(path, Library::standard()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic,
        }))
    }
}

/// The imports of a file: the path where it is written out, the name, and the place.
fn statements(ast: &AST) -> Vec<(Option<ImmutableString>, ImmutableString, Position)> {
    let mut found = Vec::new();
    ast.walk(&mut |path| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, position))) = path.last() {
            let literal = match &import.0 {
                Expr::StringConstant(text, _) => Some(text.clone()),
                _ => None,
            };
            let position = match &import.0 {
                Expr::StringConstant(_, position) => *position,
                _ => *position,
            };
            found.push((literal, import.1.name.clone(), position));
        }
        true
    });
    found
}

/// Gives a running script the modules that were loaded with it; nothing is read any more.
pub(crate) struct Loaded {
    files: Files,
    made: Mutex<HashMap<usize, Shared<Module>>>,
}

impl Loaded {
    pub(crate) fn new(files: Files) -> Self {
        Self { files, made: Mutex::default() }
    }
}

impl ModuleResolver for Loaded {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let importer = source.and_then(|name| self.files.named(name)).or(self.files.script());
        let index = importer
            .and_then(|file| file.imports.iter().find(|import| import.path == path))
            .map(|import| import.file);
        let unknown = || EvalAltResult::ErrorModuleNotFound(path.to_owned(), position);
        let (index, file) = index.and_then(|at| Some((at, self.files.0.get(at)?))).ok_or_else(unknown)?;
        let made = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = made().get(&index) {
            return Ok(module.clone());
        }
        let module = Module::eval_ast_as_new(Scope::new(), &file.ast, engine)
            .map_err(|error| Box::new(EvalAltResult::ErrorInModule(path.to_owned(), error, position)))?;
        Ok(made().entry(index).or_insert_with(|| module.into()).clone())
    }
}
