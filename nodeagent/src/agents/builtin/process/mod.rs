//! The agent `process`: the processes of the node, from `/proc`.

mod signal;
mod table;

use orch_wire::body::Answer;
use orch_wire::query::Pattern;
use serde_json::{Value, json};

use self::table::{Process, Table};
use super::account::Account;
use super::errand::Errand;
use super::{outputs, unknown_action};
use crate::agents::Job;
use crate::agents::ending::{Done, refused};

/// Processes that are listed where the caller does not say how many, and the most that are.
const LISTED: u64 = 500;
const MOST_LISTED: u64 = 2000;

/// Runs one action.
pub(super) async fn run(job: &Job) -> Answer {
    let act: fn(&Errand) -> Done<Answer> = match job.work.action.as_str() {
        "list" => list,
        "count" => count,
        "signal" => signal::signal,
        _ => return *unknown_action(job),
    };
    Errand::run(job, act).await
}

/// Which processes are meant.
struct Filter {
    pattern: Option<Pattern>,
    user: Option<u32>,
}

impl Filter {
    fn of(errand: &Errand) -> Done<Self> {
        let pattern = errand.text("pattern").map(|text| Pattern::new(text).map_err(refused));
        let user = errand.text("user").map(|name| Account::User.id(name));
        Ok(Self { pattern: pattern.transpose()?, user: user.transpose()? })
    }

    fn is_empty(&self) -> bool {
        self.pattern.is_none() && self.user.is_none()
    }

    fn matches(&self, process: &Process) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&process.command))
            && self.user.is_none_or(|user| user == process.uid)
    }

    /// The processes that match, by number.
    fn find(&self, errand: &Errand, table: &Table) -> Done<Vec<Process>> {
        let mut found = Vec::new();
        for pid in table.pids()? {
            errand.check_time()?;
            // One that ended meanwhile is none.
            found.extend(table.process(pid).filter(|process| self.matches(process)));
        }
        Ok(found)
    }
}

fn list(errand: &Errand) -> Done<Answer> {
    let filter = Filter::of(errand)?;
    let limit = errand.number("limit")?.unwrap_or(LISTED);
    if limit > MOST_LISTED {
        return Err(refused(format!("`limit` must be at most {MOST_LISTED}")));
    }
    let table = Table::of_this_node();
    let found = filter.find(errand, &table)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let shown: Vec<Value> = found.iter().take(limit).map(|process| table.described(process)).collect();
    Ok(outputs(json!({"processes": shown, "count": found.len()})))
}

fn count(errand: &Errand) -> Done<Answer> {
    let found = Filter::of(errand)?.find(errand, &Table::of_this_node())?;
    Ok(outputs(json!({"count": found.len()})))
}

#[cfg(test)]
mod tests;
