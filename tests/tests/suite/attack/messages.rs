//! Messages that a node must not obey, although they come by the right way.

use std::time::Duration;

use anyhow::Result;
use orch_link::entropy;
use orch_tests::process::memory;
use orch_tests::raw_peer::block_on;
use orch_wire::body::Answer;
use orch_wire::codec;
use orch_wire::envelope::Frames;
use orch_wire::header::{Header, Kind, Target};
use orch_wire::ids::CollectiveName;
use orch_wire::keys::{Keys, Psk};
use orch_wire::limits::PROTOCOL;
use orch_wire::time::Timestamp;
use serde_json::json;

use super::kit::{fleet, goes_on, header, ping};
use super::operator::{MALLORY, Operator, await_growth, seal_raw, stats};

#[test]
fn a_message_that_was_changed_is_not_obeyed() -> Result<()> {
    let fleet = fleet()?;
    let before = stats(&fleet, "n01")?;
    block_on(async {
        let mut mallory = Operator::open(&fleet).await?;
        let good = mallory.sealed("n/n01/", |_, _| {})?;
        let flip = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1;
            }
            bytes
        };
        let mut bad = Vec::new();
        // Another body, another seal, none, a short one, another mode, an empty body, the body of another message.
        bad.push(Frames { body: flip(&good.body, 30).into(), ..good.clone() });
        bad.push(Frames { seal: flip(&good.seal, 20).into(), ..good.clone() });
        bad.push(Frames { seal: "".into(), ..good.clone() });
        bad.push(Frames { seal: good.seal.slice(..20), ..good.clone() });
        bad.push(Frames { seal: flip(&good.seal, 0).into(), ..good.clone() });
        bad.push(Frames { body: "".into(), ..good.clone() });
        bad.push(Frames { body: good.body.slice(..good.body.len() - 1), ..good.clone() });
        bad.push(Frames { body: mallory.sealed("n/n01/", |_, _| {})?.body, ..good.clone() });
        // The same header in a call's place: a later time, another action.
        let mut later: Header = codec::decode(&good.header, 100_000)?;
        later.issued_at = later.issued_at.plus(Duration::from_secs(1));
        bad.push(Frames { header: codec::encode(&later)?.into(), ..good.clone() });
        // A call for n02 on the topic of n01.
        bad.push(Frames { topic: good.topic.clone(), ..mallory.sealed("n/n02/", |_, _| {})? });
        bad.push(Frames { topic: good.topic.clone(), ..mallory.sealed("c/main/", |_, _| {})? });
        // Of another key.
        let keys = Keys::derive(&Psk::from_bytes([9; 32]));
        let own = std::mem::replace(&mut mallory.keys, keys);
        bad.push(mallory.sealed("n/n01/", |_, _| {})?);
        mallory.keys = own;
        // Of another protocol.
        bad.push(mallory.sealed("n/n01/", |header, _| header.version = PROTOCOL + 1)?);
        assert_eq!(bad.len(), 13);
        for frames in &bad {
            mallory.calls.publish(frames).await?;
        }
        // What was not touched is obeyed, and only that is answered.
        mallory.calls.publish(&good).await?;
        let answer = mallory.answer().await?;
        assert!(answer.data.contains_key("pong"), "{answer:?}");
        Ok(())
    })?;
    await_growth(&fleet, &before, &[("unvalidated", 13), ("rejected", 0)]);
    goes_on(&fleet)
}

#[test]
fn a_message_out_of_its_time_or_place_is_not_obeyed() -> Result<()> {
    let fleet = fleet()?;
    let before = stats(&fleet, "n01")?;
    let code = |answer: &Answer| answer.code.clone().unwrap_or_default();
    block_on(async {
        let mut mallory = Operator::open(&fleet).await?;
        // Played again: one answer.
        let good = mallory.sealed("n/n01/", |_, _| {})?;
        for _ in 0..5 {
            mallory.calls.publish(&good).await?;
        }
        assert!(mallory.answer().await?.data.contains_key("pong"));
        // Too late, too early, at the ends of time.
        let now = entropy::now();
        let hour = Duration::from_secs(3600);
        let past = Timestamp::from_millis(now.millis() - 600_000);
        for at in [past, now.plus(hour), Timestamp::from_millis(0), Timestamp::from_millis(u64::MAX)] {
            mallory.calls.publish(&mallory.sealed("n/n01/", |header, _| header.issued_at = at)?).await?;
            assert_eq!(code(&mallory.answer().await?), "clock", "{at}");
        }
        // For others: by list, by collective.
        let nobody = Target::Nodes("n[02-99]".to_owned());
        mallory.calls.publish(&mallory.sealed("n/n01/", |_, call| call.target = nobody)?).await?;
        let elsewhere: CollectiveName = "other".parse()?;
        mallory.calls.publish(&mallory.sealed("n/n01/", |_, call| call.collective = elsewhere)?).await?;
        // Queries that would cost much.
        for query in ["(".repeat(30_000), "not ".repeat(12_000), "a=/(((x{99}){99}){99})/".to_owned()] {
            let query = Target::Query(query);
            mallory.calls.publish(&mallory.sealed("n/n01/", |_, call| call.target = query)?).await?;
            assert_eq!(code(&mallory.answer().await?), "malformed");
        }
        Ok(())
    })?;
    await_growth(&fleet, &before, &[("replayed", 4), ("expired", 4), ("filtered", 2), ("unvalidated", 0)]);
    goes_on(&fleet)
}

#[test]
fn bodies_that_explode_are_rejected() -> Result<()> {
    let mut fleet = fleet()?;
    let before = stats(&fleet, "n01")?;
    let pid = fleet.node("n01")?.id();
    block_on(async {
        let mut mallory = Operator::open(&fleet).await?;
        let call = |lz4| Header { lz4, ..header(MALLORY, Kind::Call(ping(&mallory.topic))) };
        // Four gibibytes that the length claims; eight mebibytes that are really there; garbage; nothing.
        let claim = [&u32::MAX.to_le_bytes()[..], &[0; 100]].concat();
        let bomb = lz4_flex::block::compress_prepend_size(&vec![0; 8 << 20]);
        let mut understated = bomb.clone();
        understated[..4].copy_from_slice(&1_000_000_u32.to_le_bytes());
        // Values inside of values, and lengths of what is not there.
        let nested: Vec<u8> = std::iter::repeat_n(0x91, 900_000).collect();
        let long = [&b"\x81\xa4args\xdf"[..], &u32::MAX.to_be_bytes()].concat();
        let bodies = [
            (true, claim),
            (true, bomb),
            (true, understated),
            (true, vec![0xff; 3]),
            (true, Vec::new()),
            (false, nested),
            (false, long),
            (false, Vec::new()),
            (false, codec::encode(&json!({"args": [1, 2]}))?),
        ];
        let frames: Vec<Frames> =
            bodies.iter().map(|(lz4, body)| seal_raw(fleet.psk(), "n/n01/", &call(*lz4), body)).collect();
        for frames in &frames {
            mallory.calls.publish(frames).await?;
            let answer = mallory.answer().await?;
            assert_eq!(answer.code.as_deref(), Some("malformed"), "{answer:?}");
        }
        Ok(())
    })?;
    await_growth(&fleet, &before, &[("rejected", 9), ("unvalidated", 0)]);
    let peak = memory(pid, "VmHWM")?;
    assert!(peak < 150 * 1024 * 1024, "{peak}");
    goes_on(&fleet)
}
