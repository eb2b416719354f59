//! The only place that knows the serialisation crate: MessagePack with named fields, and limits on size and depth.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::DEPTH;

/// Why bytes are not the value that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than the place allows.
    #[error("{actual} bytes where {limit} are allowed")]
    TooLong {
        /// Length of the input.
        actual: usize,
        /// Longest input allowed here.
        limit: usize,
    },
    /// More values than the place allows, however few bytes they take.
    #[error("more than {limit} values")]
    TooMany {
        /// Most values allowed here.
        limit: usize,
    },
    /// Not MessagePack, or not of the shape expected.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A value that cannot be written.
    #[error("cannot be encoded: {0}")]
    Unencodable(String),
}

/// Bytes of room that an encoding begins with: what a usual header or body takes, so that it does not grow piece by piece.
const ROOM: usize = 256;

/// Encodes a value.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(ROOM);
    rmp_serde::encode::write_named(&mut bytes, value).map_err(|e| CodecError::Unencodable(e.to_string()))?;
    Ok(bytes)
}

/// Bytes for which one value is allowed: in memory a value takes ten times as much as a byte, and a byte can be one.
const BYTES_A_VALUE: usize = 8;

/// Refuses what [`decode`] would refuse for its number of values, so that a sender learns it first.
pub fn check_values(bytes: &[u8], limit: usize) -> Result<(), CodecError> {
    let limit = limit / BYTES_A_VALUE;
    // So many need as many bytes: nearly everything is let through by its length.
    if bytes.len() > limit && values(bytes) > limit {
        return Err(CodecError::TooMany { limit });
    }
    Ok(())
}

/// How many values the bytes hold, keys of maps among them, as far as they are MessagePack.
fn values(bytes: &[u8]) -> usize {
    let (mut rest, mut count) = (bytes, 0);
    while let Some((&marker, after)) = rest.split_first() {
        count += 1;
        let number = |width: usize| {
            let digits = after.get(..width).unwrap_or_default();
            digits.iter().fold(0_usize, |sum, &digit| (sum << 8) | usize::from(digit))
        };
        // What stands behind the marker that is no value of its own.
        let length = match marker {
            0xa0..=0xbf => usize::from(marker & 0x1f),
            0xc4 | 0xd9 => 1 + number(1),
            0xc5 | 0xda => 2 + number(2),
            0xc6 | 0xdb => 4 + number(4),
            0xc7 => 2 + number(1),
            0xc8 => 3 + number(2),
            0xc9 => 5 + number(4),
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 | 0xdc | 0xde => 2,
            0xca | 0xce | 0xd2 | 0xdd | 0xdf => 4,
            0xcb | 0xcf | 0xd3 => 8,
            0xd4..=0xd8 => 1 + (1 << (marker - 0xd4)),
            _ => 0,
        };
        rest = after.get(length..).unwrap_or_default();
    }
    count
}

/// Decodes a value of at most `limit` bytes, and of at most one value for each eight of them; all bytes must belong to it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLong { actual: bytes.len(), limit });
    }
    check_values(bytes, limit)?;
    let mut deserializer = rmp_serde::Deserializer::new(std::io::Cursor::new(bytes));
    deserializer.set_max_depth(DEPTH);
    let value = T::deserialize(&mut deserializer).map_err(|e| CodecError::Malformed(e.to_string()))?;
    if deserializer.position() != bytes.len() as u64 {
        return Err(CodecError::Malformed("bytes after the end of the value".to_owned()));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn values_travel() {
        let value = json!({"a": [1, -2, 2.5, true, null, "x"], "b": {"c": "é"}});
        let bytes = encode(&value).unwrap();
        assert_eq!(decode::<Value>(&bytes, 1000).unwrap(), value);
    }

    #[test]
    fn limits_hold() {
        let bytes = encode(&"x".repeat(100)).unwrap();
        assert!(matches!(decode::<String>(&bytes, 50), Err(CodecError::TooLong { .. })));
        let mut more = bytes.clone();
        more.push(0xc0);
        assert!(matches!(decode::<String>(&more, 500), Err(CodecError::Malformed(_))));
        let nested = vec![0x91; 10_000];
        assert!(decode::<Value>(&nested, 100_000).is_err());
        // An array that claims four billion elements and has none.
        assert!(decode::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff], 100).is_err());
    }

    #[test]
    fn many_values_in_few_bytes_are_refused() {
        let nils = |count: usize| {
            [&[0xdd][..], &u32::try_from(count).unwrap().to_be_bytes(), &vec![0xc0; count]].concat()
        };
        assert_eq!(decode::<Value>(&nils(800), 8000).unwrap().as_array().map(Vec::len), Some(800));
        assert_eq!(decode::<Value>(&nils(1000), 8000), Err(CodecError::TooMany { limit: 1000 }));
        // As many bytes in fewer values.
        let long = encode(&["x".repeat(1000), "y".repeat(1000)]).unwrap();
        assert!(decode::<Value>(&long, 8000).is_ok());
    }

    fn number_of(value: &Value) -> usize {
        match value {
            Value::Array(list) => 1 + list.iter().map(number_of).sum::<usize>(),
            Value::Object(map) => 1 + map.values().map(|value| 1 + number_of(value)).sum::<usize>(),
            _ => 1,
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u16>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z]{0,40}".prop_map(Value::from),
            (0..70_000usize).prop_map(|length| Value::from("x".repeat(length))),
        ];
        leaf.prop_recursive(4, 60, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,9}", inner, 0..20)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_are_counted(value in value()) {
            prop_assert_eq!(values(&encode(&value).unwrap()), number_of(&value));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<Value>(&bytes, 1000);
            let _ = decode::<crate::header::Header>(&bytes, 1000);
        }
    }
}
