//! What runs beside the script, and what is put off to its end. Nothing of it outlives the script.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rhai::{Dynamic, Engine, EvalAltResult, Position};
use tokio_util::sync::CancellationToken;

use super::branch::Branch;
use super::detached::{Detached, copied};
use super::threads::beside;
use crate::script::engine::STACK;
use crate::script::types::{Failure, Kind, Outcome, interrupted, usage};

/// Most branches that run at the same time; further ones begin when one has ended.
const AT_ONCE: usize = 64;
/// Most tasks of a script that have not ended.
const MOST_TASKS: usize = 256;

type Ended = std::thread::Result<Outcome<Dynamic>>;

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs branches beside each other until all have ended. The first that fails ends the others.
pub(crate) fn together(
    engine: &Engine,
    branches: &[(String, Detached)],
    position: Position,
) -> Outcome<Vec<Dynamic>> {
    let here = Branch::here().child();
    let next = AtomicUsize::new(0);
    let ended: Vec<Mutex<Option<Ended>>> = branches.iter().map(|_| Mutex::default()).collect();
    let first_failed = Mutex::new(None);
    beside(branches.len().min(AT_ONCE), "branch", || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some((_, branch)), Some(slot)) = (branches.get(at), ended.get(at)) else { return };
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                here.child().run(|| {
                    Branch::check()?;
                    branch.call(engine, Vec::new())
                })
            }));
            let failed = match &outcome {
                Ok(Ok(_)) => false,
                Ok(Err(error)) => !is_end(error),
                Err(_) => true,
            };
            if failed {
                lock(&first_failed).get_or_insert(at);
                here.cancel.cancel();
            }
            *lock(slot) = Some(outcome);
        }
    })?;
    Branch::check()?;
    let mut ended: Vec<Option<Ended>> = ended.into_iter().map(|slot| lock(&slot).take()).collect();
    let failed = *lock(&first_failed);
    if let Some(at) = failed {
        let others =
            ended.iter().filter(|slot| matches!(slot, Some(Ok(Err(error))) if is_end(error))).count();
        let name = branches.get(at).map(|(name, _)| name.as_str()).unwrap_or_default();
        return Err(match ended.get_mut(at).and_then(Option::take) {
            Some(Ok(Err(error))) => {
                let others = match others {
                    0 => String::new(),
                    others => format!(", which ended {}", crate::report::count(others, "other")),
                };
                EvalAltResult::ErrorInFunctionCall(
                    format!("branch {name}{others}"),
                    String::new(),
                    error,
                    position,
                )
                .into()
            }
            Some(Err(panic)) => resume_unwind(panic),
            _ => interrupted(),
        });
    }
    ended
        .into_iter()
        .map(|slot| match slot {
            Some(Ok(outcome)) => outcome,
            Some(Err(panic)) => resume_unwind(panic),
            None => Err(interrupted()),
        })
        .collect()
}

/// Whether an error is the end of a branch that was ended from outside.
fn is_end(error: &EvalAltResult) -> bool {
    matches!(error.unwrap_inner(), EvalAltResult::ErrorTerminated(why, _) if why.is_unit())
}

/// Something that runs in the background.
#[derive(Clone)]
pub(crate) struct Task(Arc<State>);

struct State {
    name: String,
    position: Position,
    cancel: CancellationToken,
    /// Cancelled when it has ended.
    over: CancellationToken,
    came: Mutex<Came>,
}

enum Came {
    NotYet,
    To(Dynamic),
    Failed(Box<EvalAltResult>),
    /// Its error was handed to whoever waited for it.
    Told,
    Panicked(Box<dyn std::any::Any + Send>),
}

impl Task {
    /// Whether it has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.0.over.is_cancelled()
    }

    /// Cancelled when it has ended.
    pub(crate) fn over(&self) -> CancellationToken {
        self.0.over.clone()
    }

    /// What it came to, once it has ended. Its error is told once.
    pub(crate) fn take(&self) -> Outcome<Dynamic> {
        let mut came = lock(&self.0.came);
        match std::mem::replace(&mut *came, Came::Told) {
            Came::To(value) => {
                *came = Came::To(value.clone());
                Ok(copied(&value))
            }
            Came::Failed(error) => Err(EvalAltResult::ErrorInFunctionCall(
                self.0.name.clone(),
                String::new(),
                error,
                self.0.position,
            )
            .into()),
            Came::Panicked(panic) => resume_unwind(panic),
            Came::Told => {
                Err(Failure::new(Kind::Wait, "the task failed, and its error was told before").into())
            }
            Came::NotYet => {
                *came = Came::NotYet;
                Err(usage("the task has not ended"))
            }
        }
    }

    fn has_more_to_tell(&self) -> bool {
        matches!(&*lock(&self.0.came), Came::Failed(_) | Came::Panicked(_))
    }

    /// Its error, if nobody was told of it.
    fn untold(&self) -> Option<Box<EvalAltResult>> {
        match &*lock(&self.0.came) {
            Came::Failed(error) if is_end(error) => return None,
            Came::Failed(_) | Came::Panicked(_) => {}
            _ => return None,
        }
        self.take().err()
    }
}

/// Tasks and deferred closures of one run.
#[derive(Default)]
pub(crate) struct Tasks {
    begun: AtomicUsize,
    running: Mutex<Vec<(Task, JoinHandle<()>)>>,
    deferred: Mutex<Vec<Detached>>,
}

impl Tasks {
    /// Begins something beside the script. It ends with the branch that began it.
    pub(crate) fn begin(&self, engine: Arc<Engine>, work: Detached, position: Position) -> Outcome<Task> {
        let mut running = lock(&self.running);
        // What has ended and has nothing left to tell needs no place any more: a script may begin tasks for hours.
        running.retain(|(task, _)| !task.is_done() || task.has_more_to_tell());
        let unfinished = running.iter().filter(|(task, _)| !task.is_done()).count();
        if unfinished >= MOST_TASKS {
            let most = format!("{MOST_TASKS} tasks run already");
            return Err(Failure::new(Kind::Usage, most)
                .help("wait for some of them before you begin more")
                .into());
        }
        let branch = Branch::here().child();
        let task = Task(Arc::new(State {
            name: format!("background task {}", self.begun.fetch_add(1, Ordering::Relaxed) + 1),
            position,
            cancel: branch.cancel.clone(),
            over: CancellationToken::new(),
            came: Mutex::new(Came::NotYet),
        }));
        let state = task.0.clone();
        let thread = std::thread::Builder::new().name("task".to_owned()).stack_size(STACK).spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(|| branch.run(|| work.call(&engine, Vec::new()))));
            *lock(&state.came) = match ended {
                Ok(Ok(value)) => Came::To(value),
                Ok(Err(error)) => Came::Failed(error),
                Err(panic) => Came::Panicked(panic),
            };
            // The engine goes before the script is told: it must not be the last that holds it.
            drop((work, engine));
            state.over.cancel();
        });
        let thread = thread.map_err(|error| usage(format!("no thread for a task: {error}")))?;
        running.push((task.clone(), thread));
        Ok(task)
    }

    /// Puts a closure off to the end of the script.
    pub(crate) fn put_off(&self, work: Detached) {
        lock(&self.deferred).push(work);
    }

    /// The closure that was put off last.
    pub(crate) fn next_deferred(&self) -> Option<Detached> {
        lock(&self.deferred).pop()
    }

    /// How many closures were put off.
    pub(crate) fn deferred(&self) -> usize {
        lock(&self.deferred).len()
    }

    /// Ends all tasks that still run.
    pub(crate) fn cancel(&self) {
        for (task, _) in lock(&self.running).iter() {
            task.0.cancel.cancel();
        }
    }

    /// Waits until all tasks have ended; gives the first error that nobody was told of.
    pub(crate) fn join(&self) -> Outcome<()> {
        let mut ended = Vec::new();
        loop {
            // A task may begin another one while it is waited for.
            let running = std::mem::take(&mut *lock(&self.running));
            if running.is_empty() {
                break;
            }
            for (task, thread) in running {
                // What panics in a task is kept by the task.
                let _ = thread.join();
                ended.push(task);
            }
        }
        ended.iter().find_map(Task::untold).map_or(Ok(()), Err)
    }
}
