//! What is printed for people: aligned columns, numbers with their units, progress.
//!
//! Everything means the same without colour; colour is for a terminal, and not where `NO_COLOR`
//! is set. Results go to the standard output, progress and remarks to the standard error.
//!
//! Nothing is printed but through here. A reader that has seen enough, such as `head`, is no
//! mistake: what it does not want is dropped, and the command ends as it would have. What could
//! not be written for another reason, such as a full disk, makes the command fail.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often a progress line changes.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Between two columns.
const GAP: &str = "  ";

/// Prints a line of a result, as `println!` does.
macro_rules! say {
    () => { $crate::terminal::print(format_args!("\n")) };
    ($($part:tt)*) => { $crate::terminal::print(format_args!("{}\n", format_args!($($part)*))) };
}

/// Prints a line beside the results; whether somebody may have seen it.
macro_rules! remark {
    ($($part:tt)*) => { $crate::terminal::remark(format_args!($($part)*)) };
}

/// What has become of the standard output.
enum Output {
    Open,
    /// Nobody reads it any more.
    Closed,
    /// Some of it was lost.
    Lost(io::Error),
}

static OUTPUT: Mutex<Output> = Mutex::new(Output::Open);
const PANICKED: &str = "nobody panics while printing";

/// Prints to the standard output, as long as that takes anything.
#[expect(clippy::print_stdout, reason = "what a test prints is kept by its harness")]
pub(crate) fn print(text: fmt::Arguments<'_>) {
    if cfg!(test) {
        print!("{text}");
        return;
    }
    written(|stdout| stdout.write_fmt(text));
}

fn written(write: impl FnOnce(&mut io::StdoutLock<'_>) -> io::Result<()>) {
    let mut output = OUTPUT.lock().expect(PANICKED);
    if !matches!(*output, Output::Open) {
        return;
    }
    match write(&mut io::stdout().lock()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => *output = Output::Closed,
        Err(error) => *output = Output::Lost(error),
    }
}

/// Prints a line to the standard error; whether that took it.
pub(crate) fn remark(text: fmt::Arguments<'_>) -> bool {
    writeln!(io::stderr().lock(), "{text}").is_ok()
}

/// How a command ends that would end so, had all of its output been written.
pub(crate) fn end(code: ExitCode) -> ExitCode {
    written(|stdout| stdout.flush());
    match &*OUTPUT.lock().expect(PANICKED) {
        Output::Open | Output::Closed => code,
        Output::Lost(error) => {
            remark!("error: cannot write to the standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

/// On which side a column's values stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Rows under a heading. Widths are counted in characters.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(columns: [(&str, Side); N]) -> Self {
        let columns = columns.map(|(name, side)| (name.to_owned(), side)).into();
        Self { columns, rows: Vec::new() }
    }

    /// A row has a value for each column.
    pub(crate) fn row<const N: usize>(&mut self, values: [String; N]) {
        assert_eq!(N, self.columns.len(), "a row has a value for each column");
        self.rows.push(values.into());
    }

    /// The lines, each indented by `indent` blanks and without blanks at its end.
    pub(crate) fn lines(&self, indent: usize) -> Vec<String> {
        let heading: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let all = || std::iter::once(&heading).chain(&self.rows);
        let width = |place: usize| all().map(|row| row[place].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let mut line = " ".repeat(indent);
            for ((value, (_, side)), width) in row.iter().zip(&self.columns).zip(&widths) {
                match side {
                    Side::Left => _ = write!(line, "{value:<width$}{GAP}"),
                    Side::Right => _ = write!(line, "{value:>width$}{GAP}"),
                }
            }
            line.trim_end().to_owned()
        };
        all().map(line).collect()
    }

    /// Prints it to the standard output, its heading dimmed.
    pub(crate) fn print(&self, indent: usize) {
        for (place, line) in self.lines(indent).into_iter().enumerate() {
            if place == 0 {
                say!("{}", dim(&line));
            } else {
                say!("{line}");
            }
        }
    }
}

/// A heading: bold where there is colour.
pub(crate) fn bold(text: &str) -> String {
    styled(text, "1")
}

fn dim(text: &str) -> String {
    styled(text, "2")
}

fn styled(text: &str, code: &str) -> String {
    let is_colour = io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if is_colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// A number with its thousands apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in the unit that suits it, with three digits or so.
pub(crate) fn time(time: Duration) -> String {
    let us = time.as_micros();
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10),
        10_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

/// How many a second, rounded down.
pub(crate) fn rate(count: u64, within: Duration) -> u64 {
    let us = within.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / us).unwrap_or(u64::MAX)
}

/// Bytes in binary units.
pub(crate) fn bytes(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    let tenths =
        |unit: u64, name: &str| format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..KIB => format!("{bytes} B"),
        KIB..MIB => tenths(KIB, "KiB"),
        MIB..GIB => tenths(MIB, "MiB"),
        _ => tenths(GIB, "GiB"),
    }
}

/// `a / b` with two decimals; empty where `b` is nothing.
pub(crate) fn ratio(a: u64, b: u64) -> String {
    let Some(hundredths) = (u128::from(a) * 100).checked_div(u128::from(b)) else {
        return String::new();
    };
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// A line that changes while something takes long: on a terminal only.
pub(crate) struct Progress {
    is_shown: bool,
    changed: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal(), changed: None }
    }

    /// Says how far it is. Most calls cost next to nothing.
    pub(crate) fn at(&mut self, what: &str, done: u64) {
        if !self.is_shown || self.changed.is_some_and(|at| at.elapsed() < PROGRESS_EVERY) {
            return;
        }
        self.changed = Some(Instant::now());
        let mut stderr = io::stderr().lock();
        _ = write!(stderr, "\r\u{1b}[K{what}: {}", number(done));
        _ = stderr.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.changed.is_some() {
            _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_where_their_text_does() {
        let mut table =
            Table::new([("name", Side::Left), ("hits", Side::Right), ("why", Side::Left)]);
        table.row(["µ".to_owned(), "1,000".to_owned(), String::new()]);
        table.row(["recorded".to_owned(), "7".to_owned(), "x".to_owned()]);
        let lines = ["  name       hits  why", "  µ         1,000", "  recorded      7  x"];
        assert_eq!(table.lines(2), lines);
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        let texts = [0, 999, 1_000, 12_345, 1_234_567].map(number);
        assert_eq!(texts, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn times_and_sizes_are_in_the_unit_that_suits_them() {
        let times = [7, 1_234, 12_345, 2_345_678].map(|us| time(Duration::from_micros(us)));
        assert_eq!(times, ["7 µs", "1.23 ms", "12.3 ms", "2.34 s"]);
        let sizes = [12, 1_536, 64 << 20, 3 << 29].map(bytes);
        assert_eq!(sizes, ["12 B", "1.5 KiB", "64.0 MiB", "1.5 GiB"]);
    }

    #[test]
    fn rates_and_ratios_are_rounded_down() {
        assert_eq!(rate(10, Duration::from_secs(4)), 2);
        assert_eq!(rate(10, Duration::ZERO), 10_000_000, "no time is a microsecond");
        assert_eq!(ratio(2, 3), "0.66");
        assert_eq!(ratio(30, 20), "1.50");
        assert_eq!(ratio(1, 0), "");
    }
}
