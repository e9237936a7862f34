//! A project's page: what became of its items by category since the start, and its quotas.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row as Cells, Table};

use super::palette::Palette;
use crate::cli::plain;
use crate::cli::top::answers::{Booked, Project, Quota};
use crate::cli::top::figures::{share, whole};
use crate::cli::top::state::Opened;
use crate::domain::units::about_size;

/// Reasons that are named of a category's drops, the most frequent.
const REASONS_MAX: usize = 3;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, opened: &Opened, palette: Palette) {
    let Some(project) = &opened.told else {
        let line = format!("project {}: asking", opened.project);
        frame.render_widget(Line::styled(line, palette.faint()), area);
        return;
    };
    let quotas = u16::try_from(project.quotas.len()).unwrap_or(u16::MAX);
    let [name, books, head, quotas] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(u16::from(quotas > 0)),
        Constraint::Length(quotas.min(area.height / 2)),
    ])
    .areas(area);
    frame.render_widget(Line::styled(named(project), palette.faint()), name);
    if project.rows.is_empty() {
        let text = "nothing of it was heard since the start";
        frame.render_widget(Paragraph::new(text), books);
    } else {
        frame.render_widget(books_table(&project.rows, books.width, palette), books);
    }
    frame.render_widget(
        Line::styled("quota, the share that is used", palette.strong()),
        head,
    );
    let lines = project
        .quotas
        .iter()
        .map(|quota| quota_line(quota, palette));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), quotas);
}

fn named(project: &Project) -> String {
    let id = project.project;
    match &project.name {
        Some(name) => format!("{name} ({id}), since the start"),
        None => format!("project {id}, since the start"),
    }
}

fn number(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

fn books_table(rows: &[Booked], width: u16, palette: Palette) -> Table<'static> {
    // Why things were dropped is told where there is room for it.
    let has_reasons = width >= 78;
    let heads = ["in", "delivered", "kept", "dropped", "bytes in"];
    let head = heads.iter().map(|head| number((*head).to_owned()));
    let mut head: Vec<Cell<'_>> = [Cell::from("category")].into_iter().chain(head).collect();
    let mut widths = vec![
        Constraint::Fill(5),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(10),
    ];
    if has_reasons {
        head.push(Cell::from(" why dropped"));
        widths.push(Constraint::Fill(9));
    }
    let rows = rows.iter().map(|row| {
        let dropped: u64 = row.items.dropped.values().sum();
        let lost = number(whole(dropped));
        let mut cells = vec![
            Cell::from(row.category.clone()),
            number(whole(row.items.received)),
            number(whole(row.items.forwarded)),
            number(whole(row.items.spooled)),
            if dropped > 0 {
                lost.style(palette.lost())
            } else {
                lost
            },
            number(about_size(row.bytes.received)),
        ];
        if has_reasons {
            cells.push(Cell::from(reasons(row)));
        }
        Cells::new(cells)
    });
    Table::new(rows.collect::<Vec<_>>(), widths).header(Cells::new(head).style(palette.strong()))
}

fn reasons(row: &Booked) -> String {
    let mut reasons: Vec<(&String, &u64)> = row.items.dropped.iter().collect();
    reasons.sort_by_key(|(_, items)| std::cmp::Reverse(**items));
    let named = reasons.iter().take(REASONS_MAX);
    let named = named.map(|(reason, items)| format!("{} {}", plain(reason), whole(**items)));
    format!(" {}", named.collect::<Vec<_>>().join(", "))
}

fn quota_line(quota: &Quota, palette: Palette) -> Line<'static> {
    let text = format!("{:>5}  {}", share(quota.ratio), quota.name);
    if quota.ratio >= 1.0 {
        Line::styled(text, palette.lost())
    } else {
        Line::raw(text)
    }
}
