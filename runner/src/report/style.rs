//! The one legend of colours; without colour the words say the same.

use orch_wire::outcome::Outcome;

/// Whether and how text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// A style for a stream that does, or does not, show colours.
    pub const fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// Whether there are colours.
    pub const fn is_coloured(self) -> bool {
        self.colour
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What went wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// What needs a look.
    pub fn doubtful(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What stands out.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What steps back.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// An outcome in its colour.
    pub fn outcome(self, outcome: Outcome, text: &str) -> String {
        match outcome {
            Outcome::Ok => self.good(text),
            Outcome::Failed | Outcome::Rejected | Outcome::TimedOut => self.bad(text),
            Outcome::Silent | Outcome::NotStarted => self.doubtful(text),
        }
    }
}
