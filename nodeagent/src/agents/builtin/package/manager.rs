//! The package managers, and how each is asked for the same things.

use std::path::Path;
use std::time::Duration;

use super::{Found, State, Step, Wish, apk, apt, dnf, pacman, rpm, zypper};
use crate::agents::ending::Done;
use crate::agents::tool::{self, Command, Ended, Tools};

/// Between two tries at a package manager that another process has locked.
const LOCKED: Duration = Duration::from_secs(1);

/// The package manager of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manager {
    Apt,
    Dnf,
    Yum,
    Zypper,
    Apk,
    Pacman,
}

impl Manager {
    /// The one that this node's packages are registered with. Tools of others may be there too, to build or unpack with.
    pub(super) fn of_this_node() -> Done<Self> {
        let has =
            |program: &str, database: &str| tool::find(program).is_some() && Path::new(database).exists();
        if has("apt-get", "/var/lib/dpkg/status") {
            return Ok(Manager::Apt);
        }
        if has("pacman", "/var/lib/pacman/local") {
            return Ok(Manager::Pacman);
        }
        if has("apk", "/lib/apk/db") || has("apk", "/usr/lib/apk/db") {
            return Ok(Manager::Apk);
        }
        if tool::find("rpm").is_some() {
            let all = [Manager::Zypper, Manager::Dnf, Manager::Yum];
            if let Some(manager) = all.into_iter().find(|manager| tool::find(manager.name()).is_some()) {
                return Ok(manager);
            }
        }
        Err(tool::missing(
            "package manager that is known: `apt-get`, `dnf`, `yum`, `zypper`, `apk`, `pacman`",
        ))
    }

    /// Name of its program.
    pub(super) fn name(self) -> &'static str {
        match self {
            Manager::Apt => "apt-get",
            Manager::Dnf => "dnf",
            Manager::Yum => "yum",
            Manager::Zypper => "zypper",
            Manager::Apk => "apk",
            Manager::Pacman => "pacman",
        }
    }

    /// Whether an installed version is the one asked for. With rpm the epoch and the release may be left out, as its tools
    /// let them be.
    pub(super) fn is_version(self, installed: &str, asked: &str) -> bool {
        match self {
            Manager::Apt | Manager::Apk | Manager::Pacman => installed == asked,
            Manager::Dnf | Manager::Yum | Manager::Zypper => rpm::is_version(installed, asked),
        }
    }

    pub(super) async fn state(self, tools: &Tools<'_>, name: &str) -> Done<State> {
        match self {
            Manager::Apt => apt::state(tools, name).await,
            Manager::Dnf | Manager::Yum | Manager::Zypper => rpm::state(tools, name).await,
            Manager::Apk => apk::state(tools, name).await,
            Manager::Pacman => pacman::state(tools, name).await,
        }
    }

    /// What the package manager would do, by its own simulation.
    pub(super) async fn plan(self, tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<Vec<Step>> {
        match self {
            Manager::Apt => apt::plan(tools, wish, name).await,
            Manager::Dnf | Manager::Yum => dnf::plan(self, tools, wish, name).await,
            Manager::Zypper => zypper::plan(tools, wish, name).await,
            Manager::Apk => apk::plan(tools, wish, name).await,
            Manager::Pacman => pacman::plan(tools, wish, name).await,
        }
    }

    pub(super) async fn carry_out(self, tools: &Tools<'_>, wish: Wish<'_>, name: &str) -> Done<()> {
        match self {
            Manager::Apt => apt::carry_out(tools, wish, name).await,
            Manager::Dnf | Manager::Yum => dnf::carry_out(self, tools, wish, name).await,
            Manager::Zypper => zypper::carry_out(tools, wish, name).await,
            Manager::Apk => apk::carry_out(tools, wish, name).await,
            Manager::Pacman => pacman::carry_out(tools, wish, name).await,
        }
    }

    /// Reads the lists of the repositories.
    pub(super) async fn refresh(self, tools: &Tools<'_>) -> Done<()> {
        let args: &[&str] = match self {
            Manager::Apt => &["--quiet", "update"],
            Manager::Dnf | Manager::Yum => &["--quiet", "makecache"],
            Manager::Zypper => &["--non-interactive", "--quiet", "refresh"],
            Manager::Apk => &["update"],
            Manager::Pacman => &["--sync", "--refresh", "--noconfirm"],
        };
        unlocked(tools, Command::new(self.name()).args(args.iter().copied()).streams()).await?.ok().map(drop)
    }

    pub(super) async fn search(self, tools: &Tools<'_>, word: &str) -> Done<Vec<Found>> {
        match self {
            Manager::Apt => apt::search(tools, word).await,
            Manager::Dnf | Manager::Yum => dnf::search(self, tools, word).await,
            Manager::Zypper => zypper::search(tools, word).await,
            Manager::Apk => apk::search(tools, word).await,
            Manager::Pacman => pacman::search(tools, word).await,
        }
    }

    /// Installed packages of which the lists have newer versions.
    pub(super) async fn updates(self, tools: &Tools<'_>) -> Done<Vec<Step>> {
        match self {
            Manager::Apt => apt::updates(tools).await,
            Manager::Dnf | Manager::Yum => dnf::updates(self, tools).await,
            Manager::Zypper => zypper::updates(tools).await,
            Manager::Apk => apk::updates(tools).await,
            Manager::Pacman => pacman::updates(tools).await,
        }
    }
}

/// Runs a package manager, and again while another process has locked it, for as long as the action may take.
pub(super) async fn unlocked(tools: &Tools<'_>, command: Command) -> Done<Ended> {
    loop {
        let ended = tools.run(command.clone()).await?;
        // At the end of the time what the package manager says of the lock is worth more than that the time is over.
        if !is_locked(&ended) || tools.remaining() <= LOCKED * 2 {
            return Ok(ended);
        }
        tools.pause(LOCKED).await?;
    }
}

/// Whether another process holds the lock, by what the package managers say then; the others wait by themselves.
fn is_locked(ended: &Ended) -> bool {
    const SAID: [&str; 5] = [
        "Could not get lock",
        "Unable to acquire the dpkg frontend lock",
        "unable to lock database",
        "Unable to lock database",
        "System management is locked",
    ];
    ended.status != 0 && SAID.iter().any(|said| ended.stderr.contains(said) || ended.stdout.contains(said))
}
