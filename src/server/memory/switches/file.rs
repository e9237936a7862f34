//! The file of the switches: JSON, written whole at each change. One that cannot be
//! read is put aside, and never stops a start.

use std::io;

use serde::{Deserialize, Serialize};

use crate::domain::category::Category;
use crate::domain::endpoint::ProjectId;
use crate::domain::switch::{Action, Effect, Switch};

use super::{Books, ENDED_MAX, End, Ended, On, SWITCHES_MAX};
use crate::server::memory::state::StateFolder;

/// The file's name.
const SWITCHES: &str = "switches";

/// As much as 1000 switches and 200 that were can be, with the longest texts in quotes.
const BYTES_MAX: u64 = 4 << 20;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    last_id: u64,
    on: Vec<Row>,
    ended: Vec<EndedRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: u64,
    project: u64,
    category: Option<String>,
    action: String,
    value: Option<String>,
    until: u64,
    by: String,
    why: Option<String>,
    set: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndedRow {
    was: Row,
    end: String,
    by: Option<String>,
    at: u64,
}

/// What an earlier run wrote, or nothing.
pub(super) fn load(folder: &StateFolder) -> Books {
    let damaged = match folder.read(SWITCHES, BYTES_MAX) {
        Ok(None) => return Books::default(),
        Ok(Some(bytes)) => match books(&bytes) {
            Some(books) => return books,
            None => io::Error::new(io::ErrorKind::InvalidData, "not what was written"),
        },
        Err(error) => error,
    };
    tracing::error!(
        error = %damaged,
        "which switches were on cannot be read: none is on, and the file is put aside as switches.unread"
    );
    if let Err(error) = folder.put_aside(SWITCHES) {
        tracing::warn!(%error, "it cannot be put aside");
    }
    Books::default()
}

/// Writes it; the old content stands where that fails.
///
/// # Errors
/// What the system says.
pub(super) fn save(folder: &StateFolder, books: &Books) -> io::Result<()> {
    let ended = books.ended.iter().map(|ended| EndedRow {
        was: row(&ended.was),
        end: ended.end.name().to_owned(),
        by: ended.by.clone(),
        at: ended.at_unix_s,
    });
    let file = File {
        version: VERSION,
        last_id: books.last_id,
        on: books.on.iter().map(row).collect(),
        ended: ended.collect(),
    };
    folder.write(SWITCHES, &serde_json::to_vec(&file)?)
}

/// One switch that is on, as the file has it.
pub(crate) fn on_to_json(on: &On) -> Option<serde_json::Value> {
    serde_json::to_value(row(on)).ok()
}

/// The same, read; `None`: none that is known here.
pub(crate) fn on_of_json(value: &serde_json::Value) -> Option<On> {
    self::on(Row::deserialize(value).ok()?)
}

fn row(on: &On) -> Row {
    let Switch {
        project,
        category,
        effect,
        until_unix_s,
    } = on.switch;
    Row {
        id: on.id,
        project: project.get(),
        category: category.map(|category| category.name().to_owned()),
        action: effect.action().name().to_owned(),
        value: effect.value(),
        until: until_unix_s,
        by: on.by.clone(),
        why: on.why.clone(),
        set: on.set_unix_s,
    }
}

/// All of it or nothing: half of what was on is no state that anybody chose.
fn books(bytes: &[u8]) -> Option<Books> {
    let file: File = serde_json::from_slice(bytes).ok()?;
    let fits = file.on.len() <= SWITCHES_MAX && file.ended.len() <= ENDED_MAX;
    if file.version != VERSION || !fits {
        return None;
    }
    let ended = file.ended.into_iter().map(|row| {
        let mut ends = End::ALL.into_iter();
        Some(Ended {
            was: on(row.was)?,
            end: ends.find(|end| end.name() == row.end)?,
            by: row.by,
            at_unix_s: row.at,
        })
    });
    Some(Books {
        last_id: file.last_id,
        on: file.on.into_iter().map(on).collect::<Option<_>>()?,
        ended: ended.collect::<Option<_>>()?,
    })
}

fn on(row: Row) -> Option<On> {
    let category = match &row.category {
        Some(name) => Some(Category::of_name(name)?),
        None => None,
    };
    let action = Action::of_name(&row.action)?;
    let switch = Switch {
        project: ProjectId::parse(row.project.to_string().as_bytes())?,
        category,
        effect: Effect::read(action, category, row.value.as_deref()).ok()?,
        until_unix_s: row.until,
    };
    Some(On {
        id: row.id,
        switch,
        by: row.by,
        why: row.why,
        set_unix_s: row.set,
    })
}
