//! Metrics in the text format of Prometheus, as its node exporter collects them from files. Knows the format, and no metric.

use std::fmt::Write;

use super::report_file::Kind;
use super::text;

/// A gauge: all metrics are, for each file tells of one moment.
#[derive(Debug, Clone, Copy)]
pub struct Gauge {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
}

/// What a sample is of.
pub type Labels<'a> = [(&'static str, &'a str)];

/// Metrics under way.
#[derive(Debug)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// None yet. A file of metrics says in its first line which command's they are: none replaces another command's.
    pub fn begin(kind: Kind) -> Self {
        Self { text: kind.mark.to_owned() }
    }

    /// A metric with all its samples; nothing if there is none.
    pub fn gauge<'l, L: AsRef<Labels<'l>>>(
        &mut self,
        gauge: Gauge,
        samples: impl IntoIterator<Item = (L, Number)>,
    ) {
        let mut is_first = true;
        for (labels, number) in samples {
            if std::mem::take(&mut is_first) {
                self.push(&format!("# HELP {} {}\n# TYPE {} gauge\n", gauge.name, gauge.help, gauge.name));
            }
            self.push(gauge.name);
            self.labels(labels.as_ref());
            match number {
                Number::Whole(number) => self.push(&format!(" {number}\n")),
                Number::Milliseconds(number) => self.push(&format!(" {}\n", seconds(number))),
            }
        }
    }

    /// All of it.
    pub fn finish(self) -> String {
        self.text
    }

    fn labels(&mut self, labels: &Labels<'_>) {
        let mut before = '{';
        for (name, value) in labels {
            // Writing to a String cannot fail.
            let _ = write!(self.text, "{before}{name}=\"{}\"", escaped(value));
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }
}

/// A sample's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// As it is.
    Whole(u64),
    /// A time since 1970, or a span of time, which is told in seconds.
    Milliseconds(i64),
}

impl From<bool> for Number {
    fn from(is_so: bool) -> Self {
        Self::Whole(is_so.into())
    }
}

/// A name from outside as a label's value: two names never look alike, so no sample comes twice.
pub fn label(name: &[u8]) -> String {
    text::name(name)
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "-" } else { "" };
    let milliseconds = milliseconds.unsigned_abs();
    format!("{sign}{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { name: "metrics", mark: "# some\n", mode: 0o644 };

    #[test]
    fn samples_stand_under_their_metric_and_names_cannot_break_out() {
        let mut metrics = Metrics::begin(KIND);
        let name = label(b"a\"\\\n\xff");
        metrics.gauge(
            Gauge { name: "x_seconds", help: "A time." },
            [
                (vec![("user", &*name), ("source", "s")], Number::Milliseconds(-1500)),
                (vec![], Number::Whole(7)),
            ],
        );
        metrics.gauge(Gauge { name: "none", help: "Left out." }, [] as [(Vec<_>, Number); 0]);
        assert_eq!(
            metrics.finish(),
            "# some\n# HELP x_seconds A time.\n# TYPE x_seconds gauge\n\
             x_seconds{user=\"a\\\"\\\\\\\\\\\\n\\\\xff\",source=\"s\"} -1.500\nx_seconds 7\n"
        );
    }
}
