//! The files of a project.

use rhai::{Dynamic, Map, NativeCallContext};
use serde_json::Value;

use crate::node_file::without_place;
use crate::script::dry::Place;
use crate::script::local;
use crate::script::run::Run;
use crate::script::types::{Failure, Kind, Outcome, Secret, from_json};
use crate::script::vocabulary::{Example, Family, Function, no_types};

fn read_text(context: NativeCallContext<'_>, path: &str) -> Outcome<String> {
    Ok(local::read_text(&Run::of(&context)?.local, path)?.0)
}

fn write_text(context: &NativeCallContext<'_>, path: &str, text: &str, private: bool) -> Outcome<()> {
    let run = Run::of(context)?;
    let Some(dry) = &run.dry else { return local::write_text(&run.local, path, text, private) };
    // What is not allowed would fail, and is told.
    local::may_write(&run.local, path)?;
    dry.does(&run, format!("write `{path}`"), Place::of(context, &run));
    Ok(())
}

/// What a parser says of a text: line and column, where it knows them, and what it could not take.
type Fault = (Option<(usize, usize)>, String);

fn read(
    context: NativeCallContext<'_>,
    path: &str,
    parse: impl FnOnce(&str) -> Result<Dynamic, Fault>,
) -> Outcome<Dynamic> {
    let text = read_text(context, path)?;
    parse(&text).map_err(|(place, why)| {
        let place = place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        Failure::new(Kind::Data, format!("`{path}` is malformed"))
            .note(format!("{path}{place}: {why}"))
            .into()
    })
}

fn json(text: &str) -> Result<Dynamic, Fault> {
    let parsed: Result<Value, _> = serde_json::from_str(text);
    parsed.map(|value| from_json(&value)).map_err(|error| {
        let place = (error.line() > 0).then(|| (error.line(), error.column().max(1)));
        (place, without_place(&error.to_string()))
    })
}

fn yaml(text: &str) -> Result<Dynamic, Fault> {
    let parsed: Result<Option<Value>, _> = serde_saphyr::from_str(text);
    parsed.map(|value| from_json(&value.unwrap_or_default())).map_err(|error| {
        let at = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let place = error.location().map(|place| (at(place.line()), at(place.column())));
        (place, without_place(&error.without_snippet().to_string()))
    })
}

fn toml(text: &str) -> Result<Dynamic, Fault> {
    let parsed: Result<toml::Table, _> = toml::from_str(text);
    parsed.map(of_table).map_err(|error| {
        let place = error.span().map(|span| {
            let before = text.get(..span.start).unwrap_or(text);
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            (before.matches('\n').count() + 1, column)
        });
        (place, error.message().to_owned())
    })
}

fn of_table(table: toml::Table) -> Dynamic {
    table.into_iter().map(|(name, value)| (name.into(), of_toml(value))).collect::<Map>().into()
}

/// A value of TOML as one of a script. Dates are the texts that they are written as.
fn of_toml(value: toml::Value) -> Dynamic {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(of_toml).collect::<rhai::Array>().into(),
        toml::Value::Table(table) => of_table(table),
    }
}

pub(super) const FAMILY: Family = Family {
    title: "Files",
    text: "Paths are taken from the folder of the script, and do not lead out of the project: the folder with the `orch.toml` above the \
           script, or that of the script itself. No link is a way out. Other folders are read with `--allow read=PATH`. Files have at \
           most 8 MiB.",
    types: no_types,
    functions: &[
        Function {
            forms: &["read_text(path: string) -> string"],
            text: "The text of a file.",
            example: Example { script: r#"print(read_text("motd.txt"));"#, prints: "the shop is open" },
            register: |engine| {
                engine.register_fn("read_text", read_text);
            },
        },
        Function {
            forms: &[
                "read_json(path: string) -> any",
                "read_yaml(path: string) -> any",
                "read_toml(path: string) -> any",
            ],
            text: "What a file of data holds. The error of a malformed one names line and column. Dates of TOML are strings.",
            example: Example {
                script: r#"
                    let shop = read_json("data/shop.json");
                    print(shop.release);
                    print(read_yaml("data/shop.yaml").tiers);
                    print(read_toml("data/shop.toml").limits.most + 1);"#,
                prints: "1.4.2\n[\"web\", \"db\"]\n6",
            },
            register: |engine| {
                engine
                    .register_fn("read_json", |context: NativeCallContext<'_>, path: &str| {
                        read(context, path, json)
                    })
                    .register_fn("read_yaml", |context: NativeCallContext<'_>, path: &str| {
                        read(context, path, yaml)
                    })
                    .register_fn("read_toml", |context: NativeCallContext<'_>, path: &str| {
                        read(context, path, toml)
                    });
            },
        },
        Function {
            forms: &["write_text(path: string, text: string or secret)"],
            text: "Writes a file of the project, whole or not at all; its folder must be there. A secret is written as it is, for nobody \
                   else to read. `orch.toml`, and what is hidden by a dot, cannot be written.",
            example: Example {
                script: r#"
                    write_text("data/report.txt", "3 nodes\n");
                    print(read_text("data/report.txt"));"#,
                prints: "3 nodes",
            },
            register: |engine| {
                engine
                    .register_fn("write_text", |context: NativeCallContext<'_>, path: &str, text: &str| {
                        write_text(&context, path, text, false)
                    })
                    .register_fn("write_text", |context: NativeCallContext<'_>, path: &str, text: Secret| {
                        write_text(&context, path, text.reveal(), true)
                    });
            },
        },
    ],
};
