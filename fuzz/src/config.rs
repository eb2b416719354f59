//! The configuration files of broker, node and operator.

use std::fmt::{Debug, Display};
use std::path::Path;

use orch_runner::config::Key;

const FOLDER: &str = "/etc/orch";

/// The bytes are the text of a file, read as each of the three in turn.
///
/// An error says where: a place that the text has. What is good is good again and comes out alike; nothing that is not
/// written as an absolute path leads out of the folder of its file by being put together wrongly.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = Path::new(FOLDER).join("it.toml");
    let broker = twice(text, || orch_broker::config::Config::parse(&file, text));
    if let Some(config) = broker {
        assert!(config.connections.value > 0 && config.handshakes.value > 0);
        let paths = [&config.state, &config.run, &config.ca, &config.cert, &config.key];
        paths.into_iter().filter(|path| path.origin.file.is_some()).for_each(|path| look_at(&path.value));
    }
    let node = twice(text, || orch_nodeagent::config::Config::parse(&file, text));
    if let Some(config) = node {
        assert!((1..=15).contains(&config.collectives.len()));
        assert!(config.limits.concurrent > 0);
        assert!(config.broker.value.contains(':'), "{}", config.broker.value);
        let paths = [&config.state, &config.run, &config.psk, &config.ca, &config.cert, &config.key];
        paths.into_iter().filter(|path| path.origin.file.is_some()).for_each(|path| look_at(&path.value));
    }
    let operator = twice(text, || orch_runner::config::Config::parse(&file, text));
    if let Some(config) = operator {
        assert!(config.broker.value.contains(':'), "{}", config.broker.value);
        assert!(!config.connect.value.is_zero() && !config.discovery.value.is_zero());
        for path in [&config.ca, &config.cert, &config.key, &config.psk] {
            assert!(
                path.value.as_os_str().is_empty() || path.value.is_absolute(),
                "{}",
                path.value.display()
            );
        }
        assert_eq!(config.entries().len(), Key::ALL.len());
    }
}

fn look_at(path: &Path) {
    assert!(path.is_absolute(), "{}", path.display());
}

/// Reads the text two times; what it says, if it is good.
fn twice<T: Debug, E: Display>(text: &str, read: impl Fn() -> Result<T, E>) -> Option<T> {
    match (read(), read()) {
        (Ok(first), Ok(second)) => {
            // Maps of these types print in no order, and what they print has the same length in any.
            assert_eq!(format!("{first:?}").len(), format!("{second:?}").len());
            Some(first)
        }
        (Err(first), Err(second)) => {
            assert_eq!(first.to_string(), second.to_string());
            assert_place(&first.to_string(), text);
            None
        }
        _ => panic!("the same text is good and bad"),
    }
}

/// An error begins with `FILE:LINE:COLUMN: `, a place in the text or just behind it.
fn assert_place(error: &str, text: &str) {
    let place = error.strip_prefix("/etc/orch/it.toml:").and_then(|rest| rest.split_once(": "));
    let Some((line, column)) = place.and_then(|(place, _)| place.split_once(':')) else {
        panic!("{error:?} names no place");
    };
    let (Ok(line), Ok(column)) = (line.parse::<usize>(), column.parse::<usize>()) else {
        panic!("{error:?} names no place");
    };
    let lines: Vec<&str> = text.split('\n').collect();
    assert!((1..=lines.len()).contains(&line), "{error:?} of {} lines", lines.len());
    let length = lines[line - 1].chars().count();
    assert!((1..=length + 1).contains(&column), "{error:?} in a line of {length} characters");
}
