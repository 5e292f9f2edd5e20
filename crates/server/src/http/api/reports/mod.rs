//! `/reports`: the figures, by up to four dimensions, as JSON or CSV.
//!
//! Here a question is read and its answer shown; what a figure is, is the domain's, and summing
//! is the store's.

mod csv;
mod metric;
mod table;

use super::field::Field;
use super::kind::{Kind, listed, no_such_word, words};
use super::query::Query;
use super::refusal;
use super::reply::{Reply, json_of};
use super::route::Route;
use crate::app::App;
use crate::http::Error;
use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use domain::click::Label;
use domain::id::{CampaignId, PublisherId};
use domain::report::{self, DAYS_MAX, DIMENSIONS_MAX, Dimension, GROUPS_MAX, Test};
use domain::time::{self, RangeError, Timestamp};
use jiff::civil::Date;
use metric::Metric;
use schemars::SchemaGenerator;
use serde_json::{Value, json};
use std::sync::Arc;
use table::{Column, Names, Sort, Table};

const FIELDS: &[Field] = &[
    Field::optional("from", Kind::Date, "The first day; today without it").such_as("2026-11-20"),
    Field::optional("to", Kind::Date, "The last day, included; today without it")
        .such_as("2026-11-20"),
    Field::optional("time_zone", Kind::Text, "IANA name of whose days they are; `UTC` without it")
        .such_as("Europe/Berlin"),
    Field::optional("group_by", Kind::Words(dimension_names), "Up to four")
        .such_as(r#"["day", "campaign"]"#),
    Field::optional("campaign_id", Kind::Id, "Only this campaign's").such_as("1"),
    Field::optional("publisher_id", Kind::Id, "Only this publisher's").such_as("1"),
    Field::optional("test", Kind::Word(|| words(&TESTS, |test| test.1)), "`without` without it")
        .such_as("with"),
    Field::optional(
        "sort",
        Kind::Text,
        "A metric, or a dimension it is grouped by; `-` before it for descending",
    )
    .such_as("-revenue"),
    Field::optional("limit", Kind::Number(1, GROUPS_MAX as u64), "Rows to show; totals are of all")
        .such_as("100"),
    Field::optional(
        "metrics",
        Kind::Words(Metric::names),
        "Those to show; without it all, and each event that was told",
    )
    .such_as(r#"["clicks", "revenue"]"#),
    Field::optional(
        "format",
        Kind::Word(|| words(&FORMATS, |format| format.1)),
        "`json` without it",
    )
    .such_as("json"),
];
const TESTS: [(Test, &str); 3] =
    [(Test::Without, "without"), (Test::Only, "only"), (Test::With, "with")];

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
}

const FORMATS: [(Format, &str); 2] = [(Format::Json, "json"), (Format::Csv, "csv")];

/// What is asked, and how the answer is to look.
#[derive(Debug)]
struct Question {
    query: report::Query,
    first_day: Date,
    /// `None`: all that there are.
    metrics: Option<Vec<Metric>>,
    sort: Option<Sort>,
    limit: usize,
    format: Format,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/reports", "The figures, by up to four dimensions", report)
            .query(&[FIELDS])
            .refuses(&[refusal::TOO_LARGE]),
    ]
}

/// A report in the format that was asked for.
pub(super) enum Report {
    Json(Box<Table>),
    Csv(String),
}

impl Reply for Report {
    fn content(schemas: &mut SchemaGenerator) -> Value {
        let mut content = json_of::<Table>(schemas);
        content["text/csv"] = json!({ "schema": { "type": "string" } });
        content
    }
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
            (CONTENT_DISPOSITION, "attachment; filename=\"report.csv\""),
        ];
        match self {
            Self::Json(table) => Json(table).into_response(),
            Self::Csv(text) => (headers, text).into_response(),
        }
    }
}

/// Answers from what had been acknowledged when the question came.
pub(super) async fn report(State(app): State<Arc<App>>, query: Query) -> Result<Report, Error> {
    let question = Question::read(&query, app.clock.now())?;
    let answer = app.store.report(&question.query).await?;
    let names = Names::of(&answer, &question, &app.live.setup());
    let table = Table::of(&question, answer, &names)?;
    Ok(match question.format {
        Format::Json => Report::Json(Box::new(table)),
        Format::Csv => Report::Csv(csv::write(&table)),
    })
}

impl Question {
    fn read(query: &Query, now: Timestamp) -> Result<Self, Error> {
        let zone = match query.text("time_zone") {
            Some(name) => time::zone(name).ok_or_else(|| {
                Error::parameter("time_zone", "no IANA time zone such as `Europe/Berlin` or `UTC`")
            })?,
            None => jiff::tz::TimeZone::UTC,
        };
        let today = now.date_in(&zone);
        let first_day = date(query, "from")?.unwrap_or(today);
        let last_day = date(query, "to")?.unwrap_or(today);
        let day_bounds = day_bounds(&zone, first_day, last_day).map_err(|detail| {
            let is_given = |name: &&str| query.text(name).is_some();
            Error::parameter(["to", "from"].into_iter().find(is_given).unwrap_or("from"), detail)
        })?;
        let group_by = group_by(query.text("group_by").unwrap_or_default())?;
        let test = query.word("test", &TESTS, |test| test.1)?.unwrap_or(TESTS[0]).0;
        let shape = format!("a number from 1 to {GROUPS_MAX}");
        let limit = query.value("limit", &shape, |text| {
            text.parse().ok().filter(|limit| (1..=GROUPS_MAX).contains(limit))
        })?;
        Ok(Self {
            first_day,
            metrics: metrics(query.text("metrics"))?,
            sort: query.text("sort").map(|text| sort(text, &group_by)).transpose()?,
            limit: limit.unwrap_or(GROUPS_MAX),
            format: query.word("format", &FORMATS, |format| format.1)?.unwrap_or(FORMATS[0]).0,
            query: report::Query {
                day_bounds,
                group_by,
                campaign_id: query.id::<CampaignId>("campaign_id")?,
                publisher_id: query.id::<PublisherId>("publisher_id")?,
                test,
            },
        })
    }
}

fn day_bounds(
    zone: &jiff::tz::TimeZone,
    first: Date,
    last: Date,
) -> Result<Vec<Timestamp>, String> {
    match time::day_bounds(zone, first, last) {
        Ok(bounds) if bounds.len() <= DAYS_MAX + 1 => Ok(bounds),
        Ok(_) | Err(RangeError::TooLong) => Err(format!("a report has at most {DAYS_MAX} days")),
        Err(other) => Err(other.to_string()),
    }
}

fn date(query: &Query, name: &str) -> Result<Option<Date>, Error> {
    query.value(name, "a date such as 2026-11-20", |text| {
        // Parsing would take an instant's date too.
        text.parse::<Date>().ok().filter(|date| date.to_string() == text)
    })
}

fn dimension_names() -> Vec<&'static str> {
    let plain = [Dimension::Day, Dimension::Campaign, Dimension::Goal, Dimension::Publisher];
    plain.into_iter().chain(Label::ALL.map(Dimension::Label)).map(Dimension::name).collect()
}

fn group_by(text: &str) -> Result<Vec<Dimension>, Error> {
    let mut all = Vec::new();
    for word in listed(text) {
        let dimension = Dimension::from_name(word)
            .ok_or_else(|| no_such_word("group_by", word, &dimension_names()))?;
        if all.contains(&dimension) {
            return Err(Error::parameter("group_by", format!("`{word}` stands in it twice")));
        }
        all.push(dimension);
    }
    if all.len() > DIMENSIONS_MAX {
        let detail = format!("a report is grouped by at most {DIMENSIONS_MAX} dimensions");
        return Err(Error::parameter("group_by", detail));
    }
    Ok(all)
}

fn metrics(text: Option<&str>) -> Result<Option<Vec<Metric>>, Error> {
    let mut all = Vec::new();
    for word in listed(text.unwrap_or_default()) {
        let metric = Metric::from_name(word)
            .ok_or_else(|| no_such_word("metrics", word, &Metric::names()))?;
        if !all.contains(&metric) {
            all.push(metric);
        }
    }
    Ok((!all.is_empty()).then_some(all))
}

fn sort(text: &str, group_by: &[Dimension]) -> Result<Sort, Error> {
    let (word, descends) = match text.strip_prefix('-') {
        Some(word) => (word, true),
        None => (text, false),
    };
    let place = group_by.iter().position(|dimension| dimension.name() == word);
    let by = match (place, Metric::from_name(word)) {
        (Some(place), _) => Column::Dimension(place),
        (None, Some(metric)) => Column::Metric(metric),
        (None, None) => {
            let names = group_by.iter().map(|dimension| dimension.name());
            let names: Vec<&str> = Metric::names().into_iter().chain(names).collect();
            return Err(no_such_word("sort", word, &names));
        }
    };
    Ok(Sort { by, descends })
}

#[cfg(test)]
mod tests {
    use super::super::body::tests::blamed;
    use super::*;

    const NOW: &str = "2026-11-20T23:30:00Z";

    fn read(text: &str) -> Result<Question, Error> {
        Question::read(&Query::read(text, FIELDS)?, NOW.parse().unwrap())
    }

    fn range(text: &str) -> [String; 2] {
        let query = read(text).unwrap().query;
        [query.from().to_string(), query.to().to_string()]
    }

    #[test]
    fn without_dates_it_is_today_in_the_zone() {
        assert_eq!(range(""), ["2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"]);
        let berlin = ["2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"];
        assert_eq!(range("time_zone=Europe/Berlin"), berlin);
    }

    #[test]
    fn both_dates_are_included() {
        let days = ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"];
        assert_eq!(range("from=2026-03-29&to=2026-03-29&time_zone=Europe/Berlin"), days);
    }

    #[test]
    fn a_question_is_read_whole() {
        let asked = "group_by=day,%20sub1,campaign&metrics=clicks,revenue&sort=-revenue&limit=5\
                     &test=with&campaign_id=7&publisher_id=2&format=csv";
        let question = read(asked).unwrap();
        let sub1 = Dimension::Label(Label::Sub(1));
        assert_eq!(question.query.group_by, [Dimension::Day, sub1, Dimension::Campaign]);
        assert_eq!(question.query.campaign_id, Some(CampaignId(7)));
        assert_eq!(question.query.publisher_id, Some(PublisherId(2)));
        assert_eq!(question.query.test, Test::With);
        assert_eq!(question.metrics, Some(vec![Metric::Clicks, Metric::Revenue]));
        let sort = Sort { by: Column::Metric(Metric::Revenue), descends: true };
        assert_eq!((question.sort, question.limit), (Some(sort), 5));
        assert_eq!(question.format, Format::Csv);
        let by_day = read("group_by=sub1,day&sort=day").unwrap().sort;
        assert_eq!(by_day, Some(Sort { by: Column::Dimension(1), descends: false }));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_by_name() {
        let wrong = [
            ("from=2026-11-21", "from"),
            ("from=2026-13-01", "from"),
            ("from=20261120", "from"),
            ("from=2026-11-20T00:00:00Z", "from"),
            ("to=-009999-01-01", "to"),
            ("from=0001-01-01", "from"),
            ("from=2023-11-01", "from"),
            ("from=9999-12-31&to=9999-12-31", "to"),
            ("from=2026-11-20&to=2026-11-19", "to"),
            ("time_zone=Mars/Olympus", "time_zone"),
            ("group_by=dya", "group_by"),
            ("group_by=day,day", "group_by"),
            ("group_by=day,goal,campaign,publisher,sub1", "group_by"),
            ("group_by=sub11", "group_by"),
            ("metrics=clicsk", "metrics"),
            ("sort=day", "sort"),
            ("sort=--clicks", "sort"),
            ("limit=0", "limit"),
            ("limit=100001", "limit"),
            ("test=yes", "test"),
            ("format=xml", "format"),
            ("campaign_id=x", "campaign_id"),
            ("campaign=1", "campaign"),
        ];
        for (text, name) in wrong {
            let (parameter, detail) = blamed(read(text).unwrap_err());
            assert_eq!(parameter.as_deref(), Some(name), "{text}: {detail}");
        }
        assert!(blamed(read("group_by=dya").unwrap_err()).1.contains("the nearest is `day`"));
    }
}
