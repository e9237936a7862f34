//! What the codings promise, and what the tests of their limits and of line one share.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

mod limits;
mod line_one;

const ROOMY: DecodeLimits = DecodeLimits {
    decoded_bytes: u64::MAX,
    ratio: u64::MAX,
};

const SLICE_BYTES: usize = 64 * 1024;

const PACKED: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

/// An envelope, and what brotli's own encoder (quality 11, window 16) makes of it.
const ENVELOPE: &[u8] = b"{\"dsn\":\"https://a94ae32be2584e0bbd7a4cbb95971fee@h/7\"}\n\
    {\"type\":\"event\"}\n{\"message\":\"the same words and the same words and the same words again\"}\n";
const ENVELOPE_BR: &[u8] = b"\x02\x12\x00\xac\xb3\xc0\x6e\xa3\x5b\xb9\x0f\x9a\xc5\x64\x74\x92\x56\x29\
    \xec\x75\x8e\x4e\x58\x1f\x7b\x6f\x7c\xea\x42\xf9\x3e\x7b\x34\xa9\x3a\xce\x24\xb3\x51\x84\x08\x34\xe3\
    \x80\xb9\xfe\xba\xc0\x07\x3e\xc1\x01\xd1\xbc\xc1\x8e\xe3\x0c\x0b\x23\xaf\x3d\xee\x9e\xab\xf7\xf0\x1e\
    \xd2\x18\x03\x18\x52\x16\x3a\x60\x68\x93\x0e\x94\x54\xd4\x4f\xb2\x2e\xab\xfb\xfe\xa1\x31\x00\x15\x2f\
    \xb1\x57\xcd\x07\xe2\x11\x34\x1f\x33";

/// Ten million zeros, by brotli's own encoder.
const ZEROS_BR: &[u8] =
    b"\xcb\xff\xff\x3f\xf8\x25\x60\xe2\xb1\x40\x20\xf7\xfe\x2f\xff\x2c\x31\xf0\x4b\
    \x00\xc4\x61\x11\x80\x8e\x23\x06";
const ZEROS: usize = 10_000_000;

/// `body` as a brotli stream that packs nothing: uncompressed metablocks of at most 64 KiB (RFC
/// 7932, section 9.2) and the empty last one.
fn brotli(body: &[u8]) -> Vec<u8> {
    // The window's size is one 0 bit, for 16; it stands before the first block alone.
    if body.is_empty() {
        return vec![0b0110];
    }
    let mut packed = Vec::new();
    for (at, block) in body.chunks(1 << 16).enumerate() {
        // ISLAST 0, MNIBBLES 0 0 (4 of them), MLEN - 1 in 16 bits, ISUNCOMPRESSED 1; then bytes
        // from the next whole byte on.
        let length_less_1 = u32::try_from(block.len() - 1).expect("16 bits");
        let bits = length_less_1 << 3 | 1 << 19;
        let bits = if at == 0 { bits << 1 } else { bits };
        packed.extend_from_slice(&bits.to_le_bytes()[..3]);
        packed.extend_from_slice(block);
    }
    packed.push(0b11);
    packed
}

fn pack(coding: Coding, body: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Identity => body.to_vec(),
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).expect("writing to memory");
            encoder.finish().expect("writing to memory")
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).expect("writing to memory");
            encoder.finish().expect("writing to memory")
        }
        Coding::Brotli => brotli(body),
        Coding::Zstd => zstd::encode_all(body, 1).expect("reading from memory"),
    }
}

/// `ENVELOPE` packed in earnest.
fn envelope(coding: Coding) -> Vec<u8> {
    if coding == Coding::Brotli {
        ENVELOPE_BR.to_vec()
    } else {
        pack(coding, ENVELOPE)
    }
}

/// `ZEROS` zeros, packed in earnest.
fn zeros(coding: Coding) -> Vec<u8> {
    if coding == Coding::Brotli {
        ZEROS_BR.to_vec()
    } else {
        pack(coding, &vec![b'0'; ZEROS])
    }
}

/// What a body unpacks to, or the error and how many bytes came out before it.
fn unpack(
    coding: Coding,
    limits: DecodeLimits,
    packed: &[u8],
    chunk_bytes: usize,
    slice_bytes: usize,
) -> Result<Vec<u8>, (DecodeError, usize)> {
    let mut decoder = Decoder::new(coding, limits);
    let mut slice = vec![0; slice_bytes];
    let mut body = Vec::new();
    for chunk in packed.chunks(chunk_bytes) {
        go_on(&mut decoder, chunk, &mut slice, &mut body).map_err(|error| (error, body.len()))?;
    }
    decoder.finish().map_err(|error| (error, body.len()))?;
    assert_eq!(u64::try_from(body.len()), Ok(decoder.decoded_bytes()));
    Ok(body)
}

/// The loop that every user of a decoder runs for one chunk.
fn go_on(
    decoder: &mut Decoder,
    chunk: &[u8],
    slice: &mut [u8],
    body: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let mut rest = chunk;
    loop {
        let progress = decoder.push(rest, slice)?;
        body.extend_from_slice(&slice[..progress.written]);
        rest = &rest[progress.read..];
        if !progress.more {
            assert!(
                rest.is_empty(),
                "input was left and nobody asked to come again"
            );
            return Ok(());
        }
    }
}

/// The same verdict whole, byte by byte, and through slices of one byte.
#[track_caller]
fn check(coding: Coding, packed: &[u8], want: Result<&[u8], DecodeError>) {
    for (chunk_bytes, slice_bytes) in [(usize::MAX, SLICE_BYTES), (1, SLICE_BYTES), (7, 1)] {
        let got = unpack(coding, ROOMY, packed, chunk_bytes, slice_bytes);
        assert_eq!(
            got.as_deref().map_err(|(error, _)| *error),
            want,
            "{coding:?} in chunks of {chunk_bytes}, slices of {slice_bytes}"
        );
    }
}

#[track_caller]
fn check_header(value: Option<&str>, want: Result<Coding, UnknownCoding>) {
    assert_eq!(
        Coding::of_header(value.map(str::as_bytes)),
        want,
        "{value:?}"
    );
}

#[test]
fn one_name_is_read_in_any_case() {
    for (value, coding) in [
        ("identity", Coding::Identity),
        ("gzip", Coding::Gzip),
        ("GZIP", Coding::Gzip),
        ("x-gzip", Coding::Gzip),
        (" \tgzip ", Coding::Gzip),
        ("deflate", Coding::Deflate),
        ("br", Coding::Brotli),
        ("Br", Coding::Brotli),
        ("zstd", Coding::Zstd),
    ] {
        check_header(Some(value), Ok(coding));
    }
}

#[test]
fn what_old_clients_write_for_none_is_none() {
    for value in [None, Some(""), Some(" "), Some("UTF-8"), Some("utf-8")] {
        check_header(value, Ok(Coding::Identity));
    }
}

#[test]
fn lists_and_other_names_are_unknown() {
    for value in [
        "gzip, br",
        "gzip,gzip",
        "gzip,",
        ",",
        "gzip, identity",
        "gzip;q=1",
        "x-deflate",
        "compress",
        "brotli",
        "zstandard",
        "gzi",
        "gzip\u{0}",
    ] {
        check_header(Some(value), Err(UnknownCoding));
    }
    let bytes: &[u8] = b"\xff";
    assert_eq!(Coding::of_header(Some(bytes)), Err(UnknownCoding));
}

#[test]
fn every_coding_is_unpacked() {
    for body in [ENVELOPE, b"x", b""] {
        for coding in PACKED {
            check(coding, &pack(coding, body), Ok(body));
        }
        check(Coding::Identity, body, Ok(body));
    }
    check(Coding::Brotli, ENVELOPE_BR, Ok(ENVELOPE));
}

#[test]
fn a_stream_cut_anywhere_is_truncated() {
    for coding in PACKED {
        let packed = envelope(coding);
        for length in 0..packed.len() {
            check(coding, &packed[..length], Err(DecodeError::Truncated));
        }
    }
}

#[test]
fn nothing_may_follow_the_end() {
    for coding in PACKED {
        for garbage in [&b"x"[..], b"\0", b"\0\0\0\0\0\0\0\0\0\0\0\0", ENVELOPE] {
            let packed = [&pack(coding, ENVELOPE), garbage].concat();
            check(coding, &packed, Err(DecodeError::Broken));
        }
    }
    let packed = [ENVELOPE_BR, b"x"].concat();
    check(Coding::Brotli, &packed, Err(DecodeError::Broken));
}

#[test]
fn members_and_frames_that_follow_one_another_are_one_body() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let parts = [
            pack(coding, b"{}\n"),
            pack(coding, b""),
            pack(coding, ENVELOPE),
        ];
        let body = [b"{}\n", ENVELOPE].concat();
        check(coding, &parts.concat(), Ok(&body));
        let cut = &parts.concat()[..parts.concat().len() - 1];
        check(coding, cut, Err(DecodeError::Truncated));
    }
    // A frame to be skipped, of 3 bytes, between two others.
    let skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
    let frame = pack(Coding::Zstd, b"x");
    check(
        Coding::Zstd,
        &[&frame[..], skipped, &frame[..]].concat(),
        Ok(b"xx"),
    );
    for coding in [Coding::Deflate, Coding::Brotli] {
        let twice = [pack(coding, b"x"), pack(coding, b"x")].concat();
        check(coding, &twice, Err(DecodeError::Broken));
    }
}

#[test]
fn another_coding_than_the_named_one_is_broken() {
    for named in PACKED {
        for coding in PACKED.into_iter().filter(|coding| *coding != named) {
            let packed = envelope(coding);
            let got = unpack(named, ROOMY, &packed, usize::MAX, SLICE_BYTES);
            assert!(got.is_err(), "{coding:?} was read as {named:?}");
        }
        let got = unpack(named, ROOMY, ENVELOPE, usize::MAX, SLICE_BYTES);
        assert!(got.is_err(), "plain text was read as {named:?}");
    }
    // deflate without zlib's wrapping: two bytes of header, four of checksum.
    let wrapped = pack(Coding::Deflate, ENVELOPE);
    let bare = &wrapped[2..wrapped.len() - 4];
    check(Coding::Deflate, bare, Err(DecodeError::Broken));
}

#[test]
fn a_wrong_checksum_is_broken() {
    for (coding, from_end) in [(Coding::Gzip, 8), (Coding::Gzip, 1), (Coding::Deflate, 1)] {
        let mut packed = pack(coding, ENVELOPE);
        let at = packed.len() - from_end;
        packed[at] ^= 1;
        check(coding, &packed, Err(DecodeError::Broken));
    }
}

#[test]
fn an_empty_slice_makes_no_progress_and_loses_nothing() {
    let packed = pack(Coding::Gzip, ENVELOPE);
    let mut decoder = Decoder::new(Coding::Gzip, ROOMY);
    let nothing = Progress {
        read: 0,
        written: 0,
        more: true,
    };
    assert_eq!(decoder.push(&packed, &mut []), Ok(nothing));
    assert_eq!(decoder.push(b"", &mut []), Ok(Progress::default()));
    let mut body = Vec::new();
    go_on(&mut decoder, &packed, &mut [0; 10], &mut body).expect("a sound stream");
    assert_eq!(body, ENVELOPE);
}

#[test]
fn empty_chunks_change_nothing() {
    for coding in PACKED {
        let packed = pack(coding, ENVELOPE);
        let mut decoder = Decoder::new(coding, ROOMY);
        let mut body = Vec::new();
        for byte in packed.chunks(1) {
            for chunk in [byte, b""] {
                go_on(&mut decoder, chunk, &mut [0; 100], &mut body).expect("a sound stream");
            }
            for _ in 0..40 {
                let progress = decoder.push(b"", &mut [0; 100]);
                assert_eq!(progress, Ok(Progress::default()), "{coding:?}");
            }
        }
        assert_eq!((body.as_slice(), decoder.finish()), (ENVELOPE, Ok(())));
    }
}

/// Bodies with runs, repeats and noise, from nothing to a few slices.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        (any::<u8>(), 0..40_000_usize).prop_map(|(byte, length)| vec![byte; length]),
        prop::collection::vec(any::<u8>(), 0..2000),
        Just(ENVELOPE.to_vec()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn any_coding() -> impl Strategy<Value = Coding> {
    prop::sample::select(vec![
        Coding::Identity,
        Coding::Gzip,
        Coding::Deflate,
        Coding::Brotli,
        Coding::Zstd,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_was_packed_comes_out_at_any_chunking(
        body in any_body(),
        coding in any_coding(),
        chunk_bytes in prop_oneof![1..100_usize, 1..100_000_usize],
        slice_bytes in prop_oneof![1..100_usize, 1..=SLICE_BYTES],
    ) {
        let packed = pack(coding, &body);
        let got = unpack(coding, ROOMY, &packed, chunk_bytes, slice_bytes);
        prop_assert!(got.as_ref() == Ok(&body), "{coding:?}: {:?}", got.map(|body| body.len()));
    }

    #[test]
    fn no_input_makes_it_panic_or_spin(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        coding in any_coding(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        chunk_bytes in 1..300_usize,
    ) {
        let limits = DecodeLimits { decoded_bytes: 1 << 20, ratio: 200 };
        let _outcome = unpack(coding, limits, &noise, chunk_bytes, 1000);
        let mut packed = envelope(coding);
        let at = at.index(packed.len());
        packed[at] = byte;
        let _outcome = unpack(coding, limits, &packed, chunk_bytes, 1000);
        packed.truncate(at);
        packed.extend_from_slice(&noise);
        let _outcome = unpack(coding, limits, &packed, chunk_bytes, 1000);
    }
}
