//! Many projects with their keys, in each proxy's own words, and which key is whose. The same keys
//! on every machine and in every run; the first is that of all other questions. Measures nothing.

use std::fs;
use std::io;
use std::path::Path;

use crate::event::KEY;

/// The first project is that of all other questions, the next ones follow this number.
const FIRST: u32 = 42;
const BEFORE_OTHERS: u32 = 1_000;

/// How many there are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Estate {
    pub(crate) projects: u32,
    /// In each project.
    pub(crate) keys_each: u32,
    /// Whether each key has a quota of its own, and with it a counter.
    pub(crate) counted: bool,
}

impl Estate {
    /// Of all projects together.
    pub(crate) const fn keys(self) -> u32 {
        self.projects * self.keys_each
    }

    /// As people read it.
    pub(crate) fn name(self) -> String {
        let counted = if self.counted { ", all counted" } else { "" };
        match (self.projects, self.keys_each) {
            (1, 1) => "1 project".into(),
            (projects, 1) => format!("{projects} projects{counted}"),
            (projects, keys) => format!("{projects} projects of {keys} keys{counted}"),
        }
    }

    /// In a folder's name.
    pub(crate) fn short_name(self) -> String {
        let counted = if self.counted { "-counted" } else { "" };
        format!("{}x{}{counted}", self.projects, self.keys_each)
    }

    /// vidette's list of projects, a line each.
    pub(crate) fn projects(self) -> String {
        let mut text = String::new();
        for project in 0..self.projects {
            let id = match project {
                0 => FIRST,
                other => BEFORE_OTHERS + other,
            };
            let first = project * self.keys_each;
            let keys: Vec<String> = (first..first + self.keys_each).map(key).collect();
            text.push_str(&format!("  - {{id: {id}, keys: [{}]}}\n", keys.join(", ")));
        }
        text
    }

    /// The keys as nginx's map includes them, and as HAProxy's pattern reads them, in a folder.
    pub(crate) fn write_lists(self, folder: &Path) -> io::Result<()> {
        let (mut map, mut list) = (String::new(), String::new());
        for key in (0..self.keys()).map(key) {
            map.push_str(&format!("{key} 1;\n"));
            list.push_str(&format!("{key}\n"));
        }
        fs::write(folder.join("keys.map"), map)?;
        fs::write(folder.join("keys.list"), list)
    }
}

/// The key of this number: four words of a generator that is seeded with it. The load counts on
/// the same ones (conf/many.lua).
fn key(number: u32) -> String {
    if number == 0 {
        return KEY.into();
    }
    let mut word = number + 1;
    let mut digits = String::new();
    for step in 1..=7 {
        word ^= word << 13;
        word ^= word >> 17;
        word ^= word << 5;
        // The first ones are still near the number.
        if step >= 4 {
            digits.push_str(&format!("{word:08x}"));
        }
    }
    digits
}
