//! How Facter writes sizes and spans.

use serde_json::{Map, Value, json};

/// Bytes with two decimals and a binary unit, such as `15.52 GiB`.
#[expect(clippy::cast_precision_loss, reason = "printed with two decimals")]
pub(super) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut amount = bytes as f64;
    let mut unit = "bytes";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = next;
    }
    format!("{amount:.2} {unit}")
}

/// Mebibytes with two decimals, as the legacy `memorysize_mb` has it.
#[expect(clippy::cast_precision_loss, reason = "rounded to two decimals")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / 1_048_576.0 * 100.0).round() / 100.0
}

/// Part of a whole in percent with two decimals, such as `12.34%`.
#[expect(clippy::cast_precision_loss, reason = "printed with two decimals")]
pub(super) fn capacity(used: u64, total: u64) -> String {
    if total == 0 || used == 0 {
        return "0%".to_owned();
    }
    if used >= total {
        return "100%".to_owned();
    }
    format!("{:.2}%", used as f64 / total as f64 * 100.0)
}

/// The fields that Facter gives for memory, swap and mount points.
pub(super) fn usage(total: u64, available: u64) -> Map<String, Value> {
    let used = total.saturating_sub(available);
    let mut fields = Map::new();
    fields.insert("available".to_owned(), json!(size(available)));
    fields.insert("available_bytes".to_owned(), json!(available));
    fields.insert("capacity".to_owned(), json!(capacity(used, total)));
    fields.insert("used".to_owned(), json!(size(used)));
    fields.insert("used_bytes".to_owned(), json!(used));
    fields
}

/// A span in words: `3 days`, `1 day`, `2:05 hours`, `0:12 hours`.
pub(super) fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600, seconds / 60 % 60);
    match days {
        0 => format!("{hours}:{minutes:02} hours"),
        1 => "1 day".to_owned(),
        _ => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_written_as_facter_does() {
        assert_eq!(size(512), "512 bytes");
        assert_eq!(size(16_665_000_000), "15.52 GiB");
        assert_eq!(size(1024), "1.00 KiB");
        assert_eq!(mebibytes(1_048_576 * 3 / 2), 1.5);
        assert_eq!(capacity(1, 3), "33.33%");
        assert_eq!(capacity(0, 0), "0%");
        assert_eq!(capacity(4, 4), "100%");
        assert_eq!(uptime(59), "0:00 hours");
        assert_eq!(uptime(7505), "2:05 hours");
        assert_eq!(uptime(90_000), "1 day");
        assert_eq!(uptime(300_000), "3 days");
    }
}
