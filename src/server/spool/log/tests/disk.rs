//! A disk in memory that knows what was synced. It fails, fills up and loses power
//! when told to; what it keeps then is drawn from its seed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::rc::Rc;

use fastrand::Rng;

use super::super::disk::Disk;

/// Smaller than a real one, so that small records are torn as well.
const SECTOR: usize = 64;

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Len(usize),
}

/// A file's content: as a process sees it, as it is on disk, and what is between.
#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    safe: Vec<u8>,
    /// True for what a failed sync has given up: no later one saves it.
    unsynced: Vec<(Change, bool)>,
}

type Inode = Rc<RefCell<Content>>;

#[derive(Debug, Clone)]
enum NameOp {
    Give(String, Inode),
    Take(String),
    Rename(String, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::spool) enum Fault {
    Eio,
    PowerOff,
}

#[derive(Debug)]
struct State {
    rng: Rng,
    names: BTreeMap<String, Inode>,
    safe_names: BTreeMap<String, Inode>,
    name_ops: Vec<NameOp>,
    /// In so many calls, this happens.
    fault: Option<(u64, Fault)>,
    power: bool,
    /// Syncs, of files and of names, since somebody asked.
    syncs: u64,
    short_writes: bool,
    /// Bytes that all files may have.
    room: u64,
}

#[derive(Debug, Clone)]
pub(in crate::server::spool) struct SimDisk(Rc<RefCell<State>>);

#[derive(Debug, Clone)]
pub(in crate::server::spool) struct SimFile(Inode);

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes } => {
            let end = at + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at..end].copy_from_slice(bytes);
        }
        Change::Len(bytes) => content.resize(*bytes, 0),
    }
}

/// What a loss of power leaves of a change: each sector of a write is there, or not,
/// or is anything.
fn apply_torn(content: &mut Vec<u8>, change: &Change, rng: &mut Rng) {
    match change {
        Change::Write { at, bytes } => {
            let whole = rng.u8(..4);
            let mut from = 0;
            while from < bytes.len() {
                let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
                let mut sector = bytes[from..to].to_vec();
                let fate = if whole == 0 { 0 } else { rng.u8(..3) };
                if fate == 1 {
                    sector.fill_with(|| rng.u8(..));
                }
                if fate < 2 {
                    apply(
                        content,
                        &Change::Write {
                            at: at + from,
                            bytes: sector,
                        },
                    );
                }
                from = to;
            }
        }
        Change::Len(_) => {
            if rng.bool() {
                apply(content, change);
            }
        }
    }
}

fn apply_name(names: &mut BTreeMap<String, Inode>, op: &NameOp) {
    match op {
        NameOp::Give(name, inode) => {
            names.insert(name.clone(), Rc::clone(inode));
        }
        NameOp::Take(name) => {
            names.remove(name);
        }
        NameOp::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

impl SimDisk {
    pub(in crate::server::spool) fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            rng: Rng::with_seed(seed),
            names: BTreeMap::new(),
            safe_names: BTreeMap::new(),
            name_ops: Vec::new(),
            fault: None,
            power: true,
            syncs: 0,
            short_writes: false,
            room: u64::MAX,
        })))
    }

    pub(in crate::server::spool) fn fail_in(&self, calls: u64, fault: Fault) {
        self.0.borrow_mut().fault = Some((calls, fault));
    }

    /// Nothing fails any more; what was written before is there.
    pub(in crate::server::spool) fn heal(&self) {
        let mut state = self.0.borrow_mut();
        (state.power, state.fault) = (true, None);
    }

    pub(in crate::server::spool) fn has_power(&self) -> bool {
        self.0.borrow().power
    }

    /// How many syncs there were since the last question.
    pub(in crate::server::spool) fn syncs(&self) -> u64 {
        std::mem::take(&mut self.0.borrow_mut().syncs)
    }

    /// Whether nothing stands in the way of any call.
    pub(in crate::server::spool) fn is_sound(&self) -> bool {
        let state = self.0.borrow();
        state.power && state.fault.is_none() && state.room == u64::MAX
    }

    pub(in crate::server::spool) fn set_room(&self, bytes: u64) {
        self.0.borrow_mut().room = bytes;
    }

    pub(in crate::server::spool) fn write_short(&self, short: bool) {
        self.0.borrow_mut().short_writes = short;
    }

    /// Power goes and comes back.
    pub(in crate::server::spool) fn crash(&self) {
        let mut state = self.0.borrow_mut();
        let state = &mut *state;
        let mut names = std::mem::take(&mut state.safe_names);
        for op in state.name_ops.drain(..) {
            if state.rng.bool() {
                apply_name(&mut names, &op);
            }
        }
        for inode in names.values() {
            let mut content = inode.borrow_mut();
            let mut left = content.safe.clone();
            for (change, _) in &std::mem::take(&mut content.unsynced) {
                apply_torn(&mut left, change, &mut state.rng);
            }
            content.safe.clone_from(&left);
            content.now = left;
        }
        state.safe_names.clone_from(&names);
        state.names = names;
        state.fault = None;
        state.power = true;
    }

    /// The names and sizes of all files.
    pub(in crate::server::spool) fn files(&self) -> Vec<(String, u64)> {
        let state = self.0.borrow();
        let files = state.names.iter();
        files
            .map(|(name, inode)| {
                (
                    name.clone(),
                    u64::try_from(inode.borrow().now.len()).unwrap(),
                )
            })
            .collect()
    }

    /// Changes what a file holds, behind everybody's back.
    pub(in crate::server::spool) fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let state = self.0.borrow();
        let mut content = state.names[name].borrow_mut();
        edit(&mut content.now);
        content.safe = content.now.clone();
    }

    /// Counts a call, and fails it if its time has come.
    fn call(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        if !state.power {
            return Err(io::Error::other("no power"));
        }
        match &mut state.fault {
            Some((0, fault)) => {
                state.power = *fault != Fault::PowerOff;
                state.fault = None;
                Err(io::Error::from_raw_os_error(5))
            }
            Some((calls, _)) => {
                *calls -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn name(&self, op: NameOp) {
        let mut state = self.0.borrow_mut();
        apply_name(&mut state.names, &op);
        state.name_ops.push(op);
    }

    fn change(&self, file: &SimFile, change: Change) -> io::Result<()> {
        let used: u64 = self.files().iter().map(|(_, bytes)| bytes).sum();
        let mut content = file.0.borrow_mut();
        let before = content.now.len();
        let mut after = content.now.clone();
        apply(&mut after, &change);
        let grown = u64::try_from(after.len().saturating_sub(before)).unwrap();
        if grown > 0 && used + grown > self.0.borrow().room {
            return Err(io::Error::from_raw_os_error(28));
        }
        content.now = after;
        content.unsynced.push((change, false));
        Ok(())
    }

    fn inode(&self, name: &str) -> io::Result<Inode> {
        let state = self.0.borrow();
        let inode = state.names.get(name).map(Rc::clone);
        inode.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create(&self, name: &str) -> io::Result<SimFile> {
        self.call()?;
        if self.inode(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = Inode::default();
        self.name(NameOp::Give(name.to_owned(), Rc::clone(&inode)));
        Ok(SimFile(inode))
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        self.call()?;
        Ok(SimFile(self.inode(name)?))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.call()?;
        Ok(self.files().into_iter().map(|(name, _)| name).collect())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.call()?;
        self.inode(name)?;
        self.name(NameOp::Take(name.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call()?;
        self.inode(from)?;
        self.name(NameOp::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn unnamed(&self) -> io::Result<SimFile> {
        self.call()?;
        Ok(SimFile(Inode::default()))
    }

    fn link(&self, file: SimFile, name: &str) -> io::Result<()> {
        self.call()?;
        if self.inode(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.name(NameOp::Give(name.to_owned(), file.0));
        Ok(())
    }

    fn write_at(&self, file: &SimFile, slices: &[IoSlice<'_>], at: u64) -> io::Result<usize> {
        let called = self.call();
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let short = self.0.borrow().short_writes || called.is_err();
        if short {
            let mut state = self.0.borrow_mut();
            let left = state
                .rng
                .usize(usize::from(called.is_ok() && !bytes.is_empty())..=bytes.len());
            bytes.truncate(left);
        }
        let written = bytes.len();
        let at = usize::try_from(at).unwrap();
        // What failed may have been written in part all the same.
        let changed = self.change(file, Change::Write { at, bytes });
        called?;
        changed?;
        Ok(written)
    }

    fn read_at(&self, file: &SimFile, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.call()?;
        let content = file.0.borrow();
        let rest = content.now.get(usize::try_from(at).unwrap()..);
        let rest = rest.unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn set_len(&self, file: &SimFile, bytes: u64) -> io::Result<()> {
        self.call()?;
        self.change(file, Change::Len(usize::try_from(bytes).unwrap()))
    }

    fn preallocate(&self, file: &SimFile, bytes: u64) -> io::Result<()> {
        self.set_len(file, bytes)
    }

    fn sync_data(&self, file: &SimFile) -> io::Result<()> {
        let called = self.call();
        self.0.borrow_mut().syncs += 1;
        let mut content = file.0.borrow_mut();
        let content = &mut *content;
        let mut left = Vec::new();
        for (change, given_up) in content.unsynced.drain(..) {
            if called.is_err() || given_up {
                left.push((change, true));
            } else {
                apply(&mut content.safe, &change);
            }
        }
        content.unsynced = left;
        called
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.call()?;
        let mut state = self.0.borrow_mut();
        state.syncs += 1;
        state.name_ops.clear();
        state.safe_names = state.names.clone();
        Ok(())
    }

    fn len(&self, file: &SimFile) -> io::Result<u64> {
        self.call()?;
        Ok(u64::try_from(file.0.borrow().now.len()).unwrap())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.call()?;
        let used: u64 = self.files().iter().map(|(_, bytes)| bytes).sum();
        Ok(self.0.borrow().room.saturating_sub(used))
    }
}
