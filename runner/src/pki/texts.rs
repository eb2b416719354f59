//! The configuration files that come with new certificates: short, commented, ready to use.

use std::path::Path;

/// Text as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// `broker.toml`; with a run folder, for a broker that is tried out from where it was made.
pub(super) fn broker(port: u16, run: Option<&Path>) -> String {
    let listen = quoted(&format!("{}:{port}", if run.is_some() { "127.0.0.1" } else { "0.0.0.0" }));
    let mut text = format!(
        "# Made by `orch pki init`. `orch-broker --print-default-config` shows every key.\n\
         listen = {listen}\n"
    );
    if let Some(run) = run {
        text.push_str(&format!("state = \"state\"\nrun = {}\n", quoted_path(run)));
    }
    text.push_str(
        "\n[tls]\nca = \"ca.pem\"\ncert = \"broker.pem\"\nkey = \"broker.key\"\n\
         # `orch pki revoke` writes it; SIGHUP makes the broker read it again.\ncrl = \"crl.pem\"\n",
    );
    text
}

/// `node.toml`; with a run folder, for a node that is tried out from where it was made.
pub(super) fn node(broker: &str, run: Option<&Path>) -> String {
    let mut text = format!(
        "# Made by `orch pki add-node`. `orch-node --print-default-config` shows every key.\n\
         broker = {}\n\
         psk = \"psk\"\n",
        quoted(broker)
    );
    if let Some(run) = run {
        text.push_str(&format!("state = \"state\"\nrun = {}\n", quoted_path(run)));
    }
    text.push_str("\n[tls]\nca = \"ca.pem\"\ncert = \"node.pem\"\nkey = \"node.key\"\n");
    if run.is_some() {
        text.push_str(
            "\n[facts]\ndirs = [\"facts.d\"]\n\n[classes]\nfile = \"classes.txt\"\n\n\
             [agents]\ndirs = [\"agents\"]\nconfig = \"agents.d\"\n",
        );
    }
    text
}

/// `orch.toml` of an operator.
pub(super) fn operator(broker: &str, agents: Option<&Path>) -> String {
    let mut text = format!(
        "# Made by orch. `orch config show` shows every key and where its value comes from.\n\
         broker = {}\n\
         ca = \"ca.pem\"\n\
         cert = \"operator.pem\"\n\
         key = \"operator.key\"\n\
         psk = \"psk\"\n",
        quoted(broker)
    );
    if let Some(agents) = agents {
        text.push_str(&format!("agents = [{}]\n", quoted_path(agents)));
    }
    text
}

/// `fleet.toml`: what later additions need to know.
pub(super) fn fleet(broker: &str, run: Option<&Path>) -> String {
    let mut text = format!(
        "# Made by `orch pki init`. What is added later is told this address of the broker.\n\
         broker = {}\n",
        quoted(broker)
    );
    if let Some(run) = run {
        text.push_str(&format!(
            "\n# Everything here runs from this folder; sockets go there, where paths are short.\nrun = {}\n",
            quoted_path(run)
        ));
    }
    text
}
