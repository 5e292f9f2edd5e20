//! What the story must lead to, counted beside it, and the server's figures held against that.

use crate::terminal::{Side, Table, number};
use anyhow::{Context, bail};
use domain::money::Micros;
use serde_json::Value;
use std::collections::BTreeMap;

/// The counts of a report's row.
const COUNTS: [&str; 7] =
    ["clicks", "hits", "refused", "pending", "approved", "rejected", "reversed"];

/// One row's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) clicks: u64,
    pub(super) hits: u64,
    pub(super) refused: u64,
    pub(super) pending: u64,
    pub(super) approved: u64,
    pub(super) rejected: u64,
    pub(super) reversed: u64,
    pub(super) revenue: Micros,
    pub(super) payout: Micros,
}

impl Figures {
    /// A row of a report.
    fn of(row: &Value) -> anyhow::Result<Self> {
        let count = |name: &str| row[name].as_u64().with_context(|| format!("{row}: no {name}"));
        let [clicks, hits, refused, pending, approved, rejected, reversed] = COUNTS;
        Ok(Self {
            clicks: count(clicks)?,
            hits: count(hits)?,
            refused: count(refused)?,
            pending: count(pending)?,
            approved: count(approved)?,
            rejected: count(rejected)?,
            reversed: count(reversed)?,
            revenue: amount(&row["revenue"])?,
            payout: amount(&row["payout"])?,
        })
    }

    fn cells(&self) -> [String; 9] {
        let money = Micros::to_fixed;
        let [clicks, hits, refused, pending, approved, rejected, reversed] = [
            self.clicks,
            self.hits,
            self.refused,
            self.pending,
            self.approved,
            self.rejected,
            self.reversed,
        ]
        .map(number);
        [
            clicks,
            hits,
            refused,
            pending,
            approved,
            rejected,
            reversed,
            money(self.revenue),
            money(self.payout),
        ]
    }
}

fn amount(value: &Value) -> anyhow::Result<Micros> {
    let text = value.as_str().context("an amount is text")?;
    Ok(Micros::parse(text).ok().context("an amount does not read")?.amount)
}

/// A report's rows by the value they are grouped by; `None` where they have none.
pub(super) type Rows = BTreeMap<Option<String>, Figures>;

/// Reads a report that is grouped by `dimension`.
pub(super) fn read(report: &Value, dimension: &str) -> anyhow::Result<Rows> {
    let rows = report["rows"].as_array().context("a report without rows")?;
    rows.iter()
        .map(|row| {
            let group = match &row[dimension] {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            Ok((group, Figures::of(row)?))
        })
        .collect()
}

/// An error names each row that is not as it must be.
pub(super) fn compare(by: &str, expected: &Rows, found: &Rows) -> anyhow::Result<()> {
    let groups: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let wrong: Vec<String> = groups
        .into_iter()
        .filter(|group| expected.get(*group) != found.get(*group))
        .map(|group| {
            let group = group.as_deref().unwrap_or("(none)");
            let key = Some(group.to_owned()).filter(|group| group != "(none)");
            format!("{by} {group}: expected {:?}, found {:?}", expected.get(&key), found.get(&key))
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("the figures are not what the story must lead to\n{}", wrong.join("\n"))
}

/// Prints rows, with the name of each.
pub(super) fn print(by: &str, rows: &Rows, name: impl Fn(&str) -> String) {
    let mut table = Table::new([
        (by, Side::Left),
        ("clicks", Side::Right),
        ("hits", Side::Right),
        ("refused", Side::Right),
        ("pending", Side::Right),
        ("approved", Side::Right),
        ("rejected", Side::Right),
        ("reversed", Side::Right),
        ("revenue", Side::Right),
        ("payout", Side::Right),
    ]);
    for (group, figures) in rows {
        let name = group.as_deref().map_or_else(|| "(none)".to_owned(), &name);
        let mut cells = [const { String::new() }; 10];
        cells[0] = name;
        cells[1..].clone_from_slice(&figures.cells());
        table.row(cells);
    }
    table.print(2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({ "rows": [
            { "sub1": "us", "clicks": 2, "hits": 3, "refused": 1, "pending": 0, "approved": 1,
              "rejected": 0, "reversed": 0, "revenue": "2.50", "payout": "1.75" },
            { "sub1": null, "clicks": 0, "hits": 1, "refused": 1, "pending": 0, "approved": 0,
              "rejected": 0, "reversed": 0, "revenue": "0.00", "payout": "0.00" },
        ]})
    }

    #[test]
    fn a_report_is_read_and_is_what_it_must_be() {
        let found = read(&report(), "sub1").unwrap();
        let us = Figures {
            clicks: 2,
            hits: 3,
            refused: 1,
            approved: 1,
            revenue: Micros(2_500_000),
            payout: Micros(1_750_000),
            ..Figures::default()
        };
        let none = Figures { hits: 1, refused: 1, ..Figures::default() };
        let expected = Rows::from([(Some("us".to_owned()), us), (None, none)]);
        compare("sub1", &expected, &found).unwrap();
    }

    #[test]
    fn each_row_that_differs_or_is_missing_is_named() {
        let found = read(&report(), "sub1").unwrap();
        let mut expected = found.clone();
        expected.get_mut(&Some("us".to_owned())).unwrap().approved = 2;
        expected.insert(Some("de".to_owned()), Figures::default());
        let error = compare("sub1", &expected, &found).unwrap_err().to_string();
        assert!(error.contains("sub1 us: expected") && error.contains("sub1 de: expected"));
        assert!(!error.contains("(none)"), "{error}");
    }

    #[test]
    fn a_row_that_lacks_a_figure_is_an_error() {
        let mut report = report();
        report["rows"][0]["approved"] = json!("1");
        assert!(read(&report, "sub1").is_err());
    }
}
