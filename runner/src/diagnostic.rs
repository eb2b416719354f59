//! What is wrong, where, and what to do: one value, shown on a terminal or written as JSON.

use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use serde::{Serialize, Serializer};

/// Declares [`Code`] once: variant, text, and the sentence that explains it.
macro_rules! codes {
    ($($variant:ident = $text:literal, $title:literal;)*) => {
        /// Stable name of a sort of diagnostic.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All codes, in order.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The code as it is shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// One sentence on what it is for.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// What it means and what to do about it, as `orch help` shows it.
            pub const fn explanation(self) -> &'static str {
                match self { $(Code::$variant => include_str!(concat!("explain/", $text, ".md")),)* }
            }
        }
    };
}

codes! {
    Syntax = "E0101", "The script does not parse.";
    TooLarge = "E0102", "The script is larger than positions in it can be counted.";
    Undefined = "E0103", "A name is not defined here.";
    Shadow = "E0104", "A function of the script would be called in the place of an action or a method.";
    Import = "E0105", "A module cannot be imported.";
    Captured = "E0106", "A closure changes what it cannot change.";
    Parameter = "E0110", "A parameter is missing, unknown or does not have its type.";
    Declaration = "E0111", "A `param(…)` does not declare a parameter.";
    UnknownFunction = "E0201", "There is no function of this name for these arguments.";
    UnknownProperty = "E0202", "A value does not have this property.";
    UnknownAgent = "E0203", "No schema describes this agent or action.";
    Arguments = "E0204", "The arguments of a call are not what the action's schema asks for.";
    Query = "E0205", "A query does not parse.";
    Usage = "E0206", "A function was called in a way that it cannot work.";
    DataFunction = "E0207", "A query asks a data function for what it does not have, or does not know.";
    DataFile = "E0208", "A file with data is malformed.";
    Policy = "E0209", "A policy file has a line that does not parse, or that can hardly be meant.";
    Schema = "E0210", "A schema of an agent is malformed, or can hardly be meant.";
    Call = "E0301", "More nodes than tolerated did not end `ok`.";
    Fail = "E0302", "The script ended itself by `fail`.";
    Expectation = "E0303", "A selection was not what the script expects.";
    Waited = "E0304", "A condition did not hold in time.";
    Connection = "E0305", "The broker was lost during the run.";
    Runtime = "E0306", "The script failed while it ran.";
    Limit = "E0307", "The script went over a limit of the engine.";
    Interrupted = "E0308", "The run was interrupted.";
    Rollout = "E0309", "A roll-out stopped before all nodes were reached.";
    Permission = "E0310", "The script did what it was not allowed to do on this machine.";
    File = "E0311", "A file cannot be read or written.";
    Exec = "E0312", "A program on this machine did not do what it should.";
    Secret = "E0313", "The source of a secret gives none.";
    Script = "E0314", "Another script cannot be run.";
    DryRun = "E0315", "A dry run cannot go on: what comes next depends on what was not done.";
    Answer = "E0316", "Nobody answered a question.";
    Internal = "E0399", "A mistake in orch itself.";
    Unused = "W0101", "A variable is never used.";
    UnknownField = "W0102", "The schema of an action does not declare this output.";
    UnknownFact = "W0103", "No node is known to have this fact, and one of a similar name is.";
    Unbounded = "W0104", "A write would act on the whole fleet, whatever its size.";
    Unlooked = "W0105", "Bad nodes are tolerated, and nobody looks at the results.";
    Versions = "W0110", "The nodes have several versions of an agent.";
    Drift = "W0111", "The project's schema of an action is not that of the nodes.";
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// How grave a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing goes on.
    Error,
    /// Worth a look.
    Warning,
}

/// A text with the name it goes by; cheap to clone.
#[derive(Debug, Clone)]
pub struct SourceText {
    /// Path as the user gave it, or a name such as `<stdin>`.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

impl SourceText {
    /// A text and its name.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The bytes that a span covers; never outside of the text, never in the middle of a character.
    fn bytes(&self, span: Span) -> std::ops::Range<usize> {
        let mut offset = 0;
        for (number, line) in self.text.split_inclusive('\n').enumerate() {
            if number + 1 == span.line {
                let column = span.column.saturating_sub(1);
                let end_of_line = line.trim_end_matches(['\n', '\r']).len();
                let at = |chars: usize| {
                    let byte = line.char_indices().nth(chars).map_or(end_of_line, |(byte, _)| byte);
                    offset + byte.min(end_of_line)
                };
                return at(column)..at(column.saturating_add(span.length)).max(at(column));
            }
            offset += line.len();
        }
        self.text.len()..self.text.len()
    }
}

impl Serialize for SourceText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.name)
    }
}

/// A place in a text. Lines and columns count from one, columns and lengths in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The line.
    pub line: usize,
    /// The first character.
    pub column: usize,
    /// How many characters, all on one line.
    pub length: usize,
}

/// A second place that explains the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Where.
    #[serde(flatten)]
    pub span: Span,
    /// What is to be seen there.
    pub text: String,
}

/// Something to tell the user about a script, its parameters or its run.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnostic {
    /// Stable name of its sort.
    pub code: Code,
    /// How grave it is.
    pub severity: Severity,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// The text that `span` and `labels` are places in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<SourceText>,
    /// The place at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// What is to be seen at the place.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Other places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// Facts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
    /// What led to it, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

/// How a diagnostic is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// With colours.
    pub colour: bool,
    /// Columns of the terminal, if known.
    pub width: Option<usize>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            file: None,
            span: None,
            label: String::new(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
            causes: Vec::new(),
        }
    }

    /// The same, as a warning.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same, at a place of a text.
    #[must_use]
    pub fn at(mut self, file: &SourceText, span: Span) -> Self {
        self.file = Some(file.clone());
        self.span = Some(span);
        self
    }

    /// The same, with a word on what is to be seen at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same, with one more fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same, with one more way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The same, with one more cause behind it.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Text for a terminal, without a line break at the end. What nodes and scripts said is
    /// made harmless: no escape sequence gets through.
    pub fn render(&self, style: Style) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.message.as_str()).id(self.code.as_str()));
        if let Some(file) = &self.file {
            group = group.element(self.excerpt(file));
        }
        let safe = |text: &String| normalize_untrusted_str(text);
        let causes = self.causes.iter().enumerate();
        let elements: Vec<Element<'_>> = (self.notes.iter().map(|note| Level::NOTE.message(safe(note))))
            .chain(causes.map(|(at, cause)| {
                let cause = format!("{}: {}", at + 1, safe(cause));
                Level::NOTE.with_name("cause").message(cause)
            }))
            .chain(self.help.iter().map(|help| Level::HELP.message(safe(help))))
            .map(Element::from)
            .collect();
        let group = group.elements(elements);
        let renderer = if style.colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = match style.width {
            Some(width) => renderer.term_width(width),
            None => renderer,
        };
        let text = renderer.decor_style(DecorStyle::Ascii).render(&[group]);
        // Without an excerpt the renderer still draws the empty line that would lead to it.
        match text.split_once('\n') {
            Some((title, rest)) if self.file.is_none() => match rest.split_once('\n') {
                Some((gap, notes)) if is_gap(gap) => format!("{title}\n{notes}"),
                _ => text,
            },
            _ => text,
        }
    }

    fn excerpt<'a>(&'a self, file: &'a SourceText) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let place = |kind: AnnotationKind, span: Span, text: &'a str| {
            let annotation = kind.span(file.bytes(span));
            if text.is_empty() { annotation } else { annotation.label(text) }
        };
        let primary = self.span.map(|span| place(AnnotationKind::Primary, span, &self.label));
        let others = self.labels.iter().map(|label| place(AnnotationKind::Context, label.span, &label.text));
        Snippet::source(file.text.as_ref()).path(file.name.as_ref()).annotations(primary).annotations(others)
    }
}

/// Whether a line is the margin alone: the bar, with or without colour.
fn is_gap(line: &str) -> bool {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default();
    let bare = parts.filter_map(|part| part.split_once('m')).map(|(_, text)| text);
    std::iter::once(first).chain(bare).collect::<String>().trim() == "|"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Diagnostic {
        let file = SourceText::new("shop.orch", "// ü\n\tlet wéb = nodse(\"role::web\");\nprint(web);\n");
        let mut diagnostic = Diagnostic::error(Code::UnknownFunction, "there is no function `nodse`")
            .at(&file, Span { line: 2, column: 12, length: 5 })
            .label("not defined")
            .note("it was called with (string)\u{1b}[31m")
            .help("did you mean `nodes`?")
            .cause("the first\nof two")
            .cause("the second");
        diagnostic
            .labels
            .push(Label { span: Span { line: 3, column: 7, length: 3 }, text: "used here".into() });
        diagnostic
    }

    #[test]
    fn a_terminal_gets_the_excerpt_and_no_escape_sequence() {
        insta::assert_snapshot!(example().render(Style::default()), @r#"
        error[E0201]: there is no function `nodse`
         --> shop.orch:2:12
          |
        2 |     let wéb = nodse("role::web");
          |               ^^^^^ not defined
        3 | print(web);
          |       --- used here
          |
          = note: it was called with (string)␛[31m
          = cause: 1: the first
                   of two
          = cause: 2: the second
          = help: did you mean `nodes`?
        "#);
        let coloured = example().render(Style { colour: true, width: Some(80) });
        assert!(coloured.contains("\u{1b}["), "{coloured}");
        assert!(!coloured.contains("\u{1b}[31m"), "{coloured}");
    }

    #[test]
    fn without_an_excerpt_no_line_is_left_empty() {
        let diagnostic = Diagnostic::error(Code::Parameter, "the parameter `n` is missing").note("in a.orch");
        insta::assert_snapshot!(diagnostic.render(Style::default()), @r"
        error[E0110]: the parameter `n` is missing
         = note: in a.orch
        ");
        let coloured = diagnostic.render(Style { colour: true, width: None });
        assert_eq!(coloured.lines().count(), 2, "{coloured:?}");
    }

    #[test]
    fn json_says_the_same() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&example()).unwrap(), @r#"
        {
          "code": "E0201",
          "severity": "error",
          "message": "there is no function `nodse`",
          "file": "shop.orch",
          "span": {
            "line": 2,
            "column": 12,
            "length": 5
          },
          "label": "not defined",
          "labels": [
            {
              "line": 3,
              "column": 7,
              "length": 3,
              "text": "used here"
            }
          ],
          "notes": [
            "it was called with (string)\u001b[31m"
          ],
          "help": [
            "did you mean `nodes`?"
          ],
          "causes": [
            "the first\nof two",
            "the second"
          ]
        }
        "#);
    }

    #[test]
    fn places_outside_of_the_text_do_no_harm() {
        let file = SourceText::new("a", "é");
        for (line, column, length) in [(0, 0, 0), (1, 1, 9), (1, 9, 9), (9, 1, 1), (1, 2, usize::MAX)] {
            let span = Span { line, column, length };
            let _ = Diagnostic::error(Code::Syntax, "m").at(&file, span).render(Style::default());
        }
        let empty = SourceText::new("a", "");
        let span = Span { line: 1, column: 1, length: 1 };
        let _ = Diagnostic::error(Code::Syntax, "m").at(&empty, span).render(Style::default());
    }

    #[test]
    fn codes_are_unique_and_in_order() {
        let texts: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.is_sorted_by(|a, b| a < b), "{texts:?}");
    }
}
