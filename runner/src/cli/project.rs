//! The project around a script: its configuration, what it may do here, and where its modules are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::ask;
use super::failure::Failure;
use super::script_output::Stage;
use crate::config::{Config, Environment, Setting, Trust, project_of};
use crate::exit::Exit;
use crate::script::{Grants, Library, Local, Permissions, Project};

/// What a script finds around it.
pub(super) struct Surroundings {
    pub(super) library: Library,
    pub(super) local: Local,
    /// Time limit of actions that the configuration sets.
    pub(super) timeout: Option<Duration>,
    pub(super) deadline: Option<Duration>,
}

impl Surroundings {
    /// Those of a script in this folder; in the working folder where it comes from standard input.
    pub(super) fn of(
        environment: &Environment,
        config: &Config,
        folder: Option<&Path>,
        allowed: &[Grants],
    ) -> Result<Self, Failure> {
        let typed = folder.unwrap_or(Path::new(""));
        let place = environment.cwd.join(typed);
        let root = project_of(&place).unwrap_or_else(|| place.clone());
        let permissions = permissions(environment, config, allowed)?;
        let modules = modules(&config.modules, &root, &permissions)?;
        let project = Project::new(&root, &place, modules.clone())
            .map_err(|error| Failure::usage(format!("cannot look into {}: {error}", place.display())))?;
        Ok(Self {
            library: Library::project(&root, typed, modules),
            local: Local {
                project: Some(project),
                permissions,
                variables: Arc::clone(&environment.inherited),
                kept: environment.config_home.as_ref().map(|home| home.join("orch")),
                prompt: None,
                consents: false,
            },
            timeout: config.timeout.value,
            deadline: config.deadline.value,
        })
    }

    /// What the script reaches, with questions asked on this stage. The operator may have consented before.
    pub(super) fn local(&self, stage: &Arc<Stage>, consents: bool) -> Local {
        let stage = Arc::clone(stage);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        Local {
            consents,
            prompt: Some(Arc::new(move |question, cancel| {
                let (stage, turn) = (Arc::clone(&stage), Arc::clone(&turn));
                Box::pin(async move {
                    let _turn = turn.lock().await;
                    stage.clear();
                    ask::script(stage.printer(), &question, &cancel).await
                })
            })),
            ..self.local.clone()
        }
    }
}

/// What the configuration of a project asks for: its folder, and that.
pub(super) fn asked(config: &Config) -> Result<Option<(PathBuf, Grants)>, Failure> {
    let [read, env, exec] = &config.permissions;
    let Some(written) = config.permissions.iter().find(|setting| setting.origin.project().is_some()) else {
        return Ok(None);
    };
    let grants = Grants::of(&read.value, &env.value, &exec.value).map_err(|why| written.invalid(why))?;
    let folder = written.origin.project().unwrap_or(Path::new("")).to_owned();
    Ok((!grants.is_empty()).then_some((folder, grants)))
}

fn permissions(
    environment: &Environment,
    config: &Config,
    allowed: &[Grants],
) -> Result<Permissions, Failure> {
    let mut granted = Grants::default();
    for grants in allowed {
        granted.add(grants.clone().from_folder(&environment.cwd));
    }
    let Some((folder, grants)) = asked(config)? else { return Ok(Permissions::new(granted)) };
    let trust = Trust::load(environment)?;
    let (holds, grants) =
        (trust.holds(&folder, &grants.digest()), grants.from_folder(&folder).outside_of(&folder));
    if holds {
        granted.add(grants);
        return Ok(Permissions::new(granted));
    }
    Ok(Permissions::new(granted).with_untrusted(&folder, grants))
}

/// Folders of modules. Those that a project names are its own, or may be read anyway: it could come from anybody.
fn modules(
    setting: &Setting<Vec<PathBuf>>,
    root: &Path,
    permissions: &Permissions,
) -> Result<Vec<PathBuf>, Failure> {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let mut folders = Vec::new();
    for folder in &setting.value {
        let wrong = |why: String| setting.invalid(format!("{}: {why}", folder.display()));
        let real = folder.canonicalize().map_err(|error| wrong(error.to_string()))?;
        let foreign = setting.origin.project().is_some() && !real.starts_with(&root);
        if foreign && !permissions.granted().allows_read(&real) && !permissions.granted().allows_read(folder)
        {
            let failure = Failure::from(wrong("it lies outside of the project".to_owned()));
            return Err(Failure { exit: Exit::Permission, ..failure }
                .help(format!("allow it with `--allow read={}`", real.display())));
        }
        folders.push(real);
    }
    Ok(folders)
}
