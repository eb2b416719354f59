//! What policy and groups files have in common: lines, comments, limits, and findings.

use std::sync::Arc;

use super::{
    MAX_FILE, MAX_FINDINGS, MAX_LINE, MAX_PATTERNS,
    finding::{Finding, Line},
};

/// What was found while a file was read, within its limits.
pub(super) struct Findings {
    pub(super) file: Arc<str>,
    pub(super) faults: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
    patterns: usize,
}

impl Findings {
    pub(super) fn new(file: &Arc<str>) -> Self {
        Self { file: file.clone(), faults: Vec::new(), warnings: Vec::new(), patterns: 0 }
    }

    pub(super) fn fault(&mut self, finding: Finding) {
        if self.faults.len() < MAX_FINDINGS {
            self.faults.push(finding);
        }
    }

    /// Warnings beyond the limit are not even made: a file is not worse for them.
    pub(super) fn warn(&mut self, finding: impl FnOnce() -> Finding) {
        if self.warnings.len() < MAX_FINDINGS {
            self.warnings.push(finding());
        }
    }

    /// Counts regular expressions; false where no more may be compiled.
    pub(super) fn count_patterns(&mut self, line: &Line<'_>, patterns: usize) -> bool {
        let before = self.patterns;
        self.patterns = before.saturating_add(patterns);
        let fits = self.patterns <= MAX_PATTERNS;
        if !fits && before <= MAX_PATTERNS {
            self.fault(line.at(0..0, format!("the file has more than {MAX_PATTERNS} regular expressions")));
        }
        fits
    }

    /// Calls `read` with each line that holds something. Stops when too much is wrong: every fault is told with its
    /// place, and a file that is no policy at all has one in each line.
    pub(super) fn each_line(&mut self, text: &str, mut read: impl FnMut(&mut Self, Line<'_>)) {
        if text.len() > MAX_FILE {
            let message = format!("the file is {} bytes long, the limit is {MAX_FILE}", text.len());
            self.fault(Finding::of_file(&self.file, message));
            return;
        }
        let file = self.file.clone();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.split('\n').enumerate() {
            let line = Line { file: &file, number: index + 1, text: line.trim_end() };
            if line.text.is_empty() || line.text.trim_start().starts_with('#') {
                continue;
            }
            if self.faults.len() >= MAX_FINDINGS || self.patterns > MAX_PATTERNS {
                self.faults.push(line.at(0..0, "what follows was not looked at: too much is wrong before"));
                return;
            }
            if line.text.len() > MAX_LINE {
                let message = format!("the line is {} bytes long, the limit is {MAX_LINE}", line.text.len());
                self.fault(line.at(0..0, message));
                continue;
            }
            read(self, line);
        }
    }
}
