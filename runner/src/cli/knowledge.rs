//! What a script is checked against: own schemas, and what is remembered of the fleet.

use std::collections::BTreeSet;
use std::time::Duration;

use super::failure::Failure;
use super::fleet::{Connection, Ground, Reach};
use crate::client::Session;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::fleet_cache::Memory;
use crate::report::{Printer, clean};
use crate::schemas::{Origin, Schemas};
use crate::script::{Known, Library};

/// Own schemas with those of the fleet, names of facts, and where they are kept.
pub(super) struct Knowledge {
    pub(super) schemas: Schemas,
    facts: BTreeSet<String>,
    memory: Option<Memory>,
}

impl Knowledge {
    /// These schemas, and what is remembered.
    pub(super) fn new(schemas: Schemas, memory: Option<Memory>) -> Self {
        let mut knowledge = Self { schemas, facts: BTreeSet::new(), memory };
        knowledge.refresh();
        knowledge
    }

    fn refresh(&mut self) {
        if let Some(memory) = &self.memory {
            self.schemas.set_fleet(memory.agents(|agent| !Schemas::is_built_in(agent)));
            self.facts = memory.facts();
        }
    }

    /// The same for the check of a script.
    pub(super) fn known<'a>(&'a self, library: &'a Library) -> Known<'a> {
        Known { schemas: &self.schemas, library: Some(library), facts: Some(&self.facts) }
    }

    /// Whether what was found in a script may be another thing once the fleet was asked.
    pub(super) fn may_learn(&self, findings: &[Diagnostic]) -> bool {
        let from_fleet =
            self.schemas.iter().any(|schema| self.schemas.origin(&schema.name) == Some(Origin::Fleet));
        let is_open = |code: Code| code == Code::UnknownAgent || (code == Code::Arguments && from_fleet);
        let mut errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
        self.memory.is_some() && errors.all(|finding| is_open(finding.code))
    }

    /// Follows the fleet, and asks it for what is new; tells whether anything is other than it was. Where nothing is new,
    /// nothing is sent. What is `needed` is worth waiting for a roster that has not settled.
    pub(super) async fn learn(&mut self, fleet: &Connection, needed: bool) -> bool {
        let Some(memory) = &mut self.memory else { return false };
        let progress = needed.then(|| fleet.progress("asking nodes for their agents"));
        let events = progress.as_ref().map(|progress| progress.sink());
        let learning = memory.learn(fleet.session(), |agent| !Schemas::is_built_in(agent), events);
        let is_other = tokio::select! {
            is_other = learning => is_other,
            () = fleet.cancel().cancelled() => false,
        };
        if is_other {
            self.refresh();
        }
        is_other
    }

    /// Waits for something, and meanwhile asks nodes for the names of facts that are not known yet.
    pub(super) async fn while_learning<T>(&self, session: &Session, wanted: impl Future<Output = T>) -> T {
        let mut wanted = std::pin::pin!(wanted);
        let Some(mut memory) = self.memory.clone() else { return wanted.await };
        let learning = async {
            // Whoever is done in a moment should not make nodes work for the next time.
            tokio::time::sleep(SETTLING).await;
            memory.learn_facts(session).await;
        };
        tokio::select! {
            biased;
            out = &mut wanted => out,
            () = learning => wanted.await,
        }
    }
}

/// How long a script runs before facts are learnt beside it.
const SETTLING: Duration = Duration::from_millis(200);

impl Ground<'_> {
    /// Opens a session for a call of an agent that no own schema describes: what the fleet says of it is looked at first.
    pub(super) async fn open_learning(&self, reach: Reach, agent: &str) -> Result<Connection, Failure> {
        let mut knowledge = Knowledge::new(reach.schemas.clone(), reach.memory.clone());
        let opened = self.open(reach).await;
        // What is not known to anybody was misspelt, whether the fleet can be reached or not.
        let mut fleet = match opened {
            Err(_) if knowledge.schemas.get(agent).is_none() => {
                return Err(knowledge.schemas.no_agent(agent));
            }
            opened => opened?,
        };
        knowledge.learn(&fleet, true).await;
        warn_of_versions(self.printer, &knowledge.schemas, agent);
        fleet.schemas = knowledge.schemas;
        Ok(fleet)
    }
}

/// Says where nodes have several versions of an agent.
fn warn_of_versions(printer: &Printer, schemas: &Schemas, agent: &str) {
    let versions = schemas.fleet().versions(agent);
    if versions.len() > 1 {
        let told =
            versions.iter().map(|version| format!("{} on {}", version.told(versions), version.nodes()));
        let told = told.collect::<Vec<_>>().join("; ");
        let message = format!("the nodes have {} versions of the agent `{agent}`: {told}", versions.len());
        printer.warn(&clean(&message));
    }
}
