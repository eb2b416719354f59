//! Questions of scripts, on a real terminal and without one.

use std::io::{Read, Write};
use std::process::Child;

use anyhow::{Context, Result};
use orch_tests::fleet::Fleet;
use orch_tests::process::Ended;
use orch_tests::terminal::on_a_terminal;

const SCRIPT: &str = "defer(|| print(\"deferred\"));\n\
    if confirm(\"Restart the shop?\") { print(\"restarting\"); } else { print(\"left alone\"); }\n\
    let ticket = prompt(\"Which ticket?\");\n\
    let token = secret(\"prompt:Password\");\n\
    write_text(\"token.txt\", token);\n\
    print(`${ticket} ${token}`);\n";

/// What a program writes on its terminal, read as far as it is waited for.
struct Screen {
    child: Child,
    shown: String,
}

impl Screen {
    /// Reads until these words are there.
    fn until(&mut self, words: &str) -> Result<()> {
        let out = self.child.stdout.as_mut().context("screen")?;
        let mut piece = [0; 1024];
        while !self.shown.contains(words) {
            let count = out.read(&mut piece)?;
            anyhow::ensure!(count > 0, "`{words}` never came: {}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        Ok(())
    }

    fn types(&mut self, keys: &str) -> Result<()> {
        Ok(self.child.stdin.as_mut().context("keyboard")?.write_all(keys.as_bytes())?)
    }

    fn ends(mut self, code: i32) -> Result<String> {
        let keyboard = self.child.stdin.take();
        let ended = Ended::from(self.child.wait_with_output()?).expect_code(code);
        drop(keyboard);
        Ok(format!("{}{}", self.shown, ended.stdout))
    }
}

fn asked(fleet: &Fleet, text: &str, flags: &[&str]) -> Result<Option<Screen>> {
    let path = fleet.script("ask.orch", text)?.display().to_string();
    let arguments: Vec<&str> = ["script", &path].into_iter().chain(flags.iter().copied()).collect();
    let child = on_a_terminal(fleet, &arguments)?;
    Ok(child.map(|child| Screen { child, shown: String::new() }))
}

#[test]
fn an_operator_is_asked_and_what_is_secret_does_not_show() -> Result<()> {
    let fleet = Fleet::start()?;
    let Some(mut screen) = asked(&fleet, SCRIPT, &[])? else { return Ok(()) };
    screen.until("Restart the shop? [y/N] ")?;
    screen.types("perhaps\n")?;
    screen.until("write `y` or `n`")?;
    // What is typed ahead is for the question that comes next.
    screen.types("Y\nSHOP-7\n")?;
    screen.until("Password: ")?;
    screen.types("open-sesame\n")?;
    let shown = screen.ends(0)?;
    for words in ["restarting", "Which ticket?", "SHOP-7 ***", "deferred"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("open-sesame"), "{shown}");
    assert_eq!(
        std::fs::read_to_string(fleet.script("ask.orch", SCRIPT)?.with_file_name("token.txt"))?,
        "open-sesame"
    );
    Ok(())
}

#[test]
fn ctrl_c_at_a_question_ends_the_run_and_the_end_of_the_input_is_no_answer() -> Result<()> {
    let fleet = Fleet::start()?;
    let Some(mut screen) = asked(&fleet, SCRIPT, &[])? else { return Ok(()) };
    screen.until("[y/N] ")?;
    screen.types("\u{3}")?;
    let shown = screen.ends(130)?;
    assert!(
        shown.contains("deferred") && !shown.contains("left alone") && !shown.contains("E0316"),
        "{shown}"
    );

    let Some(mut screen) = asked(&fleet, SCRIPT, &[])? else { return Ok(()) };
    screen.until("[y/N] ")?;
    screen.types("\u{4}")?;
    let shown = screen.ends(1)?;
    assert!(shown.contains("E0316") && shown.contains("was not answered"), "{shown}");
    Ok(())
}

#[test]
fn branches_that_ask_take_turns() -> Result<()> {
    let fleet = Fleet::start()?;
    let text = "let said = parallel([|| prompt(\"one?\"), || prompt(\"one?\")]);\n\
        said.sort(); print(said);\n";
    let Some(mut screen) = asked(&fleet, text, &[])? else { return Ok(()) };
    screen.until("one? ")?;
    screen.types("a\n")?;
    screen.until("a\r\none? ")?;
    screen.types("b\n")?;
    let shown = screen.ends(0)?;
    assert!(shown.contains("[\"a\", \"b\"]"), "{shown}");
    Ok(())
}

#[test]
fn without_a_terminal_nothing_is_answered_by_itself() -> Result<()> {
    let fleet = Fleet::start()?;
    let path = fleet.script("ask.orch", "print(confirm(\"Restart?\"));")?.display().to_string();
    let ended = fleet.run(&["script", &path]).expect_code(1);
    assert!(ended.stderr.contains("E0316") && ended.stderr.contains("--yes"), "{ended:#?}");
    let ended = fleet.run(&["script", &path, "--yes"]).expect_code(0);
    assert_eq!(ended.stdout, "true\n");
    assert!(ended.stderr.contains("Restart? yes, by --yes"), "{ended:#?}");
    let path = fleet.script("ask.orch", "print(prompt(\"Ticket?\"));")?.display().to_string();
    let ended = fleet.run(&["script", &path, "--yes"]).expect_code(1);
    assert!(ended.stderr.contains("make it a parameter"), "{ended:#?}");
    Ok(())
}
