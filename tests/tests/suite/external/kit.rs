//! Files that a test puts where a node looks for them, and what the node says of them.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result};
use orch_tests::fleet::Fleet;
use orch_tests::process::Ended;
use serde_json::Value;

/// Writes a file with its mode, and its folder.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    use std::io::Write as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Beside and renamed: a program that is being written cannot be run.
    let fresh = path.with_extension("fresh");
    let _ = std::fs::remove_file(&fresh);
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(mode).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&fresh, path).with_context(|| path.display().to_string())
}

/// Changes a node's configuration, which it reads when it starts or is told to.
pub(crate) fn configure(fleet: &Fleet, node: &str, change: impl FnOnce(&str) -> String) -> Result<()> {
    let path = fleet.path("nodes").join(node).join("node.toml");
    let text = std::fs::read_to_string(&path)?;
    let changed = change(&text);
    anyhow::ensure!(changed != text, "nothing is changed in\n{text}");
    write(&path, &changed, 0o644)
}

/// What one action of the agent `node` answers on `n01`.
pub(crate) fn asked(fleet: &Fleet, words: &[&str]) -> Result<Value> {
    let all = [&["call"], words, &["-I", "n01", "--format", "json"]].concat();
    let answer = fleet.run(&all).expect_code(0).json()?;
    Ok(answer["results"][0]["data"].clone())
}

/// What is wrong on `n01`, as it says itself.
pub(crate) fn problems(fleet: &Fleet) -> Result<String> {
    Ok(asked(fleet, &["node.stats"])?["problems"].to_string())
}

/// How a call of one action ended on `n01`.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The outcome and its code.
    pub(crate) ended: (String, String),
    pub(crate) message: String,
    pub(crate) data: Value,
}

impl Answer {
    /// Requires an end, and a part of its message.
    #[track_caller]
    pub(crate) fn expect(self, outcome: &str, code: &str, message: &str) -> Self {
        assert_eq!((self.ended.0.as_str(), self.ended.1.as_str()), (outcome, code), "{self:#?}");
        assert!(self.message.contains(message), "{self:#?}");
        self
    }
}

/// A call on `n01` that is under way.
pub(crate) struct Call(Child);

impl Call {
    /// Begins it, written as on a command line.
    pub(crate) fn begin(fleet: &Fleet, words: &[&str]) -> Result<Self> {
        let mut command = fleet.orch();
        command.arg("call").args(words).args(["-I", "n01", "--format", "json"]);
        Ok(Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?))
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }

    /// Waits for its end.
    pub(crate) fn answer(self) -> Result<Answer> {
        let ended = Ended::from(self.0.wait_with_output()?);
        let report = ended.json()?;
        let result = report["results"].get(0).with_context(|| format!("{ended:#?}"))?;
        let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
        Ok(Answer {
            ended: (text("outcome"), text("code")),
            message: text("message"),
            data: result["data"].clone(),
        })
    }
}

/// Calls an action on `n01` to its end.
pub(crate) fn call(fleet: &Fleet, words: &[&str]) -> Result<Answer> {
    Call::begin(fleet, words)?.answer()
}
