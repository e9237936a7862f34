//! Random histories of appends, acks, erasures, compactions, faults, kills and
//! losses of power, against a model that keeps every record. A history's seed is
//! printed when it fails; `VIDETTE_LOG_SEED` runs that one alone.

use std::collections::BTreeMap;
use std::io::IoSlice;

use fastrand::Rng;

use super::disk::{Fault, SimDisk};
use super::kept::{Fate, Kept};
use super::*;

const HISTORIES: u64 = 1500;
const STEPS: usize = 120;

struct History {
    disk: SimDisk,
    log: Option<Log<SimDisk>>,
    rng: Rng,
    records: BTreeMap<u64, Kept>,
    /// Whether the disk failed, so that a loss may be counted that was none.
    tainted: bool,
    /// Whether it never will.
    sound: bool,
    /// Whether the power went amid a write of records: what it left of them may look like
    /// damage, until all of it is gone.
    torn: bool,
    /// Whether acks may have been forgotten since the log was opened.
    forgetful: bool,
}

struct Printed(u64);

impl Drop for Printed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this history's seed: VIDETTE_LOG_SEED={}", self.0);
        }
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let (log, found) = reopen(disk.clone());
        assert!(found.is_empty());
        Self {
            disk,
            log: Some(log),
            sound: seed.is_multiple_of(2),
            rng: Rng::with_seed(seed),
            records: BTreeMap::new(),
            torn: false,
            tainted: false,
            forgetful: false,
        }
    }

    fn log(&mut self) -> &mut Log<SimDisk> {
        self.log.as_mut().unwrap()
    }

    fn random_bytes(&mut self, below: usize) -> Vec<u8> {
        let len = self.rng.usize(..below);
        (0..len).map(|_| self.rng.u8(..)).collect()
    }

    fn append(&mut self) {
        let mut batch = Vec::new();
        for _ in 0..self.rng.usize(1..7) {
            let order = frame::size(self.records.len()) + 1;
            let below = if self.rng.u8(..8) == 0 { 640 } else { 200 };
            let payload = self.random_bytes(below);
            let body = (self.rng.u8(..8) == 0).then(|| self.random_bytes(3000));
            self.records.insert(
                order,
                Kept {
                    head: head(order),
                    payload: payload.clone(),
                    body: body.clone(),
                    fate: Fate::Offered,
                    place: None,
                },
            );
            let file = body.map(|body| {
                let file = self.log().unnamed()?;
                let mut slices = [IoSlice::new(&body)];
                super::super::disk::write_all(&self.disk, &file, &mut slices, 0)?;
                io::Result::Ok(file)
            });
            let Ok(file) = file.transpose() else { continue };
            let cut = self.rng.usize(..=payload.len());
            let (first, second) = payload.split_at(cut);
            let payload = [first, second].map(Bytes::copy_from_slice);
            batch.push((order, payload, file));
        }
        let mut drafts: Vec<_> = batch
            .iter_mut()
            .map(|(order, payload, file)| Draft {
                head: head(*order),
                payload: payload.as_slice(),
                body: file.take(),
            })
            .collect();
        let sound = self.disk.is_sound();
        let answers = self.log.as_mut().unwrap().append(&mut drafts);
        assert_eq!(answers.len(), drafts.len(), "an answer for each");
        self.torn |= !self.disk.has_power();
        for ((order, ..), answer) in batch.iter().zip(answers) {
            let record = self.records.get_mut(order).unwrap();
            let too_large = record.payload.len() > 600;
            match answer {
                Ok(place) => {
                    assert!(!too_large, "{order} is too large");
                    record.place = Some(place);
                    record.fate = Fate::Kept;
                }
                Err(error) if too_large && sound => assert_eq!(error, AppendError::TooLarge),
                Err(error) => assert!(!sound, "{order}: {error}"),
            }
        }
    }

    fn any_live(&mut self) -> Option<u64> {
        let live = self.records.iter().filter(|(_, it)| it.place.is_some());
        let live: Vec<u64> = live.map(|(order, _)| *order).collect();
        self.rng.choice(live)
    }

    fn ack(&mut self, order: u64) {
        let record = self.records.get_mut(&order).unwrap();
        let place = record.place.take().unwrap();
        if record.fate != Fate::Erasing {
            record.fate = Fate::Acked;
        }
        self.log().ack(place);
        self.log().ack(place);
        assert!(matches!(self.log().read(place), Err(Damaged::Gone)));
    }

    /// Erases some, from as many segments as they are in, and the bodies of theirs.
    fn erase(&mut self) {
        let mut all = BTreeMap::new();
        for _ in 0..self.rng.usize(1..12) {
            let order = self.any_live();
            all.extend(order.map(|order| (order, self.records[&order].place.unwrap())));
        }
        let places: Vec<Place> = all.values().copied().collect();
        let erased = self.log().erase(&places);
        let bytes = self.rng.u64(1..4000);
        while !matches!(self.log().wipe(bytes), Ok(false)) {}
        for (order, place) in all {
            let record = self.records.get_mut(&order).unwrap();
            record.place = None;
            record.fate = match erased {
                Ok(()) => Fate::Erased,
                Err(_) => Fate::Erasing,
            };
            // Their owner gives up on them.
            if erased.is_err() {
                self.tainted = true;
                self.log().ack(place);
            }
        }
    }

    fn read(&mut self, order: u64) {
        let place = self.records[&order].place.unwrap();
        let read = self.log().read(place);
        let record = &self.records[&order];
        match read {
            Ok(read) => {
                assert_eq!(read.head, record.head);
                assert!(read.payload == record.payload, "{order}: other bytes");
                let body = read.body.map(|(file, bytes)| {
                    let mut body = vec![0; usize::try_from(bytes).unwrap()];
                    super::super::disk::read_full(&self.disk, &file, &mut body, 0).map(|_| body)
                });
                if let Ok(body) = body.transpose() {
                    let erasing = record.fate == Fate::Erasing;
                    assert!(body == record.body || erasing, "{order}: another body");
                }
            }
            Err(Damaged::Io(_)) => assert!(self.tainted || !self.disk.has_power()),
            Err(error) => assert!(
                record.fate == Fate::Erasing || record.fate == Fate::Offered && self.tainted,
                "{order} {:?}: {error}",
                record.fate
            ),
        }
    }

    /// Copies forward until there is nothing to copy: then the disk's bound holds.
    fn compact(&mut self) {
        for _ in 0..100 {
            match self.log().compact(false) {
                Ok(compact::Compacted::Nothing) => break,
                Ok(_) => {}
                Err(_) => {
                    self.torn |= !self.disk.has_power();
                    return;
                }
            }
        }
        self.log().flush_acks();
        if self.tainted || !self.disk.is_sound() {
            return;
        }
        let files = self.disk.files();
        let sum = |end: &str| -> u64 {
            let of = files.iter().filter(|(name, _)| name.ends_with(end));
            of.map(|(_, bytes)| bytes).sum()
        };
        let live = || self.records.values().filter(|it| it.place.is_some());
        let frames: u64 = live().map(Kept::frame_bytes).sum();
        let bodies: u64 = live().map(Kept::body_bytes).sum();
        assert!(sum(".log") <= 10 * frames + 4096, "{files:?} for {frames}");
        assert_eq!(sum(".body"), bodies, "bodies");
        assert!(sum(".damaged") == 0 || self.torn, "nothing was damaged");
        // A torn write may leave less than an ack at the end of a side file.
        let acks = files.iter().filter(|(name, _)| name.ends_with(".acks"));
        let acks: u64 = acks.map(|(_, bytes)| bytes / 8 * 8).sum();
        let used = sum(".log") + sum(".body") + sum(".damaged") + acks;
        assert_eq!(self.log.as_ref().unwrap().usage().bytes_on_disk, used);
    }

    fn check_sums(&mut self) {
        let live = || self.records.values().filter(|it| it.place.is_some());
        let usage = self.log.as_ref().unwrap().usage();
        let bytes = |it: &Kept| it.frame_bytes() + it.body_bytes();
        assert_eq!(usage.live_records, frame::size(live().count()));
        assert_eq!(usage.live_bytes, live().map(bytes).sum::<u64>());
        for project in [None, Some(1), Some(2), Some(3)] {
            let of = live().filter(|it| it.head.project == project);
            let log = self.log.as_ref().unwrap();
            assert_eq!(log.project_bytes(project), of.map(bytes).sum::<u64>());
        }
    }

    fn close(&mut self) {
        // A clean end flushes; a disk that fails meanwhile forgets.
        if self.rng.bool() {
            self.log().close();
        }
        drop(self.log.take());
        self.forgetful |= self.tainted;
    }

    fn kill(&mut self) {
        std::mem::forget(self.log.take());
        self.forgetful = true;
    }

    fn crash(&mut self) {
        self.kill();
        self.disk.crash();
    }

    /// Opens again and compares what is found; the power may go meanwhile.
    fn open(&mut self) {
        if !self.disk.has_power() {
            self.disk.crash();
            self.forgetful = true;
        }
        self.disk.heal();
        self.disk.set_room(u64::MAX);
        if self.rng.u8(..4) == 0 {
            self.disk.fail_in(self.rng.u64(..60), Fault::PowerOff);
            if let Ok((log, _)) = Log::open(self.disk.clone(), LIMITS) {
                std::mem::forget(log);
            }
            self.disk.crash();
            self.forgetful = true;
        }
        let (log, recovered) = Log::open(self.disk.clone(), LIMITS).unwrap();
        self.log = Some(log);
        if !self.tainted {
            assert!(recovered.damaged == 0 || self.torn, "nothing was damaged");
            assert!(recovered.quarantined.is_empty());
        }
        let files = self.disk.files();
        let aside = files.iter().any(|(name, _)| name.ends_with(".damaged"));
        self.torn &= recovered.damaged > 0 || aside;
        let found = orders(&recovered.records);
        assert!(found.is_sorted_by(|a, b| a < b), "not in order: {found:?}");
        for record in self.records.values_mut() {
            record.place = None;
        }
        for found in recovered.records {
            let record = self.records.get_mut(&found.head.order);
            let record = record.expect("a record that was never offered");
            assert_eq!(found.head, record.head);
            assert_eq!(found.bytes, record.frame_bytes() + record.body_bytes());
            record.place = Some(found.place);
            match record.fate {
                Fate::Kept | Fate::Offered | Fate::Erasing => {}
                Fate::Acked => {
                    assert!(self.forgetful, "{} was acked", found.head.order);
                    record.fate = Fate::Kept;
                }
                // What cannot be removed may come back.
                Fate::Erased => {
                    assert!(self.tainted, "{} was erased", found.head.order);
                    record.fate = Fate::Erasing;
                }
            }
        }
        for (order, record) in &self.records {
            let there = record.place.is_some() || record.fate != Fate::Kept;
            assert!(there, "{order} is lost");
        }
        self.forgetful = false;
        let live = self.records.iter().filter(|(_, it)| it.place.is_some());
        for order in live.map(|(order, _)| *order).collect::<Vec<_>>() {
            self.read(order);
        }
        self.check_sums();
    }

    fn step(&mut self) {
        match self.rng.u8(..100) {
            0..30 => self.append(),
            30..60 => {
                for _ in 0..self.rng.usize(..8) {
                    if let Some(order) = self.any_live() {
                        self.ack(order);
                    }
                }
            }
            60..72 => {
                if let Some(order) = self.any_live() {
                    self.read(order);
                }
            }
            72..74 => self.erase(),
            74..80 => self.compact(),
            80..82 => self.log().flush_acks(),
            82..84 => {
                self.disk.write_short(self.rng.bool());
            }
            84..87 => {
                if !self.sound {
                    self.tainted = true;
                    self.forgetful = true;
                    self.disk.fail_in(self.rng.u64(..20), Fault::Eio);
                }
            }
            87..89 => {
                // Acks that find no room at the end are forgotten.
                self.forgetful = true;
                let used: u64 = self.disk.files().iter().map(|(_, bytes)| bytes).sum();
                self.disk.set_room(used + self.rng.u64(..3000));
            }
            89..91 => self.disk.set_room(u64::MAX),
            91..94 => {
                self.close();
                self.open();
            }
            94..95 => {
                self.kill();
                self.open();
            }
            95..97 => {
                self.crash();
                self.open();
            }
            _ => self.disk.fail_in(self.rng.u64(..40), Fault::PowerOff),
        }
        if !self.disk.has_power() {
            self.crash();
            self.open();
        }
        self.check_sums();
    }
}

#[test]
fn what_was_accepted_survives_whatever_happens() {
    let one = std::env::var("VIDETTE_LOG_SEED").ok();
    let seeds = one.map_or(0..HISTORIES, |seed| {
        let seed: u64 = seed.parse().unwrap();
        seed..seed + 1
    });
    for seed in seeds {
        let printed = Printed(seed);
        let mut history = History::new(seed);
        for _ in 0..STEPS {
            history.step();
        }
        history.crash();
        history.open();
        drop(printed);
    }
}
