//! Shows how far an operation is: a bar on a terminal, a line now and then in a log, objects for programs.
//! Reads a [`Meter`] from a thread of its own; the operation knows nothing of it.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::config::Progress as When;
use super::context::{Context, is_watched};
use super::output::complain;
use super::text;
use crate::engine::Meter;

/// A bar is drawn so often.
const BAR_INTERVAL: Duration = Duration::from_millis(100);
/// An object is written so often.
const OBJECT_INTERVAL: Duration = Duration::from_secs(1);
/// A line is written so often.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Parts of a bar's length.
const PARTS: u64 = 1000;

/// A display that runs until [`Progress::finish`].
pub struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Display {
    Bar,
    Lines,
    Objects,
}

impl Progress {
    /// Begins to show `meter`, as far as anyone wants to see it.
    pub fn start(context: &Context, verb: &'static str, meter: &Arc<Meter>) -> Self {
        Self::start_counting(context, verb, "files", meter)
    }

    /// Likewise, where the meter's files are something else.
    pub fn start_counting(
        context: &Context,
        verb: &'static str,
        things: &'static str,
        meter: &Arc<Meter>,
    ) -> Self {
        let Some(display) = display(context) else { return Self(None) };
        let (stop, stopped) = mpsc::channel::<()>();
        let meter = Arc::clone(meter);
        let mut shown = Shown::new(display, verb, things);
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            while stopped.recv_timeout(shown.interval()) == Err(RecvTimeoutError::Timeout) {
                shown.update(&Status::read(&meter, started.elapsed()));
            }
            shown.clear();
        });
        Self(Some((stop, thread)))
    }

    /// Takes the display away.
    pub fn finish(self) {
        if let Some((stop, thread)) = self.0 {
            drop(stop);
            // A display that panicked is no reason to fail.
            let _ = thread.join();
        }
    }
}

fn display(context: &Context) -> Option<Display> {
    let output = &context.output;
    match context.progress {
        _ if output.is_quiet() => None,
        When::Never => None,
        _ if output.is_json() => Some(Display::Objects),
        _ if is_watched() => Some(Display::Bar),
        When::Always => Some(Display::Lines),
        When::Auto => None,
    }
}

/// What is on display.
struct Shown {
    display: Display,
    verb: &'static str,
    things: &'static str,
    bar: ProgressBar,
}

impl Shown {
    fn new(display: Display, verb: &'static str, things: &'static str) -> Self {
        let bar = match display {
            Display::Bar => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            Display::Lines | Display::Objects => ProgressBar::hidden(),
        };
        Self { display, verb, things, bar }
    }

    fn interval(&self) -> Duration {
        match self.display {
            Display::Bar => BAR_INTERVAL,
            Display::Lines => LINE_INTERVAL,
            Display::Objects => OBJECT_INTERVAL,
        }
    }

    fn update(&mut self, status: &Status) {
        match self.display {
            Display::Bar => self.draw(status),
            Display::Lines => complain(&format!("homekeep: {}: {}", self.verb, status.words(self.things))),
            Display::Objects => print(status),
        }
    }

    fn draw(&mut self, status: &Status) {
        let template = match status.percent_done {
            Some(_) => "{prefix} {bar:24} {percent:>3}%  {wide_msg}",
            None => "{prefix} {spinner}  {wide_msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        if let Some(percent) = status.percent_done {
            self.bar.set_length(PARTS);
            self.bar.set_position((percent / 100.0 * PARTS as f64) as u64);
        }
        self.bar.set_prefix(self.verb);
        self.bar.set_message(status.words(self.things));
        self.bar.tick();
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Objects are results as well: they go where the summary will go.
fn print(status: &Status) {
    use std::io::Write;
    if let Ok(json) = serde_json::to_string(status) {
        // A reader that went away does not want to know how far the rest is.
        let _ = writeln!(std::io::stdout().lock(), "{json}");
    }
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Status {
    message_type: &'static str,
    seconds_elapsed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_remaining: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent_done: Option<f64>,
    /// Bytes a second.
    rate: u64,
    files_done: u64,
    directories_done: u64,
    bytes_done: u64,
    /// Of the bytes that are done, those that had to be read or written.
    bytes_moved: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_files: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_bytes: Option<u64>,
}

impl Status {
    fn read(meter: &Meter, elapsed: Duration) -> Self {
        let files = Meter::read(&meter.files);
        // Bytes are done when their directory is; until then, what was moved says more.
        let moved = Meter::read(&meter.bytes_moved);
        let bytes = Meter::read(&meter.bytes).max(moved);
        let expected = |total| Some(Meter::read(total)).filter(|total| *total > 0);
        let (total_files, total_bytes) = (expected(&meter.files_expected), expected(&meter.bytes_expected));
        let done = done(files, total_files, bytes, total_bytes);
        let seconds = elapsed.as_secs_f64();
        // Before that, the guess says nothing.
        let remaining = done.filter(|done| *done > 0.02).map(|done| (seconds * (1.0 - done) / done) as u64);
        Self {
            message_type: "status",
            seconds_elapsed: elapsed.as_secs(),
            seconds_remaining: remaining,
            percent_done: done.map(|done| (done * 1000.0).round() / 10.0),
            rate: if seconds > 0.0 { (bytes as f64 / seconds) as u64 } else { 0 },
            files_done: files,
            directories_done: Meter::read(&meter.directories),
            bytes_done: bytes,
            bytes_moved: moved,
            total_files,
            total_bytes,
        }
    }

    fn words(&self, things: &str) -> String {
        let of = |total: Option<String>| total.map_or(String::new(), |total| format!(" of {total}"));
        let mut words = format!(
            "{}{} {things}, {}{}, {}/s",
            self.files_done,
            of(self.total_files.map(|files| files.to_string())),
            text::size(self.bytes_done),
            of(self.total_bytes.map(text::size)),
            text::size(self.rate)
        );
        if let Some(seconds) = self.seconds_remaining {
            words += &format!(", {} left", text::duration(Duration::from_secs(seconds)));
        }
        words
    }
}

/// The share that is done, from 0 to 1: files cost as well as bytes, so it is the mean of both.
fn done(files: u64, total_files: Option<u64>, bytes: u64, total_bytes: Option<u64>) -> Option<f64> {
    let share = |part: u64, whole: Option<u64>| Some((part as f64 / whole? as f64).min(1.0));
    match (share(files, total_files), share(bytes, total_bytes)) {
        (Some(files), Some(bytes)) => Some((files + bytes) / 2.0),
        (files, bytes) => files.or(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_from_files_and_bytes() {
        let meter = Meter::default();
        Meter::add(&meter.files, 25);
        Meter::add(&meter.files_expected, 100);
        Meter::add(&meter.bytes, 75 << 20);
        Meter::add(&meter.bytes_expected, 100 << 20);
        let status = Status::read(&meter, Duration::from_secs(30));
        assert_eq!((status.percent_done, status.seconds_remaining), (Some(50.0), Some(30)));
        assert_eq!(status.words("files"), "25 of 100 files, 75.0 MiB of 100.0 MiB, 2.5 MiB/s, 30 s left");
    }

    #[test]
    fn without_anything_to_expect_no_share_is_claimed() {
        let meter = Meter::default();
        Meter::add(&meter.files, 3);
        let status = Status::read(&meter, Duration::ZERO);
        assert_eq!((status.percent_done, status.seconds_remaining), (None, None));
        assert_eq!(status.words("objects"), "3 objects, 0 B, 0 B/s");
    }

    #[test]
    fn more_than_expected_is_all() {
        assert_eq!(done(200, Some(100), 0, None), Some(1.0));
    }
}
