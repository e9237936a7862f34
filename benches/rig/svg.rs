//! The costs as a picture: a bar for each proxy, a group of bars for each kind of request. Pure.
//!
//! It stands on a page that may be light or dark, and an image is not told which: it has no
//! ground of its own, and its colours can be read on white and on near black.

use crate::case::Case;
use crate::cost::Row;
use crate::proxies::Kind;

/// Grey that stands off white as much as near black.
const INK: &str = "#7a7f87";
const OTHERS: &str = "#8d99ae";
const VIDETTE: &str = "#e8590c";

/// All in pixels of the picture.
const WIDTH: u32 = 760;
const LABELS: u32 = 190;
/// Leaves room for a number behind the longest bar.
const BARS: f64 = 460.0;
const BAR: u32 = 14;
const STEP: u32 = 20;
const TITLE: u32 = 26;
const GAP: u32 = 14;

/// The picture; `None` where no proxy was measured.
pub(crate) fn picture(rows: &[Row]) -> Option<String> {
    let mut body = String::new();
    let mut top = GAP;
    for case in Case::ALL {
        let bars: Vec<(&Row, Kind)> = rows
            .iter()
            .filter(|row| row.case == case)
            .filter_map(|row| Some((row, row.proxy()?)))
            .collect();
        if !bars.is_empty() {
            top = group(&mut body, case, &bars, top);
        }
    }
    (!body.is_empty()).then(|| {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" \
             width=\"{WIDTH}\" height=\"{top}\" role=\"img\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
             <title>CPU time of a proxy for one request, in microseconds: less is better</title>\n\
             {body}</svg>\n"
        )
    })
}

/// One kind of request, on a scale of its own. Yields where the next begins.
fn group(body: &mut String, case: Case, bars: &[(&Row, Kind)], top: u32) -> u32 {
    let longest = bars.iter().map(|(row, _)| row.cpu_us.max);
    let scale = BARS / longest.fold(f64::MIN_POSITIVE, f64::max);
    let title = format!("{}: CPU us per request", case.label());
    line(
        body,
        format_args!(
            "<text x=\"0\" y=\"{}\" font-weight=\"bold\">{title}</text>",
            top + BAR
        ),
    );
    let mut y = top + TITLE;
    for (row, kind) in bars {
        let (colour, weight) = match *kind == Kind::Vidette {
            true => (VIDETTE, "bold"),
            false => (OTHERS, "normal"),
        };
        let (text_y, middle) = (y + BAR - 3, y + BAR / 2);
        let cost = row.cpu_us;
        let from = f64::from(LABELS);
        let (least, most) = (from + cost.min * scale, from + cost.max * scale);
        line(
            body,
            format_args!(
                "<text x=\"{}\" y=\"{text_y}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>",
                LABELS - 8,
                kind.name(),
            ),
        );
        line(
            body,
            format_args!(
                "<rect x=\"{LABELS}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{colour}\"/>",
                cost.median * scale,
            ),
        );
        line(
            body,
            format_args!(
                "<path d=\"M{least:.1} {middle}H{most:.1}\" stroke=\"{INK}\" stroke-width=\"1.5\"/>"
            ),
        );
        line(
            body,
            format_args!(
                "<text x=\"{:.1}\" y=\"{text_y}\" font-weight=\"{weight}\">{:.1}</text>",
                most + 8.0,
                cost.median,
            ),
        );
        y += STEP;
    }
    y + GAP
}

fn line(body: &mut String, text: std::fmt::Arguments<'_>) {
    body.push_str(&format!("{text}\n"));
}
