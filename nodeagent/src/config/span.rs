//! Spans of time as they are written in a configuration.

use std::time::Duration;

/// Longest span: a year, far from any overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Parses `500ms`, `30s`, `5m` or `2h`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{}` is not a span such as 500ms, 30s, 5m or 2h", text.escape_debug());
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let span = number.checked_mul(millis).map(Duration::from_millis).filter(|span| *span <= LONGEST);
    span.ok_or_else(|| "a span is at most a year".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "5", "m", "-5s", "5 s", "5d", "1e3s", "99999999999999999999s", "9999999h"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
