//! What runs beside each other, and what is put off to the end.

use rhai::{Array, Dynamic, Engine, FnPtr, Map, NativeCallContext};

use crate::script::run::{Branch, Detached, Run, Task, together};
use crate::script::types::{Failure, Kind, Outcome, interrupted, span, type_of, usage};
use crate::script::vocabulary::{Example, Family, Function};

fn branch(context: &NativeCallContext<'_>, name: String, work: &Dynamic) -> Outcome<(String, Detached)> {
    match work.read_lock::<FnPtr>() {
        Some(closure) => Ok((name, Detached::new(context, &closure))),
        None => Err(usage(format!("branch {name} of `parallel` is a closure, not {}", type_of(work)))),
    }
}

fn parallel_list(context: NativeCallContext<'_>, work: Array) -> Outcome<Array> {
    let branches = work.iter().zip(1..).map(|(work, number)| branch(&context, format!("{number}"), work));
    let branches: Vec<_> = branches.collect::<Outcome<_>>()?;
    if branches.is_empty() {
        return Ok(Array::new());
    }
    together(context.engine(), &branches, context.call_position())
}

fn parallel_map(context: NativeCallContext<'_>, work: Map) -> Outcome<Map> {
    let branches = work.iter().map(|(name, work)| branch(&context, format!("\"{name}\""), work));
    let branches: Vec<_> = branches.collect::<Outcome<_>>()?;
    if branches.is_empty() {
        return Ok(Map::new());
    }
    let values = together(context.engine(), &branches, context.call_position())?;
    Ok(work.keys().cloned().zip(values).collect())
}

fn background(context: NativeCallContext<'_>, work: FnPtr) -> Outcome<Task> {
    let run = Run::of(&context)?;
    let engine = run.engine().ok_or_else(interrupted)?;
    run.tasks.begin(engine, Detached::new(&context, &work), context.call_position())
}

fn defer(context: NativeCallContext<'_>, work: FnPtr) -> Outcome<()> {
    Run::of(&context)?.tasks.put_off(Detached::new(&context, &work));
    Ok(())
}

fn wait(context: NativeCallContext<'_>, task: &mut Task, limit: Option<&Dynamic>) -> Outcome<Dynamic> {
    let run = Run::of(&context)?;
    let limit = limit.map(span).transpose().map_err(usage)?;
    let ended = run.runtime.block_on(async {
        let over = task.over();
        let over = Branch::here().cancel.run_until_cancelled_owned(async move { over.cancelled().await });
        match limit {
            Some(limit) => tokio::time::timeout(limit, over).await.map_err(|_| limit),
            None => Ok(over.await),
        }
    });
    match ended {
        Ok(Some(())) => task.take(),
        Ok(None) => Err(interrupted()),
        Err(limit) => {
            let message = format!("the task did not end within {}", crate::report::span(limit));
            Err(Failure::new(Kind::Wait, message)
                .help("it goes on; `task.wait()` waits as long as it takes")
                .into())
        }
    }
}

fn types(engine: &mut Engine) {
    let shown = |task: &mut Task| if task.is_done() { "task (done)" } else { "task (running)" };
    engine
        .register_type_with_name::<Task>("task")
        .register_fn("to_string", shown)
        .register_fn("to_debug", shown);
}

pub(super) const FAMILY: Family = Family {
    title: "Beside each other, and at the end",
    text: "Branches have copies of what they capture: they give values back instead of changing variables. Nothing outlives the \
           script.",
    types,
    functions: &[
        Function {
            forms: &["parallel(branches: [|| any]) -> array", "parallel(branches: map) -> map"],
            text: "Runs closures beside each other and gives their values, in their order or by their names. The first that fails ends \
                   the others, and its error is that of `parallel`.",
            example: Example {
                script: r##"
                    let web = nodes("role::web");
                    let db = nodes("role::db");
                    let both = parallel(#{
                        web: || web.service.status(#{ service: "shop" }).ok.count,
                        db: || db.service.status(#{ service: "shop" }).ok.count,
                    });
                    print(`${both.web} and ${both.db}`);
                    print(parallel([|| 1 + 1, || 2 + 2]));"##,
                prints: "3 and 1\n[2, 4]",
            },
            register: |engine| {
                engine.register_fn("parallel", parallel_list).register_fn("parallel", parallel_map);
            },
        },
        Function {
            forms: &["background(work: ||) -> task"],
            text: "Begins something beside the script. The script waits for it at its end at the latest, and an error that nobody \
                   took is the script's.",
            example: Example {
                script: r#"
                    let web = nodes("role::web");
                    let count = background(|| web.node.ping().ok.count);
                    print("meanwhile");
                    print(count.wait());"#,
                prints: "meanwhile\n3",
            },
            register: |engine| {
                engine.register_fn("background", background);
            },
        },
        Function {
            forms: &["task.wait(limit?: span) -> any", "task.done -> bool"],
            text: "Waits until a task has ended, and gives what its closure gave, or its error; fails when that takes longer than the \
                   limit. `done` tells without waiting.",
            example: Example {
                script: r#"
                    let task = background(|| 6 * 7);
                    print(task.wait("30s"));
                    print(task.done);"#,
                prints: "42\ntrue",
            },
            register: |engine| {
                engine
                    .register_fn("wait", |context: NativeCallContext<'_>, task: &mut Task| {
                        wait(context, task, None)
                    })
                    .register_fn("wait", |context: NativeCallContext<'_>, task: &mut Task, limit: Dynamic| {
                        wait(context, task, Some(&limit))
                    })
                    .register_get("done", |task: &mut Task| task.is_done());
            },
        },
        Function {
            forms: &["defer(work: ||)"],
            text: "Puts a closure off to the end of the script, however that comes: after errors, a deadline and Ctrl-C too. The last \
                   that was put off runs first.",
            example: Example {
                script: r#"
                    defer(|| print("alerts on"));
                    print("alerts off");
                    defer(|| print("traffic back"));"#,
                prints: "alerts off\ntraffic back\nalerts on",
            },
            register: |engine| {
                engine.register_fn("defer", defer);
            },
        },
    ],
};
