//! The envelope: one header line, then items. Owns its grammar; never holds or copies payloads.

pub mod header;
