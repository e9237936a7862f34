//! The spool's recovery: no directory makes it panic, what it finds can be read or is
//! said to be damaged, and what is appended then is there after another start. The
//! first byte chooses: files made of the input, or a good log changed by it.
#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use vidette::server::spool::log::{Draft, Head, Log, LogLimits, RealDisk};

const LIMITS: LogLimits = LogLimits {
    segment_bytes: 4096,
    inline_bytes_max: 1024,
    damaged_bytes_max: 8192,
};

const SEGMENT: &str = "00000001-0123456789abcdef.log";
const ACKS: &str = "00000001-0123456789abcdef.acks";

fn open(folder: &Path) -> (Log<RealDisk>, Vec<(u64, Vec<u8>)>) {
    let disk = RealDisk::open(folder).unwrap();
    let (log, recovered) = Log::open(disk, LIMITS).unwrap();
    let mut read = Vec::new();
    for found in &recovered.records {
        if let Ok(record) = log.read(found.place) {
            assert_eq!(record.head, found.head);
            read.push((found.head.order, record.payload.to_vec()));
        }
    }
    assert!(read.is_sorted_by_key(|(order, _)| *order));
    (log, read)
}

fn append(log: &mut Log<RealDisk>, order: u64, payload: &[u8]) {
    let head = Head {
        order,
        at_unix_ms: 0,
        project: Some(order),
        lane: 0,
        items: 1,
    };
    let payload = [bytes::Bytes::copy_from_slice(payload)];
    let draft = Draft {
        head,
        payload: &payload,
        body: None,
    };
    log.append(&mut [draft]).remove(0).unwrap();
}

/// A segment and its acks: the input's halves, cut where its first two bytes say.
fn write_files(folder: &Path, input: &[u8]) {
    let Some((cut, rest)) = input.split_first_chunk::<2>() else {
        return;
    };
    let cut = usize::from(u16::from_le_bytes(*cut)).min(rest.len());
    fs::write(folder.join(SEGMENT), &rest[..cut]).unwrap();
    fs::write(folder.join(ACKS), &rest[cut..]).unwrap();
}

/// Two segments with records, changed in places that the input names, four bytes each:
/// which file, where, and to what. An odd place cuts the file there instead.
fn write_changed(folder: &Path, input: &[u8]) {
    for round in 0..2_u8 {
        let (mut log, _) = open(folder);
        for order in 1..4_u8 {
            append(&mut log, u64::from(round * 10 + order), &[order; 40]);
        }
    }
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| !path.ends_with("lock")).collect();
    files.sort();
    for change in input.chunks_exact(4) {
        let path = &files[usize::from(change[0]) % files.len()];
        let mut content = fs::read(path).unwrap();
        let at = usize::from(u16::from_le_bytes([change[1], change[2]]));
        match content.get_mut(at / 2) {
            Some(byte) if at % 2 == 0 => *byte = change[3],
            _ => content.truncate(at / 2),
        }
        fs::write(path, content).unwrap();
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let name = format!("vidette-fuzz-recovery-{}", std::process::id());
    // In memory where that can be: each input is synced a dozen times.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() {
        memory
    } else {
        &std::env::temp_dir()
    };
    let folder = base.join(name);
    // What an earlier input left.
    fs::remove_dir_all(&folder).ok();
    fs::create_dir(&folder).unwrap();
    match first % 2 {
        0 => write_files(&folder, rest),
        _ => write_changed(&folder, rest),
    }
    let (mut log, before) = open(&folder);
    append(&mut log, u64::MAX, b"appended");
    drop(log);
    let (_, after) = open(&folder);
    for record in before.iter().filter(|(order, _)| *order != u64::MAX) {
        assert!(after.contains(record), "a record that was read is gone");
    }
    assert!(after.iter().any(|(_, payload)| payload == b"appended"));
});
