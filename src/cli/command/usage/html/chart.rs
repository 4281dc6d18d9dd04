//! Charts over time. Only shapes are drawn in SVG, which is stretched to any width; words stand beside it, so that they are
//! readable on any screen.

use super::markup::Markup;
use crate::cli::text;

/// The drawing's own width and height.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;
/// Lines across the chart, without the one at the bottom.
const MOST_TICKS: u64 = 4;

/// How values are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Each holds until the next.
    Steps,
    /// Each is a column.
    Columns,
}

/// A value that holds over a part of the width.
pub struct Value {
    /// Where it begins, from 0 to 1.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// How high it is.
    pub bytes: u64,
    /// When that was, and how much.
    pub title: String,
}

/// A chart.
pub struct Chart<'a> {
    /// What it shows.
    pub caption: &'a str,
    /// How.
    pub shape: Shape,
    /// From left to right.
    pub values: Vec<Value>,
    /// What stands below: at the left, in the middle and at the right.
    pub labels: [String; 3],
}

impl Chart<'_> {
    /// Writes it.
    pub fn write(&self, markup: &mut Markup) {
        let ticks = ticks(self.values.iter().map(|value| value.bytes).max().unwrap_or(0));
        let top = ticks.last().copied().unwrap_or(1).max(1);
        markup.element("figure", &[], |figure| {
            figure.words("figcaption", &[], self.caption);
            figure.element("div", &[("class", "plot")], |plot| {
                plot.element("div", &[("class", "y")], |axis| {
                    for tick in &ticks {
                        let place = format!("bottom:{:.2}%", *tick as f64 / top as f64 * 100.0);
                        axis.words("span", &[("style", &place)], &text::size(*tick));
                    }
                });
                self.draw(plot, &ticks, top);
                plot.element("div", &[("class", "x")], |axis| {
                    self.labels.iter().for_each(|label| axis.words("span", &[], label));
                });
            });
        });
    }

    fn draw(&self, plot: &mut Markup, ticks: &[u64], top: u64) {
        let attributes = [
            ("viewBox", "0 0 1000 100"),
            ("preserveAspectRatio", "none"),
            ("role", "img"),
            ("aria-label", self.caption),
        ];
        let height = |bytes: u64| HEIGHT - bytes as f64 / top as f64 * HEIGHT;
        plot.element("svg", &attributes, |svg| {
            for tick in ticks {
                path(svg, "grid", &format!("M0 {:.2}H1000", height(*tick)));
            }
            if self.shape == Shape::Steps {
                let line = self.line(height);
                path(svg, "area", &format!("{line}V100H0Z"));
                path(svg, "line", &line);
            }
            for value in &self.values {
                let class = if self.shape == Shape::Steps { "hit" } else { "column" };
                let y = if self.shape == Shape::Steps { 0.0 } else { height(value.bytes) };
                rectangle(svg, class, value, y);
            }
        });
    }

    fn line(&self, height: impl Fn(u64) -> f64) -> String {
        let mut line = String::new();
        for value in &self.values {
            let begin = if line.is_empty() { "M0 " } else { "V" };
            line.push_str(&format!("{begin}{:.2}H{:.1}", height(value.bytes), value.to * WIDTH));
        }
        line
    }
}

fn path(svg: &mut Markup, class: &'static str, shape: &str) {
    svg.element("path", &[("class", class), ("d", shape)], |_| {});
}

fn rectangle(svg: &mut Markup, class: &'static str, value: &Value, y: f64) {
    let gap = if class == "column" { (value.to - value.from) * 0.1 } else { 0.0 };
    let number = |number: f64| format!("{number:.2}");
    let (x, width) = ((value.from + gap) * WIDTH, (value.to - value.from - 2.0 * gap) * WIDTH);
    let (x, y, width, height) = (number(x), number(y), number(width), number(HEIGHT - y));
    let attributes = [("class", class), ("x", &*x), ("y", &*y), ("width", &*width), ("height", &*height)];
    svg.element("rect", &attributes, |rect| rect.words("title", &[], &value.title));
}

/// Round sizes from nothing to at least `max`, the smallest steps of which there are few enough.
fn ticks(max: u64) -> Vec<u64> {
    let units = (0..=60).step_by(10).map(|shift| 1u64 << shift);
    let steps = units.flat_map(|unit| [1, 2, 5, 10, 20, 50, 100, 200, 500].map(|n| unit.saturating_mul(n)));
    let step = steps.into_iter().find(|step| max.div_ceil(*step) <= MOST_TICKS).unwrap_or(u64::MAX);
    (0..=max.div_ceil(step).max(1)).map(|n| step.saturating_mul(n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few_and_reach_the_largest_value() {
        assert_eq!(ticks(0), [0, 1]);
        assert_eq!(ticks(3), [0, 1, 2, 3]);
        assert_eq!(ticks(5000), [0, 2048, 4096, 6144]);
        assert_eq!(ticks(700 << 20), [0, 200 << 20, 400 << 20, 600 << 20, 800 << 20]);
        for max in [1023, 1025, 999 << 30, u64::MAX / 2, u64::MAX] {
            let ticks = ticks(max);
            assert!(ticks.len() <= 5 && *ticks.last().unwrap() >= max, "{max}: {ticks:?}");
        }
    }
}
