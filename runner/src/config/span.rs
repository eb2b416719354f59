//! Spans of time as people write them.

use std::time::Duration;

/// Longest span anybody means.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Why a text is not a span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a span of time: write a number with a unit, such as `500ms`, `30s`, `5m` or `2h`", .0.escape_debug())]
pub struct SpanError(String);

/// Parses a span: a number with one of the units `ms`, `s`, `m`, `h`, `d`; a bare number is seconds.
pub fn parse_span(text: &str) -> Result<Duration, SpanError> {
    let wrong = || SpanError(text.chars().take(40).collect());
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let scale = match unit.trim_start() {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let span = Duration::from_millis(number.checked_mul(scale).ok_or_else(wrong)?);
    if span > LONGEST { Err(wrong()) } else { Ok(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_with_a_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5 m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("7", 7000),
        ] {
            assert_eq!(parse_span(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "5x", "-1s", "1.5s", "99999999999999999999s", "9999999999999999h", "5s5"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
