//! The answer to a report as a table: a column for each dimension, one for each metric.
//!
//! Amounts in two currencies are never added. Where a row holds one currency, its money stands in
//! `revenue` and `payout`; where it holds several, only in `money`, one entry each.

use super::super::show::Amount;
use super::metric::Metric;
use super::{Question, dimension_names};
use crate::http::Error;
use domain::id::{CampaignId, PublisherId};
use domain::money::{Currency, Micros};
use domain::report::{self, Dimension, Group, Money, Sums, Total, Value};
use domain::setup::Setup;
use jiff::civil::Date;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::{Map, json};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What rows can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// By its place among the dimensions.
    Dimension(usize),
    Metric(Metric),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) by: Column,
    pub(super) descends: bool,
}

impl Sort {
    /// Amounts in several currencies cannot be compared: the largest of them stands for the row.
    fn compare(self, one: &(Group, Sums), other: &(Group, Sums)) -> Ordering {
        let ordering = match self.by {
            Column::Dimension(place) => one.0[place].cmp(&other.0[place]),
            Column::Metric(metric) if metric.is_money() => {
                let largest = |sums: &Sums| {
                    sums.money.values().map(|money| metric.amount(*money)).max().unwrap_or_default()
                };
                largest(&one.1).cmp(&largest(&other.1))
            }
            Column::Metric(metric @ Metric::Event(_)) => {
                metric.total(&one.1).cmp(&metric.total(&other.1))
            }
            Column::Metric(metric) => metric.count(&one.1).cmp(&metric.count(&other.1)),
        };
        if self.descends { ordering.reverse() } else { ordering }
    }
}

/// A value with the name of its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Number(u64),
    Amount(Micros),
    Total(Total),
    Text(String),
    /// Each currency with revenue and payout.
    Money(Vec<(Currency, Money)>),
}

/// Some of the metrics of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row(pub(super) Vec<(&'static str, Cell)>);

/// The names of what an answer is grouped by: the setup is not held while a table is made.
#[derive(Debug, Default)]
pub(super) struct Names {
    campaigns: HashMap<CampaignId, String>,
    publishers: HashMap<PublisherId, String>,
    /// What the subs that it is grouped by meant at the end of what was asked for.
    headings: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn of(answer: &report::Answer, question: &Question, setup: &Setup) -> Self {
        let last = question.query.to().plus_us(-1);
        let mut headings = setup.sub_headings(question.query.publisher_id, last);
        let dimensions = &question.query.group_by;
        headings.retain(|name, _| dimensions.iter().any(|dimension| dimension.name() == name));
        let mut names = Self { headings, ..Self::default() };
        for value in answer.keys().flatten() {
            match value {
                Value::Campaign(id) if !names.campaigns.contains_key(id) => {
                    let name = setup.campaign(*id).map(|campaign| campaign.name.clone());
                    names.campaigns.extend(name.map(|name| (*id, name)));
                }
                Value::Publisher(id) if !names.publishers.contains_key(id) => {
                    let name = setup.publisher(*id).map(|publisher| publisher.name.clone());
                    names.publishers.extend(name.map(|name| (*id, name)));
                }
                _ => {}
            }
        }
        names
    }
}

#[derive(Debug)]
pub(in crate::http::api) struct Table {
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Row>,
    totals: Row,
    /// What subs mean, by their columns.
    pub(super) headings: BTreeMap<String, String>,
}

impl Table {
    /// Totals are of all groups, whether or not the limit lets their rows be shown.
    pub(super) fn of(
        question: &Question,
        answer: report::Answer,
        names: &Names,
    ) -> Result<Self, Error> {
        let totals = total(answer.values())?;
        let metrics = metrics(question, &answer);
        let mut groups: Vec<(Group, Sums)> = answer.into_iter().collect();
        if question.query.group_by.is_empty() {
            groups = vec![(Vec::new(), totals.clone())];
        }
        if let Some(sort) = question.sort {
            groups.sort_by(|one, other| sort.compare(one, other));
        }
        groups.truncate(question.limit);
        let dimensions = &question.query.group_by;
        let first_day = question.first_day;
        let row = |(group, sums): &(Group, Sums)| {
            let mut cells = Vec::new();
            for (dimension, value) in dimensions.iter().zip(group) {
                place(*dimension, value, first_day, names, &mut cells);
            }
            figures(&metrics, sums, &mut cells);
            Row(cells)
        };
        let rows: Vec<Row> = groups.iter().map(row).collect();
        let mut cells = Vec::new();
        figures(&metrics, &totals, &mut cells);
        let headings = names.headings.clone();
        Ok(Self { columns: columns(dimensions, &cells), rows, totals: Row(cells), headings })
    }
}

/// Those that were asked for; otherwise with each event that some row has.
fn metrics(question: &Question, answer: &report::Answer) -> Vec<Metric> {
    if let Some(metrics) = &question.metrics {
        return metrics.clone();
    }
    let told = answer.values().flat_map(|sums| &sums.events);
    let told: BTreeSet<u8> =
        told.filter(|(_, sum)| sum.0 != 0).map(|(number, _)| *number).collect();
    Metric::PLAIN.into_iter().chain(told.into_iter().map(Metric::Event)).collect()
}

/// The columns of any row: those of its dimensions, then those of its figures.
fn columns(dimensions: &[Dimension], figures: &[(&'static str, Cell)]) -> Vec<&'static str> {
    let mut all = Vec::new();
    for dimension in dimensions {
        all.push(dimension.name());
        match dimension {
            Dimension::Campaign => all.push("campaign_name"),
            Dimension::Publisher => all.push("publisher_name"),
            Dimension::Day | Dimension::Goal | Dimension::Label(_) => {}
        }
    }
    all.extend(figures.iter().map(|(name, _)| *name));
    all
}

/// The cells that say which group a row is of.
fn place(
    dimension: Dimension,
    value: &Value,
    first_day: Date,
    names: &Names,
    cells: &mut Vec<(&'static str, Cell)>,
) {
    let text = |name: Option<&String>| name.map_or(Cell::Null, |name| Cell::Text(name.clone()));
    let cell = match value {
        Value::Day(after) => {
            let day =
                jiff::Span::new().try_days(*after).and_then(|span| first_day.checked_add(span));
            Cell::Text(day.expect("the question's days are within the calendar").to_string())
        }
        Value::Campaign(id) => Cell::Number(id.0.into()),
        Value::Publisher(id) => Cell::Number(id.0.into()),
        Value::Text(text) => Cell::Text(text.clone()),
        Value::None => Cell::Null,
    };
    cells.push((dimension.name(), cell));
    match (dimension, value) {
        (Dimension::Campaign, Value::Campaign(id)) => {
            cells.push(("campaign_name", text(names.campaigns.get(id))));
        }
        (Dimension::Campaign, _) => cells.push(("campaign_name", Cell::Null)),
        (Dimension::Publisher, Value::Publisher(id)) => {
            cells.push(("publisher_name", text(names.publishers.get(id))));
        }
        (Dimension::Publisher, _) => cells.push(("publisher_name", Cell::Null)),
        _ => {}
    }
}

fn figures(metrics: &[Metric], sums: &Sums, cells: &mut Vec<(&'static str, Cell)>) {
    let mut currencies = sums.money.iter();
    let only = match (currencies.next(), currencies.next()) {
        (None, _) => Some((None, Money::default())),
        (Some((currency, money)), None) => Some((Some(*currency), *money)),
        (Some(_), Some(_)) => None,
    };
    for metric in metrics {
        let cell = match only {
            _ if metric.event().is_some() => Cell::Total(metric.total(sums)),
            _ if !metric.is_money() => Cell::Number(metric.count(sums)),
            Some((_, money)) => Cell::Amount(metric.amount(money)),
            None => Cell::Null,
        };
        cells.push((metric.name(), cell));
    }
    if metrics.iter().any(|metric| metric.is_money()) {
        let currency = only.and_then(|(currency, _)| currency);
        let currency = currency.map_or(Cell::Null, |one| Cell::Text(one.as_str().to_owned()));
        cells.push(("currency", currency));
        let money = sums.money.iter().map(|(currency, money)| (*currency, *money));
        cells.push(("money", Cell::Money(money.collect())));
    }
}

/// The sum of all groups.
fn total<'a>(groups: impl Iterator<Item = &'a Sums>) -> Result<Sums, Error> {
    let mut all = Sums::default();
    for sums in groups {
        let counts = [
            (&mut all.clicks, sums.clicks),
            (&mut all.hits, sums.hits),
            (&mut all.refused, sums.refused),
            (&mut all.pending, sums.pending),
            (&mut all.approved, sums.approved),
            (&mut all.rejected, sums.rejected),
            (&mut all.reversed, sums.reversed),
        ];
        for (count, more) in counts {
            *count = count.saturating_add(more);
        }
        for (number, more) in &sums.events {
            let sum = all.events.entry(*number).or_default();
            *sum = sum.saturating_add(*more);
        }
        add(&mut all.money, &sums.money).ok_or_else(|| Error::Invalid {
            code: "too_large",
            parameter: None,
            detail: "the total does not fit an amount: ask for a shorter range".to_owned(),
        })?;
    }
    Ok(all)
}

fn add(all: &mut BTreeMap<Currency, Money>, more: &BTreeMap<Currency, Money>) -> Option<()> {
    for (currency, more) in more {
        let sum = all.entry(*currency).or_default();
        sum.revenue = sum.revenue.checked_add(more.revenue)?;
        sum.payout = sum.payout.checked_add(more.payout)?;
    }
    Some(())
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_struct("Table", 3)?;
        if self.headings.is_empty() {
            table.skip_field("headings")?;
        } else {
            table.serialize_field("headings", &self.headings)?;
        }
        table.serialize_field("rows", &self.rows)?;
        table.serialize_field("totals", &self.totals)?;
        table.end()
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, cell)| (name, cell)))
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Amount(amount) => Amount(*amount).serialize(serializer),
            Self::Total(total) => serializer.collect_str(total),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Money(all) => serializer.collect_seq(all.iter().map(InCurrency)),
        }
    }
}

impl JsonSchema for Table {
    fn schema_name() -> Cow<'static, str> {
        "Report".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "headings": {
                    "description": "What the subs that it is grouped by mean, by their names.",
                    "type": "object",
                    "additionalProperties": { "type": "string" },
                },
                "rows": { "type": "array", "items": schemas.subschema_for::<Row>() },
                "totals": schemas.subschema_for::<Row>(),
            },
            "required": ["rows", "totals"],
        })
    }
}

const EVENT: &str = "The sum of these numbers, an exact decimal; where any was told.";

impl JsonSchema for Row {
    fn schema_name() -> Cow<'static, str> {
        "ReportRow".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let (amount, currency) =
            (schemas.subschema_for::<Amount>(), schemas.subschema_for::<Currency>());
        let or_null = |schema: &Schema| json!({ "anyOf": [schema, { "type": "null" }] });
        let mut properties = Map::new();
        for dimension in dimension_names() {
            properties.insert(dimension.to_owned(), json!({ "type": ["string", "null"] }));
        }
        for noun in [Dimension::Campaign, Dimension::Publisher].map(Dimension::name) {
            properties.insert(noun.to_owned(), json!({ "type": ["integer", "null"] }));
            properties.insert(format!("{noun}_name"), json!({ "type": ["string", "null"] }));
        }
        for metric in Metric::all() {
            let figure = match metric {
                Metric::Event(_) => json!({ "type": "string", "description": EVENT }),
                _ if metric.is_money() => or_null(&amount),
                _ => json!({ "type": "integer", "minimum": 0 }),
            };
            properties.insert(metric.name().to_owned(), figure);
        }
        properties.insert("currency".to_owned(), or_null(&currency));
        let of_one = json!({
            "type": "object",
            "properties": { "currency": currency, "revenue": amount, "payout": amount },
            "required": ["currency", "revenue", "payout"],
        });
        properties.insert("money".to_owned(), json!({ "type": "array", "items": of_one }));
        json_schema!({
            "description": "The dimensions it is grouped by and the metrics that were asked for.",
            "type": "object",
            "properties": properties,
        })
    }
}

/// One currency's amounts.
struct InCurrency<'a>(&'a (Currency, Money));

impl Serialize for InCurrency<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (currency, money) = self.0;
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("currency", currency)?;
        map.serialize_entry("revenue", &Amount(money.revenue))?;
        map.serialize_entry("payout", &Amount(money.payout))?;
        map.end()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::query::Query;
    use super::super::super::show::tests::a_campaign;
    use super::super::{FIELDS, csv};
    use super::*;
    use domain::click::Label;
    use domain::setup::Change;
    use domain::sub_labels::SubLabels;
    use domain::time::Timestamp;

    fn sums(clicks: u64, money: &[(Currency, i64)]) -> Sums {
        let money = money.iter().map(|(currency, revenue)| {
            let (revenue, payout) = (Micros(revenue * 1_000_000), Micros(revenue * 500_000));
            (*currency, Money { revenue, payout })
        });
        Sums { clicks, hits: 3, refused: 1, approved: 2, money: money.collect(), ..Sums::default() }
    }

    pub(in super::super) fn table(asked: &str, answer: report::Answer) -> Table {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let question = Question::read(&Query::read(asked, FIELDS).unwrap(), now).unwrap();
        let mut setup = Setup::default();
        setup.put(Timestamp::UNIX_EPOCH, Change::Campaign(a_campaign()));
        let names = Names::of(&answer, &question, &setup);
        Table::of(&question, answer, &names).unwrap()
    }

    fn shown(asked: &str, answer: report::Answer) -> serde_json::Value {
        serde_json::to_value(table(asked, answer)).unwrap()
    }

    #[test]
    fn a_row_has_its_dimensions_and_then_its_figures() {
        assert_eq!(Dimension::from_name("sub1"), Some(Dimension::Label(Label::Sub(1))));
        let group = vec![
            Value::Day(1),
            Value::Campaign(CampaignId(7)),
            Value::Text("us".to_owned()),
            Value::None,
        ];
        let answer = report::Answer::from([(group, sums(10, &[(Currency::USD, 5)]))]);
        let asked = "from=2026-11-19&group_by=day,campaign,sub1,goal";
        let table = table(asked, answer);
        insta::assert_snapshot!(
            serde_json::to_string_pretty(&table).unwrap(),
            @r#"
        {
          "rows": [
            {
              "day": "2026-11-20",
              "campaign": 7,
              "campaign_name": "Spring",
              "sub1": "us",
              "goal": null,
              "clicks": 10,
              "hits": 3,
              "refused": 1,
              "conversions": 2,
              "pending": 0,
              "approved": 2,
              "rejected": 0,
              "reversed": 0,
              "revenue": "5.00",
              "payout": "2.50",
              "currency": "USD",
              "money": [
                {
                  "currency": "USD",
                  "revenue": "5.00",
                  "payout": "2.50"
                }
              ]
            }
          ],
          "totals": {
            "clicks": 10,
            "hits": 3,
            "refused": 1,
            "conversions": 2,
            "pending": 0,
            "approved": 2,
            "rejected": 0,
            "reversed": 0,
            "revenue": "5.00",
            "payout": "2.50",
            "currency": "USD",
            "money": [
              {
                "currency": "USD",
                "revenue": "5.00",
                "payout": "2.50"
              }
            ]
          }
        }
        "#
        );
        let names: Vec<&str> = table.rows[0].0.iter().map(|(name, _)| *name).collect();
        assert_eq!(table.columns, names);
    }

    #[test]
    fn amounts_in_two_currencies_are_never_added() {
        let both = sums(1, &[(Currency::USD, 5), (Currency::EUR, 2)]);
        let dollars = sums(1, &[(Currency::USD, 1)]);
        let text = |text: &str| vec![Value::Text(text.to_owned())];
        let answer = report::Answer::from([(text("a"), both), (text("b"), dollars)]);
        let shown = shown("group_by=sub1&metrics=revenue", answer);
        let eur = json!({ "currency": "EUR", "revenue": "2.00", "payout": "1.00" });
        let row = json!({
            "sub1": "a", "revenue": null, "currency": null,
            "money": [eur, { "currency": "USD", "revenue": "5.00", "payout": "2.50" }],
        });
        assert_eq!(shown["rows"][0], row);
        assert_eq!(shown["rows"][1]["revenue"], "1.00");
        let usd = json!({ "currency": "USD", "revenue": "6.00", "payout": "3.00" });
        assert_eq!(shown["totals"]["money"], json!([eur, usd]));
        assert_eq!(shown["totals"]["revenue"], json!(null));
    }

    #[test]
    fn subs_are_headed_by_what_they_meant_when_the_period_ended() {
        let mut setup = Setup::default();
        for (since, meaning) in [("2026-11-01T00:00:00Z", "Site"), ("2026-11-10T00:00:00Z", "Ad")] {
            let labels = BTreeMap::from([("sub1".to_owned(), meaning.to_owned())]);
            let new = SubLabels { publisher_id: None, labels };
            setup.put(since.parse().unwrap(), Change::SubLabels(new));
        }
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let heading = |period: &str| {
            let asked = format!("{period}&group_by=sub1");
            let question = Question::read(&Query::read(&asked, FIELDS).unwrap(), now).unwrap();
            Names::of(&report::Answer::new(), &question, &setup).headings["sub1"].clone()
        };
        assert_eq!(heading("from=2026-11-01&to=2026-11-09"), "Site");
        assert_eq!(heading("from=2026-11-01&to=2026-11-10"), "Ad");
        assert_eq!(heading("from=2026-10-01&to=2026-10-31"), "Site");
        assert_eq!(heading(""), "Ad");
    }

    #[test]
    fn nothing_at_all_is_one_row_of_zeros_without_groups_and_no_row_with_them() {
        let shown_alone = shown("", report::Answer::new());
        assert_eq!(shown_alone["rows"], json!([shown_alone["totals"]]));
        assert_eq!(shown_alone["totals"]["revenue"], "0.00");
        assert_eq!(shown_alone["totals"]["currency"], json!(null));
        assert_eq!(shown("group_by=day", report::Answer::new())["rows"], json!([]));
    }

    #[test]
    fn rows_are_sorted_and_cut_and_totals_are_not() {
        let day = |after| vec![Value::Day(after)];
        let answer = report::Answer::from([
            (day(0), sums(5, &[])),
            (day(1), sums(9, &[])),
            (day(2), sums(5, &[])),
        ]);
        let asked = "from=2026-11-18&group_by=day&metrics=clicks&sort=-clicks&limit=2";
        let expected = json!({
            "rows": [{ "day": "2026-11-19", "clicks": 9 }, { "day": "2026-11-18", "clicks": 5 }],
            "totals": { "clicks": 19 },
        });
        assert_eq!(shown(asked, answer.clone()), expected);
        let last = shown("from=2026-11-18&group_by=day&sort=-day&limit=1", answer);
        assert_eq!(last["rows"][0]["day"], "2026-11-20");
    }

    #[test]
    fn a_total_that_does_not_fit_is_told_and_not_wrong() {
        let most = Money { revenue: Micros(i64::MAX), payout: Micros(0) };
        let one = Sums { money: BTreeMap::from([(Currency::USD, most)]), ..Sums::default() };
        assert!(total([&one].into_iter()).is_ok());
        assert!(total([&one, &one].into_iter()).is_err());
    }

    #[test]
    fn events_are_shown_where_they_are_asked_for_or_there_are_any() {
        let told = |events: &[(u8, i128)]| Sums {
            events: events.iter().map(|(number, sum)| (*number, Total(*sum))).collect(),
            ..Sums::default()
        };
        let day = |number, sums| (vec![Value::Day(number)], sums);
        let answer = report::Answer::from([
            day(0, told(&[(2, 7_500_000), (3, 0)])),
            day(1, told(&[(2, -500_000), (30, 1)])),
        ]);
        let shown_all = shown("from=2026-11-19&group_by=day", answer.clone());
        let row = &shown_all["rows"][0];
        assert_eq!((&row["event2"], &row["event30"]), (&json!("7.5"), &json!("0")));
        assert!(row.get("event3").is_none() && row.get("event1").is_none());
        assert_eq!(shown_all["totals"]["event2"], "7");
        assert_eq!(shown_all["totals"]["event30"], "0.000001");
        let asked = "from=2026-11-19&group_by=day&metrics=event1,event2&sort=event2";
        let expected = json!({
            "rows": [
                { "day": "2026-11-20", "event1": "0", "event2": "-0.5" },
                { "day": "2026-11-19", "event1": "0", "event2": "7.5" },
            ],
            "totals": { "event1": "0", "event2": "7" },
        });
        assert_eq!(shown(asked, answer.clone()), expected);
        let csv = csv::write(&table("from=2026-11-19&group_by=day&metrics=event2", answer));
        assert_eq!(csv, "day,event2\r\n2026-11-19,7.5\r\n2026-11-20,-0.5\r\n");
    }

    #[test]
    fn a_table_without_rows_has_its_columns_in_csv_too() {
        let table = table("group_by=publisher&metrics=clicks", report::Answer::new());
        assert_eq!(csv::write(&table), "publisher,publisher_name,clicks\r\n");
    }
}
