//! An agent as it is published for Choria runs as it is: its schema is what Choria's generator writes, and its program reads the
//! request as Choria's library for Python does, which takes no field that it does not know.

use anyhow::Result;
use orch_tests::fleet::{Fleet, Node};
use serde_json::{Value, json};

use super::kit::{call, write};

const SCHEMA: &str = r#"{
  "$schema": "https://choria.io/schemas/mcorpc/ddl/v1/agent.json",
  "metadata": {
    "name": "parrot",
    "description": "Repeats what it is told",
    "author": "orch",
    "license": "Apache-2.0",
    "version": "0.2.1",
    "url": "https://example.com",
    "timeout": 20,
    "provider": "external"
  },
  "actions": [
    {
      "action": "say",
      "input": {
        "message": {
          "prompt": "Message",
          "description": "What to say",
          "type": "string",
          "default": null,
          "optional": false,
          "validation": ".",
          "maxlength": 120
        },
        "times": {
          "prompt": "Times",
          "description": "How often",
          "type": "integer",
          "default": 1,
          "optional": true
        },
        "voice": {
          "prompt": "Voice",
          "description": "How it sounds",
          "type": "list",
          "default": "loud",
          "optional": false,
          "list": ["loud", "low"]
        }
      },
      "output": {
        "said": {
          "description": "What was said",
          "display_as": "Said",
          "type": "string"
        },
        "by": {
          "description": "Who asked",
          "display_as": "By",
          "type": "string"
        },
        "mood": {
          "description": "How it feels",
          "display_as": "Mood",
          "type": "string",
          "default": "fine"
        }
      },
      "display": "always",
      "description": "Says something",
      "aggregate": [
        {
          "function": "summary",
          "args": ["said"]
        }
      ]
    }
  ]
}
"#;

const PROGRAM: &str = r#"#!/usr/bin/env python3
import json, os, sys

RPC = "io.choria.mcorpc.external.v1.rpc_request"
ACTIVATION = "io.choria.mcorpc.external.v1.activation_request"
FIELDS = {"$schema", "protocol", "agent", "action", "requestid", "senderid", "callerid", "collective", "ttl", "msgtime", "data"}

protocol = os.environ["CHORIA_EXTERNAL_PROTOCOL"]
with open(os.environ["CHORIA_EXTERNAL_REQUEST"]) as file:
    request = json.load(file)
assert request["protocol"] == protocol

if protocol == ACTIVATION:
    reply = {"activate": True}
elif protocol == RPC:
    if set(request) != FIELDS:
        sys.exit("unexpected fields: %s" % sorted(set(request) ^ FIELDS))
    config = {}
    if os.path.exists(os.environ["CHORIA_EXTERNAL_CONFIG"]):
        with open(os.environ["CHORIA_EXTERNAL_CONFIG"]) as file:
            config = dict(line.strip().split("=", 1) for line in file if "=" in line)
    with open(os.environ["CHORIA_EXTERNAL_FACTS"]) as file:
        kernel = json.load(file)["kernel"]
    data = request["data"]
    said = " ".join([data["message"]] * data.get("times", 1)) + config.get("end", "")
    if data["message"] == "nothing":
        reply = {"statuscode": 1, "statusmsg": "it is silent", "data": {}}
    else:
        reply = {"statuscode": 0, "statusmsg": "OK",
                 "data": {"said": "%s on %s" % (said, kernel), "by": request["callerid"]}}
else:
    sys.exit("unknown protocol")

print("info for the log")
with open(os.environ["CHORIA_EXTERNAL_REPLY"], "w") as file:
    json.dump(reply, file)
"#;

fn fleet(schema: &str, name: &str, program: &str) -> Result<Fleet> {
    let fleet = Fleet::start()?;
    let schema: Value = serde_json::from_str(schema)?;
    fleet.agent(name, &schema, program)?;
    let mut fleet = fleet;
    fleet.add(&Node::named("n01"))?;
    fleet.await_here(&["n01".to_owned()]);
    Ok(fleet)
}

#[test]
fn a_published_agent_runs_as_it_is() -> Result<()> {
    let fleet = fleet(SCHEMA, "parrot", PROGRAM)?;
    let said = call(&fleet, &["parrot.say", "message=hello there", "times=2"])?.expect("ok", "", "");
    let expected = json!({"said": "hello there hello there on Linux", "by": "cert=alice", "mood": "fine"});
    assert_eq!(said.data, expected);
    call(&fleet, &["parrot.say", "message=nothing"])?.expect("failed", "action", "it is silent");
    fleet.run(&["call", "parrot.say", "message=a", "voice=shrill", "-I", "n01"]).expect_code(64);
    Ok(())
}

#[test]
fn a_script_of_mcollective_runs_as_it_is() -> Result<()> {
    // Its outputs alone are its reply, and it looks for its files where MCollective told them.
    let program = r#"#!/bin/sh
[ -s "$MCOLLECTIVE_REQUEST_FILE" ] && [ "$1" = "$MCOLLECTIVE_REQUEST_FILE" ] || exit 5
case $(cat "$MCOLLECTIVE_REQUEST_FILE") in
*'"message":"wrong"'*) echo "nobody says that" >&2; exit 4 ;;
esac
echo '{"said": "something", "by": "a script"}' > "$MCOLLECTIVE_REPLY_FILE"
"#;
    let fleet = fleet(SCHEMA, "parrot", program)?;
    let said = call(&fleet, &["parrot.say", "message=x"])?.expect("ok", "", "");
    assert_eq!(said.data, json!({"said": "something", "by": "a script", "mood": "fine"}));
    call(&fleet, &["parrot.say", "message=wrong"])?.expect("failed", "action", "nobody says that");
    Ok(())
}

#[test]
fn its_configuration_is_handed_over() -> Result<()> {
    let mut fleet = fleet(SCHEMA, "parrot", PROGRAM)?;
    fleet.kill_node("n01")?;
    super::kit::configure(&fleet, "n01", |text| {
        text.replace("[agents]\n", "[agents]\nconfig = \"agents.d\"\n")
    })?;
    write(&fleet.path("nodes/n01/agents.d/parrot"), "# of ours\nend=!\n", 0o644)?;
    fleet.start_node("n01")?;
    fleet.await_here(&["n01".to_owned()]);
    let said = call(&fleet, &["parrot.say", "message=hey"])?.expect("ok", "", "");
    assert_eq!(said.data["said"], "hey! on Linux");
    Ok(())
}
