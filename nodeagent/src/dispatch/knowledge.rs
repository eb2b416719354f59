//! What the node knows of itself, read again and taken over while it serves.

use std::sync::Arc;

use orch_link::task;
use tokio::task::JoinError;

use super::{Dispatcher, News};
use crate::agents::{Registry, Stamp};
use crate::card;
use crate::refresh::{Snapshot, Sources};
use crate::service::NodeConfig;

impl Dispatcher {
    /// Goes on with another configuration. Actions that run keep what they began with.
    pub(super) fn reconfigure(&mut self, config: NodeConfig, reconnect: bool) {
        self.sources = Arc::new(Sources::of(&config));
        self.refresh = config.refresh;
        self.record.set_strict(config.audit.strict);
        self.info.misconfigured = None;
        self.info.limits = config.limits;
        self.info.agents_config_dir = Arc::new(config.agents_config_dir);
        self.info.settings = Arc::new(config.settings);
        self.info.collectives = config.collectives.clone().into();
        self.collectives = config.collectives.iter().map(ToString::to_string).collect();
        self.intake.set_collectives(config.collectives.clone());
        for alarm in [self.refresh_alarm.take(), self.look_alarm.take()].into_iter().flatten() {
            self.alarms.cancel(alarm);
        }
        self.set_refresh_alarm();
        self.set_look_alarm();
        // What is being read now is of the sources before.
        self.reading = None;
        self.is_asked = true;
        self.read_again();
        if reconnect {
            // New lanes open with the card as it is then.
            self.board.replace(card::describe(&self.info, self.digest, &self.boot_id));
            if !self.link.redial(config.dialer, config.collectives) {
                tracing::error!("the lanes are not opened anew: restart the node's agent");
            }
        } else {
            self.show_card();
        }
        self.begin_queued();
    }

    pub(super) fn read_again(&mut self) {
        if self.reading.is_none() {
            let (sources, registry) = (Arc::clone(&self.sources), Arc::clone(&self.info.registry));
            self.reading = Some(task::spawn(async move {
                sources.read_all(registry).await.map(|snapshot| News::Whole(Box::new(snapshot)))
            }));
        }
    }

    pub(super) fn look_at_agents(&mut self) {
        if self.reading.is_none() {
            let (sources, registry, stamp) =
                (Arc::clone(&self.sources), Arc::clone(&self.info.registry), self.stamp);
            self.reading = Some(task::spawn(async move {
                sources.read_changed_agents(registry, stamp).await.map(News::Agents)
            }));
        }
    }

    pub(super) fn take(&mut self, news: Result<News, JoinError>) {
        self.reading = None;
        match news {
            Ok(News::Whole(snapshot)) => self.take_snapshot(snapshot.resettled()),
            Ok(News::Agents(None)) => {}
            Ok(News::Agents(Some((registry, stamp)))) => {
                self.take_agents(registry, stamp);
                tracing::info!(agents = ?self.agents, "a folder of agents has changed and was read again");
                for problem in self.info.registry.problems() {
                    tracing::warn!(%problem, "a file is not used");
                }
                self.show_card();
            }
            Err(error) => tracing::error!(%error, "facts cannot be read"),
        }
    }

    fn take_snapshot(&mut self, snapshot: Snapshot) {
        let Snapshot { facts, digest, classes, registry, stamp, policies, problems } = snapshot;
        let had_problems = !std::mem::replace(&mut self.info.problems, problems.into()).is_empty();
        self.info.facts = Arc::new(facts);
        self.info.classes = classes.into();
        self.digest = digest;
        self.policies = policies;
        self.take_agents(registry, stamp);
        self.report_problems();
        if std::mem::take(&mut self.is_asked) {
            tracing::info!("facts, classes, agents and policies were read again");
        }
        if had_problems && self.info.problems.is_empty() {
            tracing::info!("facts and classes are readable again");
        }
        self.show_card();
    }

    fn take_agents(&mut self, registry: Arc<Registry>, stamp: Option<Stamp>) {
        self.agents = registry.names();
        self.info.registry = registry;
        self.stamp = stamp;
    }

    /// Sends a card where it says something else than the last one.
    pub(super) fn show_card(&mut self) {
        if self.board.replace(card::describe(&self.info, self.digest, &self.boot_id)) {
            self.send_card(false);
        }
    }

    pub(super) fn report_problems(&self) {
        for problem in self.info.all_problems() {
            tracing::warn!(%problem, "a file is not used");
        }
    }
}
