//! What the sentences of the group AP set up; the runner's tests write it to files for the command.

/// What a sentence of the group AP sets up.
#[derive(Debug, Default)]
pub(crate) struct Setting {
    /// Files of the folder of policies.
    pub(crate) files: Vec<(&'static str, String)>,
    /// `policy.unconfigured = allow`
    pub(crate) allow_unconfigured: bool,
    /// `policy.default_file = true`
    pub(crate) default_file: bool,
}

/// Reads the sentence.
pub(crate) fn setting(sentence: &str) -> Setting {
    let mut setting = Setting::default();
    for (words, lines) in [
        ("file with only `policy default deny`", "policy default deny"),
        ("only comments and blank lines", "# nothing\n\n  \n#allow\t*\t*\t*\t*\n"),
    ] {
        if sentence.contains(words) {
            setting.files.push(("svc.policy", lines.to_owned()));
        }
    }
    if sentence.contains("allow_unconfigured=1") {
        setting.allow_unconfigured = true;
    }
    if sentence.contains("enable_default=1") {
        setting.default_file = true;
    }
    if sentence.contains("default.policy says allow") {
        setting.files.push(("default.policy", "policy default allow".into()));
    }
    // `default deny; LINE then LINE`: lines stand in backticks, tabs are written as arrows.
    if let Some(default) = sentence.strip_prefix("default ").and_then(|rest| rest.split(';').next()) {
        let lines = sentence.split('`').skip(1).step_by(2).map(|line| line.replace('→', "\t"));
        let lines: Vec<String> = std::iter::once(format!("policy default {default}")).chain(lines).collect();
        setting.files.push(("svc.policy", lines.join("\n")));
    }
    // Both groups are asked for: the one that is ignored, and one that is not.
    if sentence == "groups file line with a name but no members" {
        setting.files.push(("groups", "empty\nfull cert=y\n".into()));
        setting.files.push(("svc.policy", "policy default deny\nallow\tempty full\t*\t*\t*".into()));
    }
    setting
}

/// Who calls.
pub(crate) fn caller(sentence: &str) -> &str {
    sentence.rsplit_once("caller ").map_or("cert=x", |(_, caller)| caller)
}
