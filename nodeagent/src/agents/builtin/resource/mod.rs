//! The agent `resource`: Puppet's resource abstraction layer. It looks through `puppet resource`. What it sets it hands to
//! `puppet apply` as a catalogue, since `puppet resource` takes single values only, no lists, and tells no failure in its exit
//! status; and a catalogue is data, in which nothing can become an option or code.

mod catalogue;
mod found;
mod report;

use orch_wire::body::{Answer, code};
use serde_json::{Map, Value, json};

use self::catalogue::Wanted;
use self::found::Found;
use super::puppet::puppet;
use super::{outputs, text, unknown_action};
use crate::agents::Job;
use crate::agents::ending::{Done, failed};
use crate::agents::tool::Tools;

/// Most resources that a search answers, unless the caller says less.
const FOUND: usize = 1000;

/// Runs one action.
pub(super) async fn run(job: &Job) -> Answer {
    act(job).await.unwrap_or_else(|answer| *answer)
}

async fn act(job: &Job) -> Done<Answer> {
    let tools = Tools::of(job);
    let (kind, title) = (text(job, "type").to_ascii_lowercase(), text(job, "title"));
    match job.work.action.as_str() {
        "find" => {
            let found = find(&tools, &kind, title).await?;
            let Found { ensure, provider, properties, .. } = found;
            Ok(outputs(json!({
                "type": kind,
                "title": title,
                "ensure": ensure,
                "provider": provider,
                "properties": properties,
            })))
        }
        "search" => search(job, &tools, &kind).await,
        "create" => {
            let mut properties = properties(job);
            let ensure = properties.entry("ensure").or_insert_with(|| "present".into());
            if matches!(ensure.as_str(), Some("absent" | "purged")) {
                let message = "`properties` must not ask for what is created to be absent; the action `apply` does that";
                return Err(Box::new(Answer::rejected(code::ARGUMENTS, message)));
            }
            set(job, &tools, &kind, title, properties).await
        }
        "apply" => set(job, &tools, &kind, title, properties(job)).await,
        _ => Err(unknown_action(job)),
    }
}

fn properties(job: &Job) -> Map<String, Value> {
    job.work.args.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

async fn find(tools: &Tools<'_>, kind: &str, title: &str) -> Done<Found> {
    let ended = tools.run(puppet("resource").args(["--to_yaml", "--", kind, title])).await?.ok()?;
    let mut all = found::parse(&ended.stdout, kind)?;
    all.pop().ok_or_else(|| failed(format!("puppet said nothing of `{kind}` `{title}`")))
}

async fn search(job: &Job, tools: &Tools<'_>, kind: &str) -> Done<Answer> {
    let limit = job.work.args.get("limit").and_then(Value::as_u64);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(FOUND).min(FOUND);
    let ended = tools.run(puppet("resource").args(["--to_yaml", "--", kind])).await?.ok()?;
    let all = found::parse(&ended.stdout, kind)?;
    let count = all.len();
    let resources: Vec<Value> = all
        .into_iter()
        .take(limit)
        .map(|f| json!({"title": f.title, "ensure": f.ensure, "provider": f.provider, "properties": f.properties}))
        .collect();
    Ok(outputs(json!({"type": kind, "count": count, "resources": resources})))
}

async fn set(
    job: &Job,
    tools: &Tools<'_>,
    kind: &str,
    title: &str,
    properties: Map<String, Value>,
) -> Done<Answer> {
    let dry_run = job.work.dry_run;
    let wanted = Wanted::new(kind, title, properties)?;
    let report = wanted.apply(tools, &job.info.run_dir, dry_run).await?;
    let changes = report.changes();
    let mut data = json!({"type": kind, "title": title, "changed": !changes.is_empty(), "changes": changes});
    let now = if dry_run { Ok(None) } else { find(tools, kind, title).await.map(Some) };
    if let (Ok(Some(now)), Some(data)) = (now, data.as_object_mut()) {
        data.insert("ensure".into(), json!(now.ensure));
        data.insert("properties".into(), json!(now.properties));
    }
    match (report.failure(), data) {
        (Some(why), Value::Object(data)) => Err(Box::new(Answer { data, ..*failed(why) })),
        (_, data) => Ok(outputs(data)),
    }
}
