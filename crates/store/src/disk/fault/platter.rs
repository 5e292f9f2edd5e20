//! What the disk in memory holds: files and folders as the kernel shows them, and as they are on
//! the platter. Only a sync carries a change over; a crash carries over what it pleases.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Crash;

/// What a disk writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// A file, whatever it is called at present.
#[derive(Clone, Default)]
pub(super) struct Node {
    pub(super) path: PathBuf,
    pub(super) now: Vec<u8>,
    pub(super) kept: Vec<u8>,
    pub(super) unsynced: Vec<Change>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Len(usize),
}

#[derive(Clone, Default)]
pub(super) struct Dir {
    pub(super) now: BTreeMap<String, u64>,
    pub(super) kept: BTreeMap<String, u64>,
    pub(super) unsynced: Vec<DirChange>,
}

#[derive(Clone)]
pub(super) enum DirChange {
    Put(String, u64),
    Rename(String, String),
    Remove(String),
}

impl Node {
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.kept);
        }
    }

    pub(super) fn fail_sync(&mut self) {
        let all = self.unsynced.len();
        self.kept = self.mixed(self.now.len(), |sector| if sector % 2 == 0 { all } else { 0 });
        self.unsynced.clear();
    }

    pub(super) fn after(&self, crash: Crash, random: &mut Random) -> Node {
        let kept = match crash {
            Crash::Kept => return self.clone(),
            Crash::Dropped => self.kept.clone(),
            Crash::Torn => self.torn(random),
        };
        Node { path: self.path.clone(), now: kept.clone(), kept, unsynced: Vec::new() }
    }

    fn torn(&self, random: &mut Random) -> Vec<u8> {
        let all = self.unsynced.len();
        let mut lens = vec![self.kept.len()];
        for change in &self.unsynced {
            lens.push(change.len_after(lens[lens.len() - 1]));
        }
        let style = random.below(5);
        let len = if style == 0 { lens[all] } else { lens[random.below(lens.len())] };
        let middle = random.below(len / SECTOR_BYTES + 2);
        self.mixed(len, |sector| match style {
            0 => all,
            1 if sector < middle => all,
            2 if sector >= middle => all,
            1 | 2 => 0,
            _ => random.below(all + 1),
        })
    }

    /// The file at `len` bytes, each sector as it was after the first few unsynced changes: as many
    /// as `changes` says for it.
    fn mixed(&self, len: usize, mut changes: impl FnMut(usize) -> usize) -> Vec<u8> {
        let mut mixed = self.kept.clone();
        mixed.resize(len, 0);
        let changes: Vec<usize> = (0..len.div_ceil(SECTOR_BYTES)).map(&mut changes).collect();
        for (number, change) in self.unsynced.iter().enumerate() {
            let (from, to) = match change {
                Change::Write { at, bytes } => (*at, (at + bytes.len()).min(len)),
                Change::Len(cut) => (*cut, len),
            };
            for at in from..to {
                if changes[at / SECTOR_BYTES] > number {
                    mixed[at] = match change {
                        Change::Write { bytes, .. } => bytes[at - from],
                        Change::Len(_) => 0,
                    };
                }
            }
        }
        mixed
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        to.resize(self.len_after(to.len()), 0);
        if let Change::Write { at, bytes } = self {
            to[*at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    fn len_after(&self, len: usize) -> usize {
        match self {
            Change::Write { bytes, .. } if bytes.is_empty() => len,
            Change::Write { at, bytes } => len.max(at + bytes.len()),
            Change::Len(len) => *len,
        }
    }
}

impl Dir {
    pub(super) fn change(&mut self, change: DirChange) {
        change.apply(&mut self.now);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.kept);
        }
    }

    pub(super) fn after(&self, crash: Crash, random: &mut Random) -> Dir {
        if crash == Crash::Kept {
            return self.clone();
        }
        let mut kept = self.kept.clone();
        if crash == Crash::Torn {
            for change in &self.unsynced[..random.below(self.unsynced.len() + 1)] {
                change.apply(&mut kept);
            }
        }
        Dir { now: kept.clone(), kept, unsynced: Vec::new() }
    }
}

impl DirChange {
    fn apply(&self, to: &mut BTreeMap<String, u64>) {
        match self {
            DirChange::Put(name, number) => _ = to.insert(name.clone(), *number),
            DirChange::Remove(name) => _ = to.remove(name),
            DirChange::Rename(from, new) => {
                if let Some(number) = to.remove(from) {
                    to.insert(new.clone(), number);
                }
            }
        }
    }
}

/// Splitmix64: what is torn, and what else a test draws, depends on the seed alone.
pub struct Random(pub u64);

impl Random {
    /// Any 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % end as u64).expect("it is below a usize")
    }
}
