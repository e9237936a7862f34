//! The few colours there are. Without any, what they say is said by words all the same.

use ratatui::style::{Color, Modifier, Style};

use crate::cli::top::state::State;

/// Which of them may be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    has_colours: bool,
}

impl Palette {
    pub(super) const fn of(state: &State) -> Self {
        Self {
            has_colours: state.has_colours,
        }
    }

    const fn coloured(self, colour: Color) -> Style {
        if self.has_colours {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// The traffic light's own; that of a state nobody knows is none.
    pub(super) fn light(self, light: &str) -> Style {
        let style = match light {
            "green" => self.coloured(Color::Green),
            "amber" => self.coloured(Color::Yellow),
            "red" => self.coloured(Color::Red),
            _ => Style::new(),
        };
        style.add_modifier(Modifier::BOLD)
    }

    /// What did not get on.
    pub(super) const fn lost(self) -> Style {
        self.coloured(Color::Yellow)
    }

    pub(super) const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) const fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The marked row. Turned about, so that it needs no colour.
    pub(super) const fn marked(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
