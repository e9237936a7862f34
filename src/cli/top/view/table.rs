//! The table of those who send most. What does not fit is left out whole: first the project, then
//! what was dropped, last what the rows are not ordered by.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row as Cells, Table, TableState};

use super::palette::Palette;
use crate::cli::top::answers::{Row, Top};
use crate::cli::top::figures::{share, whole};
use crate::cli::top::question::named;
use crate::cli::top::state::State;
use crate::domain::units::about_size;
use crate::telemetry::live::senders::{By, Order};

/// A name keeps so many places.
const NAME_MIN: u16 = 16;

/// Between two columns.
const GAP: u16 = 2;

/// A column of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Project,
    Items,
    Bytes,
    Dropped,
    Share,
}

impl Column {
    const fn head(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Items => "items",
            Self::Bytes => "bytes",
            Self::Dropped => "dropped",
            Self::Share => "share",
        }
    }

    const fn width(self) -> u16 {
        match self {
            Self::Project => 8,
            Self::Items | Self::Bytes => 11,
            Self::Dropped => 9,
            Self::Share => 6,
        }
    }
}

/// The columns that a width has room for, in their order.
fn columns(width: u16, by: By, order: Order) -> Vec<Column> {
    let mut columns = vec![
        Column::Project,
        Column::Items,
        Column::Bytes,
        Column::Dropped,
        Column::Share,
    ];
    if by == By::Project {
        columns.retain(|column| *column != Column::Project);
    }
    let (ordered, leaves) = match order {
        Order::Items => (Column::Items, [Column::Dropped, Column::Bytes]),
        Order::Bytes => (Column::Bytes, [Column::Dropped, Column::Items]),
        Order::Dropped => (Column::Dropped, [Column::Bytes, Column::Items]),
    };
    let mut unneeded = [Column::Project]
        .into_iter()
        .chain(leaves)
        .chain([Column::Share]);
    while NAME_MIN
        + columns
            .iter()
            .map(|column| column.width() + GAP)
            .sum::<u16>()
        > width
    {
        match unneeded.next() {
            Some(column) => columns.retain(|own| *own != column),
            None => break,
        }
    }
    debug_assert!(columns.contains(&ordered), "what rows are ordered by stays");
    columns
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette) {
    let question = &state.question;
    let [line, area] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let Some(top) = &state.top else {
        return;
    };
    let words = match state.is_stale {
        true => format!("{}: asking", question.words(question.minutes * 60)),
        false => format!("{}{}", question.words(top.span_s), estimated(top)),
    };
    frame.render_widget(Line::styled(words, palette.faint()), line);
    if top.rows.is_empty() {
        frame.render_widget(Paragraph::new(question.nobody()), area);
        return;
    }
    let columns = columns(area.width, question.by, question.order);
    let head = columns
        .iter()
        .map(|column| number(column.head().to_owned()));
    let head = Cells::new([Cell::from(named(question.by))].into_iter().chain(head));
    let rows = top.rows.iter().map(|row| cells(row, &columns, palette));
    let rows = rows.chain(others(top, &columns, palette));
    let widths = columns
        .iter()
        .map(|column| Constraint::Length(column.width()));
    let table = Table::new(rows, [Constraint::Fill(1)].into_iter().chain(widths))
        .header(head.style(palette.strong()))
        .column_spacing(GAP)
        .row_highlight_style(palette.marked());
    let mut marked = TableState::new().with_selected(Some(state.marked));
    frame.render_stateful_widget(table, area, &mut marked);
}

/// How sure the numbers are.
pub(in crate::cli::top) fn estimated(top: &Top) -> String {
    if top.one_in > 1.0 {
        format!(" (estimated from 1 in {:.0})", top.one_in.ceil())
    } else {
        String::new()
    }
}

fn number(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

fn cells(row: &Row, columns: &[Column], palette: Palette) -> Cells<'static> {
    let numbers = columns.iter().map(|column| {
        let cell = number(match column {
            Column::Project => row
                .project
                .map_or_else(|| "-".to_owned(), |id| id.to_string()),
            Column::Items => whole(row.items),
            Column::Bytes => about_size(row.bytes),
            Column::Dropped => whole(row.dropped),
            Column::Share => share(row.share),
        });
        if *column == Column::Dropped && row.dropped > 0 {
            cell.style(palette.lost())
        } else {
            cell
        }
    });
    Cells::new([Cell::from(row.shown())].into_iter().chain(numbers))
}

/// All others as one row, if there are any.
fn others(top: &Top, columns: &[Column], palette: Palette) -> Option<Cells<'static>> {
    let others = top.others;
    if others.items == 0 && others.bytes == 0 {
        return None;
    }
    let numbers = columns.iter().map(|column| {
        number(match column {
            Column::Project | Column::Share => String::new(),
            Column::Items => whole(others.items),
            Column::Bytes => about_size(others.bytes),
            Column::Dropped => whole(others.dropped),
        })
    });
    let cells = Cells::new([Cell::from("all others")].into_iter().chain(numbers));
    Some(cells.style(palette.faint()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(width: u16, by: By, order: Order, want: &str) {
        let heads = columns(width, by, order).into_iter().map(Column::head);
        assert_eq!(heads.collect::<Vec<_>>().join(" "), want, "{width}");
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole_and_what_orders_stays() {
        check(
            80,
            By::Key,
            Order::Items,
            "project items bytes dropped share",
        );
        check(
            71,
            By::Key,
            Order::Items,
            "project items bytes dropped share",
        );
        check(70, By::Key, Order::Items, "items bytes dropped share");
        check(70, By::Project, Order::Items, "items bytes dropped share");
        check(60, By::Project, Order::Items, "items bytes share");
        check(40, By::Project, Order::Items, "items share");
        check(40, By::Project, Order::Bytes, "bytes share");
        check(40, By::Project, Order::Dropped, "dropped share");
        check(30, By::Key, Order::Dropped, "dropped");
        check(24, By::Key, Order::Items, "items");
    }
}
