//! A command that ends with its call.

use std::os::unix::process::ExitStatusExt;

use orch_wire::body::{Answer, code};
use serde_json::json;

use super::command::CommandLine;
use super::{Done, failed, outputs};
use crate::agents::Job;
use crate::agents::process::{self, End};

/// Of each of its outputs the last so many bytes are answered. What is live has all of it.
const KEEP: usize = 128 * 1024;
/// Of what a failed command wrote, so much is its message.
const MESSAGE_CHARS: usize = 1024;

/// Runs a command to its end.
pub(super) async fn run(job: &Job) -> Done<Answer> {
    let command = CommandLine::of(job)?;
    // One more than is answered shows that there was more.
    let spec = command.spec(job.work.timeout, KEEP + 1, job.output.as_ref(), &job.stop);
    let ran =
        process::run(spec).await.map_err(|error| failed(format!("the shell cannot be started: {error}")))?;
    let status = match ran.end {
        End::Exited(status) => Some(status),
        _ => None,
    };
    let truncated = ran.stdout.len() > KEEP || ran.stderr.len() > KEEP;
    let [stdout, stderr] = [ran.stdout, ran.stderr].map(|bytes| {
        let over = bytes.len().saturating_sub(KEEP);
        String::from_utf8_lossy(bytes.get(over..).unwrap_or_default()).into_owned()
    });
    let exitcode = status.and_then(|status| status.code());
    let said = if stderr.trim().is_empty() { &stdout } else { &stderr };
    let said = end_of(said);
    let answer =
        outputs(json!({"stdout": stdout, "stderr": stderr, "exitcode": exitcode, "truncated": truncated}));
    let seconds = job.work.timeout.as_secs_f64();
    let ended = match ran.end {
        End::Exited(status) if status.success() => return Ok(answer),
        End::Exited(status) => Answer::failed(code::ACTION, with_text(exit_words(status), &said)),
        End::TimedOut => Answer::timed_out(format!("killed after {seconds} s with all its processes")),
        End::Stopped => Answer::failed(code::CANCELLED, "cancelled while it ran"),
        End::Flooded => Answer::failed(code::REPLY, "killed because it wrote more output than an action may"),
    };
    Err(Box::new(Answer { data: answer.data, ..ended }))
}

fn exit_words(status: std::process::ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(number), _) => format!("exited with status {number}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended without a status".to_owned(),
    }
}

fn with_text(message: String, said: &str) -> String {
    if said.is_empty() { message } else { format!("{message}: {said}") }
}

/// The end of a text, where programs put the reason.
fn end_of(text: &str) -> String {
    let text = text.trim();
    let over = text.chars().count().saturating_sub(MESSAGE_CHARS);
    text.chars().skip(over).collect()
}
