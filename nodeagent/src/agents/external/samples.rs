//! The sample agents do what their schemas say.

use super::tests::Kit;
use super::*;

use orch_wire::body::Ending;
use serde_json::{Value, json};

fn kit() -> Kit {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/agents");
    Kit::with(|agents| {
        for name in ["package", "service", "shop"] {
            for (file, mode) in [(name.to_owned(), 0o755), (format!("{name}.json"), 0o644)] {
                fs::copy(samples.join(&file), agents.join(&file)).unwrap();
                // A checkout may be writable by a group, which is refused.
                fs::set_permissions(agents.join(&file), fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    })
}

/// Runs an action as a node does, arguments checked.
async fn call(kit: &Kit, action: &str, args: Value) -> Answer {
    let (agent, action) = action.split_once('.').unwrap();
    let mut job = kit.job_of(agent, action);
    job.work.args = args.as_object().cloned().unwrap();
    let schema = job.work.agent.schema.action(action).unwrap().clone();
    schema.validate(&job.work.args).unwrap();
    let answer = job.run().await;
    if answer.ending == Some(Ending::Ok) {
        for (name, value) in &answer.data {
            let output = schema.output(name).unwrap_or_else(|| panic!("{name} is not in the schema"));
            assert!(output.kind.accepts(value), "{name}: {value}");
        }
    }
    answer
}

async fn data(kit: &Kit, action: &str, args: Value) -> Value {
    let answer = call(kit, action, args).await;
    assert_eq!(answer.ending, Some(Ending::Ok), "{answer:?}");
    Value::Object(answer.data)
}

#[tokio::test]
async fn packages() {
    let kit = kit();
    let shop = || json!({"package": "shop"});
    assert_eq!(data(&kit, "package.status", shop()).await["ensure"], "1.4.2");
    assert_eq!(data(&kit, "package.status", json!({"package": "vim"})).await["ensure"], "absent");
    let installed = data(&kit, "package.install", json!({"version": "2.1", "package": "shop"})).await;
    assert_eq!(installed, json!({"package": "shop", "ensure": "2.1", "changed": true}));
    assert_eq!(data(&kit, "package.install", shop()).await["changed"], false);
    assert_eq!(data(&kit, "package.status", shop()).await["ensure"], "2.1");
    assert_eq!(data(&kit, "package.update", shop()).await["ensure"], "1.5.0");
    assert_eq!(data(&kit, "package.uninstall", shop()).await["ensure"], "absent");
    let answer = call(&kit, "package.update", shop()).await;
    assert_eq!(
        (answer.ending, answer.message.as_str()),
        (Some(Ending::Failed), "package shop is not installed")
    );
}

#[tokio::test]
async fn services() {
    let kit = kit();
    let nginx = || json!({"service": "nginx"});
    assert_eq!(data(&kit, "service.status", nginx()).await["status"], "running");
    assert_eq!(data(&kit, "service.stop", nginx()).await["status"], "stopped");
    assert_eq!(data(&kit, "service.status", nginx()).await["status"], "stopped");
    assert_eq!(data(&kit, "service.restart", nginx()).await["status"], "running");
    assert_eq!(data(&kit, "service.status", json!({"service": "none"})).await["status"], "unknown");
    let answer = call(&kit, "service.start", json!({"service": "none"})).await;
    assert_eq!(answer.message, "service none is not installed");
}

#[tokio::test]
async fn the_shop() {
    let kit = kit();
    assert_eq!(data(&kit, "shop.version", json!({})).await["version"], "1.4.2");
    let deployed = data(&kit, "shop.deploy", json!({"version": "1.5.0", "seconds": 0})).await;
    assert_eq!(deployed, json!({"version": "1.5.0", "previous": "1.4.2"}));
    assert_eq!(data(&kit, "shop.health", json!({})).await, json!({"healthy": true, "deployments": 2}));
    let answer = call(&kit, "shop.deploy", json!({"version": "1.6-broken"})).await;
    assert_eq!(answer.ending, Some(Ending::Failed));
    assert_eq!(data(&kit, "shop.rollback", json!({})).await["version"], "1.4.2");
    assert_eq!(data(&kit, "shop.version", json!({})).await["version"], "1.4.2");
}
