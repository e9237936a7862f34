//! The envelope: one header line, then items. Owns its grammar; never holds or copies payloads.

pub mod agreement;
pub mod cleaned;
pub mod header;
pub mod held;
pub mod item;
mod item_header;
mod member;
pub mod moved;
pub mod program;
pub mod scan;
mod skim;
pub mod trace;
