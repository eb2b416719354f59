//! The operator's machine: its environment, and its programs.

use std::time::Duration;

use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};

use crate::script::dry::{Place, Unknown, holds_unknown};
use crate::script::local::Program;
use crate::script::run::{Branch, Run};
use crate::script::types::{Failure, Kind, Outcome, Secret, span, type_of, usage};
use crate::script::vocabulary::{Example, Family, Function, no_types};

/// Longest time that a program may take when nothing is said.
const LIMIT: Duration = Duration::from_secs(60);
/// Lines of what a program says of its failure that the error tells.
const LINES: usize = 5;

fn env(context: NativeCallContext<'_>, name: &str) -> Outcome<Dynamic> {
    let run = Run::of(&context)?;
    run.local.permissions.env(name)?;
    Ok(run.local.variables.get(name).map_or(Dynamic::UNIT, |value| value.as_str().into()))
}

/// Options of `exec`.
struct Options {
    limit: Duration,
    input: Option<Dynamic>,
    check: bool,
}

impl Options {
    fn read(map: Map) -> Outcome<Self> {
        let mut options = Self { limit: LIMIT, input: None, check: false };
        for (name, value) in map {
            match name.as_str() {
                "timeout" => options.limit = span(&value).map_err(usage)?,
                "input" if value.is_string() || value.is::<Secret>() => options.input = Some(value),
                "input" => {
                    return Err(usage(format!("`input` of `exec` is a string, not {}", type_of(&value))));
                }
                "check" => {
                    options.check =
                        value.as_bool().map_err(|_| usage("`check` of `exec` is `true` or `false`"))?;
                }
                other => {
                    return Err(usage(format!(
                        "`exec` has no option `{other}`: it has `timeout`, `input` and `check`"
                    )));
                }
            }
        }
        Ok(options)
    }
}

fn exec(context: NativeCallContext<'_>, argv: Array, options: Map) -> Outcome<Dynamic> {
    let run = Run::of(&context)?;
    Branch::check()?;
    if let (Some(dry), Some(unknown)) =
        (&run.dry, argv.iter().chain(options.values()).find_map(holds_unknown))
    {
        dry.does(&run, "run a program with what is unknown".to_owned(), Place::of(&context, &run));
        return Ok(Dynamic::from(unknown));
    }
    let options = Options::read(options)?;
    let argv: Vec<String> = argv.into_iter().map(argument).collect::<Outcome<_>>()?;
    let name = argv
        .first()
        .filter(|name| !name.is_empty())
        .ok_or_else(|| usage("`exec` is given a program and its arguments"))?;
    run.local.permissions.exec(name)?;
    if let Some(dry) = &run.dry {
        let place = Place::of(&context, &run);
        let unknown = Unknown::of("exec", &place.0);
        dry.does(&run, format!("run `{}`", argv.join(" ")), place);
        return Ok(Dynamic::from(dry.made(unknown)?));
    }
    let secret =
        options.input.as_ref().and_then(|input| input.read_lock::<Secret>().map(|secret| secret.clone()));
    let text: Option<ImmutableString> =
        options.input.as_ref().and_then(|input| input.clone().into_immutable_string().ok());
    let input = secret.as_ref().map(Secret::reveal).or(text.as_deref());
    let program = Program { argv: &argv, folder: run.local.project()?.folder(), input, limit: options.limit };
    let ended = run.runtime.block_on(program.run(Branch::here().cancel))?;
    if options.check && ended.code != 0 {
        let failure = Failure::new(Kind::Exec, format!("`{name}` ended with code {}", ended.code));
        let said = if ended.stderr.trim().is_empty() { &ended.stdout } else { &ended.stderr };
        let lines: Vec<&str> = said.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LINES));
        return Err(last.fold(failure, |failure, line| failure.note(*line)).into());
    }
    let ended = Map::from([
        ("code".into(), rhai::INT::from(ended.code).into()),
        ("stdout".into(), ended.stdout.into()),
        ("stderr".into(), ended.stderr.into()),
    ]);
    Ok(ended.into())
}

/// An argument of a program. Everybody on the machine sees it, so that a secret is none.
fn argument(value: Dynamic) -> Outcome<String> {
    if value.is::<Secret>() {
        let seen = "a secret cannot be an argument of a program: everybody on the machine sees those";
        return Err(Failure::new(Kind::Usage, seen)
            .help("give it as `#{ input: … }`, or in a file by `write_text`")
            .into());
    }
    if value.is_string() || value.is_int() || value.is_float() {
        return Ok(value.to_string());
    }
    Err(usage(format!("an argument of a program is a string or a number, not {}", type_of(&value))))
}

pub(super) const FAMILY: Family = Family {
    title: "The operator's machine",
    text: "What a script asks of the machine that it runs on needs a permission: `--allow env=NAME,exec=PROGRAM`, or the project's \
           `[permissions]` after `orch trust DIR`. A program is allowed by the name that the script gives it.",
    types: no_types,
    functions: &[
        Function {
            forms: &["env(name: string) -> string or nothing"],
            text: "The value of a variable of the environment; nothing where it is not set.",
            example: Example {
                script: r#"print(env("SHOP_STAGE")); print(env("SHOP_NOTHING") == ());"#,
                prints: "test\ntrue",
            },
            register: |engine| {
                engine.register_fn("env", env);
            },
        },
        Function {
            forms: &[
                "exec(program: array, options?: #{ timeout?: span, input?: string or secret, check?: bool }) -> map",
            ],
            text: "Runs a program with its arguments, without a shell, in the folder of the script, and gives `code`, `stdout` and \
                   `stderr`. Another code than 0 is an error only with `check: true`. After `timeout`, or a minute, and when the run is \
                   ended, it is ended with everything in its process group.",
            example: Example {
                script: r#"
                    let counted = exec(["wc", "-w"], #{ input: "one two three", timeout: "10s" });
                    print(`${counted.code}: ${counted.stdout.parse_int()}`);
                    print(exec(["false"]).code);
                    try { exec(["false"], #{ check: true }); } catch (error) { print(error.message); }"#,
                prints: "0: 3\n1\n`false` ended with code 1",
            },
            register: |engine| {
                engine
                    .register_fn("exec", |context: NativeCallContext<'_>, argv: Array| {
                        exec(context, argv, Map::new())
                    })
                    .register_fn("exec", exec);
            },
        },
    ],
};
