//! What the machine did beside the measurement.

use std::time::Duration;

use anyhow::{Context, Result};

/// Busy and total time of all processors since the machine started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    busy: Duration,
    total: Duration,
}

impl Load {
    pub(crate) fn now() -> Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().context("/proc/stat is empty")?;
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|t| t.parse().ok()).collect();
        let span = |ticks: u64| Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
        let total: u64 = ticks.iter().sum();
        // The fourth and fifth are idle and waiting for a disk.
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Ok(Self { busy: span(total - idle), total: span(total) })
    }

    /// The part of the machine that others used since then, from 0 to 1.
    pub(crate) fn foreign_since(before: Self, own: Duration) -> Result<f64> {
        let now = Self::now()?;
        let (busy, total) = (now.busy.saturating_sub(before.busy), now.total.saturating_sub(before.total));
        Ok(busy.saturating_sub(own).as_secs_f64() / total.as_secs_f64().max(0.001))
    }
}
