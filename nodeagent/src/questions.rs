//! Questions to data functions, answered beside the node's task.
//!
//! Each is asked anew: an answer that is kept, or shared with a question that came later, could be of before a write.

use std::collections::HashMap;
use std::sync::Arc;

use orch_wire::ids::CallId;
use orch_wire::query::DataCall;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinSet};

use crate::act;
use crate::agents::{Function, Job};

/// Questions that are answered at once; most of them start a program.
const AT_ONCE: usize = 8;

/// An answer; none where the function could give none.
type Answer = Option<Map<String, Value>>;

/// Those that wait for their answers.
#[derive(Debug)]
pub(crate) struct Questions {
    tasks: JoinSet<Answer>,
    asked: HashMap<Id, (CallId, DataCall)>,
    room: Arc<Semaphore>,
}

impl Default for Questions {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), asked: HashMap::new(), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Questions {
    /// Asks for a call.
    pub(crate) fn ask(&mut self, call: CallId, asked: DataCall, function: Arc<Function>, job: Job) {
        let room = Arc::clone(&self.room);
        let task = self.tasks.spawn(async move {
            let _room = room.acquire_owned().await;
            let name = function.schema.name.clone();
            function
                .outputs(act::run(job).await)
                .inspect_err(|why| tracing::warn!(function = name, why, "a data function gives no answer"))
                .ok()
        });
        self.asked.insert(task.id(), (call, asked));
    }

    /// Whether there is no question.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The next answer; none when there is no question. To drop the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<(CallId, DataCall, Answer)> {
        loop {
            let (id, answer) = match self.tasks.join_next_with_id().await? {
                Ok(ended) => ended,
                // One that crashed answers nothing.
                Err(error) => (error.id(), None),
            };
            if let Some((call, asked)) = self.asked.remove(&id) {
                return Some((call, asked, answer));
            }
        }
    }
}
