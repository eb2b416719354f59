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
    /// Not MessagePack, or not of the shape expected.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A value that cannot be written.
    #[error("cannot be encoded: {0}")]
    Unencodable(String),
}

/// Encodes a value.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    rmp_serde::to_vec_named(value).map_err(|e| CodecError::Unencodable(e.to_string()))
}

/// Decodes a value of at most `limit` bytes; all bytes must belong to it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLong { actual: bytes.len(), limit });
    }
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

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<Value>(&bytes, 1000);
            let _ = decode::<crate::header::Header>(&bytes, 1000);
        }
    }
}
