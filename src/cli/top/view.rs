//! Draws the state. Reads nothing else, and changes nothing.

mod page;
mod palette;
mod table;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::answers::{Glance, Upstream};
use super::figures::{byte_rate, rate, took, whole};
use super::state::State;
use crate::domain::units::about_size;
use crate::telemetry::clock::lasting;
use palette::Palette;
pub(super) use table::estimated;

/// Below this nothing can be read.
const WIDTH_MIN: u16 = 24;
const HEIGHT_MIN: u16 = 6;

/// Lines that reasons, or why the edge is away, may take at most.
const REASONS_MAX: u16 = 3;

/// And the figures.
const FIGURES_MAX: usize = 2;

/// What the keys do, from the most needed to the least: a narrow line ends early.
const KEYS: [(&str, &str); 7] = [
    ("q", "quit"),
    ("pkrsi", "by"),
    ("156", "minutes"),
    ("o", "order"),
    ("Enter", "its project"),
    ("f", "only its project"),
    ("arrows", "move"),
];

/// And those of a project's page.
const PAGE_KEYS: [(&str, &str); 2] = [("Esc", "back"), ("q", "quit")];

/// The whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        frame.render_widget(Paragraph::new("too small").wrap(Wrap { trim: true }), area);
        return;
    }
    let palette = Palette::of(state);
    let troubles = troubles(state, palette);
    let high = wrapped_lines(&troubles, area.width).min(REASONS_MAX);
    let figures = state.glance.as_ref().map(figures).unwrap_or_default();
    let figures = fitted(&figures, usize::from(area.width));
    let figures_high = u16::try_from(figures.len()).unwrap_or(1);
    let [head, trouble, rates, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(high),
        Constraint::Length(figures_high),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(title(state, palette), head);
    let troubles = Paragraph::new(troubles).wrap(Wrap { trim: true });
    frame.render_widget(troubles, trouble);
    frame.render_widget(Paragraph::new(figures), rates);
    match &state.opened {
        Some(opened) => page::draw(frame, body, opened, palette),
        None => table::draw(frame, body, state, palette),
    }
    let is_open = state.opened.is_some();
    let hints: &[(&str, &str)] = if is_open { &PAGE_KEYS } else { &KEYS };
    draw_keys(frame, keys, hints, palette);
}

fn title(state: &State, palette: Palette) -> Line<'static> {
    let mut spans = vec![Span::styled("vidette", palette.strong())];
    match (&state.away, &state.glance) {
        (Some(_), _) => spans.push(Span::styled("  away", palette.light("red"))),
        (None, Some(glance)) => {
            let light = &glance.light;
            spans.push(Span::styled(format!("  {light}"), palette.light(light)));
        }
        (None, None) => spans.push(Span::styled("  asking", palette.faint())),
    }
    spans.push(Span::styled(format!("  {}", state.edge), palette.faint()));
    Line::from(spans)
}

/// What is wrong: that the edge is away, or else what it says itself.
fn troubles(state: &State, palette: Palette) -> Vec<Line<'static>> {
    if let Some(why) = &state.away {
        let text = format!("{why}; trying again");
        return vec![Line::styled(text, palette.light("red"))];
    }
    let reasons = state.glance.iter().flat_map(|glance| &glance.reasons);
    reasons.map(|reason| Line::raw(reason.clone())).collect()
}

/// The lines that these take when they are wrapped, at least: words that do not fit into the
/// rest of a line may make it one more, which is cut off then.
fn wrapped_lines(lines: &[Line<'_>], width: u16) -> u16 {
    let width = usize::from(width.max(1));
    let high: usize = lines
        .iter()
        .map(|line| line.width().div_ceil(width).max(1))
        .sum();
    u16::try_from(high).unwrap_or(u16::MAX)
}

/// How much comes and goes, the most telling first.
fn figures(glance: &Glance) -> Vec<String> {
    let Glance {
        items_in,
        bytes_in,
        delivered,
        spool,
        upstreams,
        ..
    } = glance;
    let mut parts = vec![
        format!("in {}", rate(*items_in)),
        format!("delivered {}", rate(*delivered)),
        byte_rate(*bytes_in),
    ];
    parts.push(match spool.items {
        0 => "spool empty".to_owned(),
        items => format!(
            "spool {} ({}, {} old)",
            whole(items),
            about_size(spool.bytes),
            lasting(spool.oldest_s)
        ),
    });
    parts.extend(upstreams.iter().map(upstream));
    parts
}

fn upstream(upstream: &Upstream) -> String {
    let Upstream {
        name,
        state,
        p95_us,
    } = upstream;
    match p95_us {
        Some(us) => format!("{name} {state} p95 {}", took(*us)),
        None => format!("{name} {state}"),
    }
}

/// The parts in a few lines, each whole; those that find no room are left out.
fn fitted(parts: &[String], width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut text = String::new();
    for part in parts {
        let gap = if text.is_empty() { "" } else { "  " };
        if text.len() + gap.len() + part.len() <= width {
            text.push_str(gap);
        } else if lines.len() + 1 < FIGURES_MAX {
            lines.push(Line::raw(std::mem::take(&mut text)));
        } else {
            break;
        }
        text.push_str(part);
    }
    lines.push(Line::raw(text));
    lines
}

fn draw_keys(
    frame: &mut Frame<'_>,
    area: Rect,
    hints: &[(&'static str, &'static str)],
    palette: Palette,
) {
    let mut line = Line::default();
    for (key, word) in hints {
        let gap = if line.spans.is_empty() { "" } else { "  " };
        let more = gap.len() + key.len() + 1 + word.len();
        if line.width() + more > usize::from(area.width) {
            break;
        }
        line.push_span(Span::raw(gap));
        line.push_span(Span::styled(*key, palette.strong()));
        line.push_span(Span::styled(format!(" {word}"), palette.faint()));
    }
    frame.render_widget(line, area);
}

/// The figures as text, for whoever has no screen.
pub(super) fn figures_line(glance: &Glance) -> String {
    figures(glance).join("  ")
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use ratatui::style::Color;

    use super::super::answers::TOP;
    use super::super::asking::Told;
    use super::super::question::Question;
    use super::super::state::on_key;
    use super::*;
    use crate::telemetry::live::senders::By;

    fn filled() -> State {
        let state = State::new(Question::of(By::Key), "127.0.0.1:9001".to_owned(), true);
        hears(state)
    }

    fn hears(state: State) -> State {
        let told = Told::of(state.wanted(), TOP);
        state.hears(Ok(Box::new(told)))
    }

    fn pressed(state: State, code: KeyCode) -> State {
        on_key(state, KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn drawn(state: &State, width: u16, height: u16) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        terminal
    }

    fn lines(state: &State, width: u16, height: u16) -> Vec<String> {
        let terminal = drawn(state, width, height);
        let cells = terminal.backend().buffer().content();
        let rows = cells.chunks(usize::from(width));
        rows.map(|row| {
            let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
            row.trim_end().to_owned()
        })
        .collect()
    }

    #[test]
    fn eighty_by_twenty_four_shows_everything() {
        let mut lines = lines(&filled(), 80, 24);
        let keys = lines.pop().unwrap();
        assert_eq!(
            keys,
            "q quit  pkrsi by  156 minutes  o order  Enter its project  f only its project"
        );
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        assert_eq!(
            lines,
            [
                "vidette  amber  127.0.0.1:9001",
                "the ingest upstream fails",
                "in 228/s  delivered 227/s  3.2 KiB/s  spool 120 (64.0 KiB, 4 min old)",
                "ingest degraded p95 2.5 ms  web up",
                "by key, most items first, all projects, last 5 min (estimated from 1 in 4)",
                "key                         project        items        bytes    dropped   share",
                "web (a94a...)                    42       12,345     43.5 MiB         12     61%",
                "beef...                           7        4,000      1.0 KiB          0     20%",
                "\\u{1b}[2J                         -            1          9 B          1    0.1%",
                "all others                                 3,800     68.3 KiB          5",
            ]
        );
    }

    #[test]
    fn a_narrow_screen_keeps_what_the_rows_are_ordered_by() {
        let lines = lines(&filled(), 40, 12);
        assert_eq!(lines[2], "in 228/s  delivered 227/s  3.2 KiB/s");
        assert_eq!(lines[3], "spool 120 (64.0 KiB, 4 min old)");
        assert_eq!(lines[5], "key                        items   share");
        assert_eq!(lines[6], "web (a94a...)             12,345     61%");
        assert_eq!(lines[11], "q quit  pkrsi by  156 minutes  o order");
    }

    #[test]
    fn no_size_is_too_small_to_be_drawn() {
        for state in [
            filled(),
            pressed(filled(), KeyCode::Enter),
            hears(pressed(filled(), KeyCode::Enter)),
            filled().hears(Err("x".repeat(500))),
        ] {
            for (width, height) in (0..90).flat_map(|w| (0..30).map(move |h| (w, h))) {
                drawn(&state, width, height);
            }
        }
        assert_eq!(lines(&filled(), 23, 9)[0], "too small");
        assert_eq!(lines(&filled(), 80, 5)[0], "too small");
        assert_ne!(lines(&filled(), 24, 6)[0], "too small");
    }

    #[test]
    fn a_page_tells_what_became_of_a_project() {
        let asked = pressed(filled(), KeyCode::Enter);
        assert_eq!(lines(&asked, 80, 24)[4], "project 42: asking");
        let lines = lines(&hears(asked), 80, 24);
        assert_eq!(lines[4], "shop (42), since the start");
        assert_eq!(
            lines[6],
            "error           1,200     1,100      20      80    1.0 MiB  quota 70, filter 10"
        );
        assert_eq!(lines[21], "quota, the share that is used");
        assert_eq!(lines[22], "  93%  errors-1h");
        assert_eq!(lines[23], "Esc back  q quit");
    }

    #[test]
    fn an_edge_that_is_away_is_said_in_place_of_reasons() {
        let lines = lines(&filled().hears(Err("no answer from it".to_owned())), 80, 24);
        assert_eq!(lines[0], "vidette  away  127.0.0.1:9001");
        assert_eq!(lines[1], "no answer from it; trying again");
        assert!(lines[6].starts_with("web (a94a...)"), "{}", lines[6]);
        let unknown = State::new(Question::of(By::Ip), "[::1]:9001".to_owned(), true);
        assert_eq!(
            self::lines(&unknown, 80, 24)[0],
            "vidette  asking  [::1]:9001"
        );
    }

    #[test]
    fn another_question_is_said_to_be_asked() {
        let line = &lines(&pressed(filled(), KeyCode::Char('6')), 80, 24)[4];
        assert_eq!(
            line,
            "by key, most items first, all projects, last 60 min: asking"
        );
    }

    #[test]
    fn without_colours_none_is_used_and_the_mark_is_seen() {
        let coloured = |state: &State| {
            let terminal = drawn(state, 80, 24);
            let cells = terminal.backend().buffer().content().to_vec();
            let turned = cells
                .iter()
                .filter(|cell| cell.modifier.contains(ratatui::style::Modifier::REVERSED));
            let plain = cells
                .iter()
                .all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset));
            (turned.count(), !plain)
        };
        assert_eq!(coloured(&filled()), (80, true));
        let mut plain = filled();
        plain.has_colours = false;
        assert_eq!(coloured(&plain), (80, false));
    }

    #[test]
    fn a_marked_row_below_the_screen_is_scrolled_to() {
        let mut state = filled();
        let top = state.top.as_mut().unwrap();
        top.rows = (0..50)
            .map(|n| {
                let mut row = top.rows[0].clone();
                row.label = Some(format!("number {n}"));
                row
            })
            .collect();
        let shown = |state: &State| lines(state, 80, 24).join("\n").contains("number 49");
        assert!(!shown(&state));
        assert!(shown(&pressed(state, KeyCode::End)));
    }
}
