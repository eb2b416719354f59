//! From the text of a script to one that may run: checked, with its parameters, and with a session to its fleet.

use std::path::Path;

use serde_json::{Map, Value};

use super::failure::Failure;
use super::fleet::{Connection, Ground};
use super::knowledge::Knowledge;
use super::params;
use super::project::Surroundings;
use super::script::{Script, told};
use crate::config::Config;
use crate::diagnostic::{Diagnostic, SourceText};
use crate::exit::Exit;
use crate::script::{self, Compiled, Library};

/// A script that may run.
pub(super) struct Prepared {
    pub(super) compiled: Compiled,
    pub(super) params: Map<String, Value>,
    pub(super) knowledge: Knowledge,
    pub(super) fleet: Connection,
}

/// A compiled script, and its parameters.
type Ready = (Compiled, Map<String, Value>);

impl Script {
    /// Checks the script and opens the session. What nodes were never asked for is learnt before the first message, and the
    /// script is checked again with that.
    pub(super) async fn prepared(
        &self,
        ground: &Ground<'_>,
        source: &SourceText,
        around: &Surroundings,
        config: &Config,
        folder: Option<&Path>,
    ) -> Result<Prepared, Failure> {
        let given = params::given(self.params_file.as_deref(), &self.params)?;
        if self.fleet.lab.is_some() {
            return self.prepared_for_lab(ground, source, around, given, folder).await;
        }
        let mut knowledge = self.knowledge(ground, config, folder)?;
        // What can be told without a fleet is told first. What the fleet may know better waits until it was asked.
        let early = match compiled(source, &knowledge, &around.library) {
            Ok(compiled) => Ok(self.with_params(ground, compiled, given.clone())?),
            Err(faults) if knowledge.may_learn(&faults) => Err(faults),
            Err(faults) => return Err(told(ground.printer, &faults, Exit::Data)),
        };
        let unreached = |failure: Failure, early: &Result<Ready, Vec<Diagnostic>>| match early {
            Err(faults) if ground.interrupts.exit().is_none() => {
                let told = told(ground.printer, faults, Exit::Data);
                ground
                    .printer
                    .note(&format!("the nodes could not be asked whether they know it: {}", failure.message));
                told
            }
            _ => failure,
        };
        let reach = ground.fleet_from(&self.fleet, folder).await.map_err(|f| unreached(f, &early))?;
        if let Ok((compiled, _)) = &early {
            self.warned(ground, &compiled.warnings().iter().collect::<Vec<_>>()).await?;
        }
        let fleet = ground.open(reach).await.map_err(|f| unreached(f, &early))?;
        let is_other = knowledge.learn(&fleet, early.is_err()).await;
        let ready = async {
            match early {
                Err(_) if ground.interrupts.exit().is_some() => Err(ground.interrupted()),
                early if is_other => {
                    let compiled = compiled(source, &knowledge, &around.library)
                        .map_err(|faults| told(ground.printer, &faults, Exit::Data))?;
                    self.ready_again(ground, compiled, early.ok(), given).await
                }
                early => early.map_err(|faults| told(ground.printer, &faults, Exit::Data)),
            }
        };
        match ready.await {
            Ok((compiled, params)) => Ok(Prepared { compiled, params, knowledge, fleet }),
            Err(failure) => {
                fleet.close().await;
                Err(failure)
            }
        }
    }

    /// The same in a lab, whose agents are known once it has started.
    async fn prepared_for_lab(
        &self,
        ground: &Ground<'_>,
        source: &SourceText,
        around: &Surroundings,
        given: Map<String, Value>,
        folder: Option<&Path>,
    ) -> Result<Prepared, Failure> {
        let reach = ground.fleet_from(&self.fleet, folder).await?;
        let knowledge = Knowledge::new(reach.schemas.clone(), None);
        let ready = async {
            let compiled = compiled(source, &knowledge, &around.library)
                .map_err(|faults| told(ground.printer, &faults, Exit::Data))?;
            let ready = self.with_params(ground, compiled, given)?;
            self.warned(ground, &ready.0.warnings().iter().collect::<Vec<_>>()).await?;
            Ok(ready)
        };
        match ready.await {
            Ok((compiled, params)) => {
                let fleet = ground.open(reach).await?;
                Ok(Prepared { compiled, params, knowledge, fleet })
            }
            Err(failure) => {
                if let Some(lab) = reach.lab {
                    lab.shutdown().await;
                }
                Err(failure)
            }
        }
    }

    /// What the script is checked against as long as no fleet is reached.
    pub(super) fn knowledge(
        &self,
        ground: &Ground<'_>,
        config: &Config,
        folder: Option<&Path>,
    ) -> Result<Knowledge, Failure> {
        let memory = config.memory(ground.environment).filter(|_| self.fleet.lab.is_none());
        Ok(Knowledge::new(ground.schemas(&self.fleet, folder)?, memory))
    }

    /// The compiled script with its parameters, when nothing is wrong with these.
    fn with_params(
        &self,
        ground: &Ground<'_>,
        compiled: Compiled,
        given: Map<String, Value>,
    ) -> Result<Ready, Failure> {
        let params = params::complete(ground, compiled.params(), &self.params, given);
        compiled.check_params(&params).map_err(|faults| told(ground.printer, &faults, Exit::Usage))?;
        Ok((compiled, params))
    }

    /// The same after an earlier look: what was said and asked then is not said and asked again.
    async fn ready_again(
        &self,
        ground: &Ground<'_>,
        compiled: Compiled,
        before: Option<Ready>,
        given: Map<String, Value>,
    ) -> Result<Ready, Failure> {
        let (told_before, ready) = match before {
            Some((before, params)) => (before.warnings().to_vec(), (compiled, params)),
            None => (Vec::new(), self.with_params(ground, compiled, given)?),
        };
        let is_new = |warning: &&Diagnostic| {
            !told_before.iter().any(|told| (told.code, told.span) == (warning.code, warning.span))
        };
        self.warned(ground, &ready.0.warnings().iter().filter(is_new).collect::<Vec<_>>()).await?;
        Ok(ready)
    }
}

pub(super) fn compiled(
    source: &SourceText,
    knowledge: &Knowledge,
    library: &Library,
) -> Result<Compiled, Vec<Diagnostic>> {
    script::compile(source, knowledge.known(library))
}
