//! What it costs to unpack one body: the least that anybody pays who wants to read it.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use flate2::bufread::GzDecoder;

use crate::case::Body;
use crate::thread::time_on_core;

/// The kernel counts a running thread's time in steps of some milliseconds: this takes hundreds.
const TIMES: u32 = 20_000;

/// CPU time of unpacking the packed body once, each time with a state of its own.
pub(crate) fn once() -> Result<Duration> {
    let packed = Body::Packed.bytes()?;
    let mut unpacked = Vec::new();
    let before = time_on_core()?;
    for _ in 0..TIMES {
        unpacked.clear();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked)?;
    }
    let spent = time_on_core()?.saturating_sub(before);
    ensure!(
        unpacked == Body::Small.bytes()?,
        "what was packed is not what came out"
    );
    Ok(spent / TIMES)
}
