//! The seeds of the corpus are what the encoders make, and they decode.
//!
//! `ORCH_WRITE_SEEDS=1 cargo test -p orch-fuzz seeds` writes them anew after a change of the protocol.

use bytes::Bytes;
use orch_link::zmtp::{FrameCheck, Traffic};
use orch_wire::body::{Answer, Call};
use orch_wire::card::Card;
use orch_wire::codec;
use orch_wire::control::{Reply, Request};
use orch_wire::envelope::Frames;
use orch_wire::nodeset;
use orch_wire::policy::{Policies, Settings};
use orch_wire::query::Query;
use orch_wire::schema::AgentSchema;

use super::samples::{Sample, samples};
use super::{corpus, entries};

/// More than any seed has.
const LIMIT: usize = 1 << 20;

#[test]
fn the_seeds_are_what_the_encoders_make() {
    let write = std::env::var_os("ORCH_WRITE_SEEDS").is_some();
    for Sample { target, name, bytes } in samples() {
        let file = format!("seed_{name}");
        if write {
            std::fs::create_dir_all(corpus(target)).unwrap();
            std::fs::write(corpus(target).join(&file), &bytes).unwrap();
        }
        let kept = entries(target).into_iter().find(|(name, _)| *name == file);
        assert_eq!(kept, Some((file, bytes)), "{target}: see the head of seeds.rs");
    }
}

#[test]
fn the_seeds_decode() {
    for Sample { target, name, bytes } in samples() {
        assert!(decodes(target, &bytes), "{target}/seed_{name}");
    }
}

/// Whether the target's decoder takes the whole input, so that the fuzzer starts behind it.
fn decodes(target: &str, bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    match target {
        "body" if bytes[0] & 2 != 0 => lz4_flex::decompress_size_prepended(&bytes[1..])
            .is_ok_and(|plain| codec::decode::<Answer>(&plain, LIMIT).is_ok()),
        "body" if bytes[0] == 0 => codec::decode::<Call>(&bytes[1..], LIMIT).is_ok(),
        "body" => codec::decode::<Answer>(&bytes[1..], LIMIT).is_ok(),
        "card" => codec::decode::<Card>(bytes, LIMIT).is_ok(),
        "chunks" => {
            let mut rest = &bytes[2..];
            while let [_, high, low, after @ ..] = rest {
                rest = &after[usize::from(u16::from_be_bytes([*high, *low]))..];
            }
            rest.is_empty()
        }
        "config" => {
            let file = std::path::Path::new("it.toml");
            orch_broker::config::Config::parse(file, text).is_ok()
                || orch_nodeagent::config::Config::parse(file, text).is_ok()
                || orch_runner::config::Config::parse(file, text).is_ok()
        }
        "control" => framed(&bytes[2..]).iter().all(|frame| match bytes[0] {
            0 => codec::decode::<Request>(frame, LIMIT).is_ok(),
            _ => codec::decode::<Reply>(frame, LIMIT).is_ok(),
        }),
        "frames" => {
            let traffic = if bytes[0] == 0 { Traffic::Messages } else { Traffic::Subscriptions };
            let (mut check, mut rest) = (FrameCheck::new(traffic), &bytes[2..]);
            while let Ok(Some((length, _))) = check.next(rest) {
                rest = &rest[length..];
            }
            check.is_open() && rest.is_empty()
        }
        "header" => {
            let (topic, header) = bytes[1..].split_at(usize::from(bytes[0]));
            let parts = [topic, header, &[], &[]].map(Bytes::copy_from_slice).to_vec();
            Frames::from_parts(parts).is_ok_and(|frames| frames.peek().is_ok())
        }
        "nodeset" => {
            nodeset::unfold(text).is_ok()
                || nodeset::names_from_results(text).is_ok()
                || text.parse::<nodeset::Limit>().is_ok()
        }
        "policy" => {
            let (policy, groups) = text.split_once('\0').unwrap_or((text, ""));
            let mut policies = Policies::new(Settings::default());
            policies.add("service.policy", policy);
            policies.add("groups", groups);
            policies.faults().is_empty()
        }
        "query" => Query::parse(text).is_ok(),
        "schema" => {
            let schema = text.split('\0').next().unwrap_or_default();
            AgentSchema::from_json(schema).is_ok() || AgentSchema::from_toml(schema).is_ok()
        }
        _ => false,
    }
}

/// The frames of a control channel.
fn framed(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        frames.push(frame);
        stream = rest;
    }
    frames
}
