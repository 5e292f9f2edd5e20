//! The files' columns: names, types, and how each is laid out.
//!
//! `docs/facts.md` tells operators the same. A release reads what earlier ones wrote, so a column
//! here is never changed: a new one comes at the end, with a new format number, and is one that
//! may be empty, as it is in the files from before.

use super::page::Encoding;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::{SchemaDescriptor, Type};
use std::sync::Arc;

/// How a column's values are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// 16 bytes that the file is sorted by, so that neighbours share much, which is compressed away.
    Id,
    /// So many bytes, as they are.
    Fixed(usize),
    /// A count without a sign, as differences.
    Count,
    /// Unix milliseconds or microseconds, as differences.
    AtMs,
    AtUs,
    /// A number without a sign, coded.
    Number,
    /// Micros of a currency, coded.
    Amount,
    Flag,
    /// Text in UTF-8, coded.
    Text,
    /// Any bytes, rarely twice the same.
    Bytes,
}

#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) is_optional: bool,
}

/// What one kind of file holds. Its first column is its key: rows are sorted by it.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Spec],
    /// How many of the columns there are in each format, from the first on; the last is written.
    pub(super) formats: &'static [usize],
    /// Each page but a row group's last has exactly so many rows, in every column.
    pub(super) page_rows: usize,
    /// The most rows of a row group.
    pub(super) group_rows: usize,
}

const fn required(name: &'static str, form: Form) -> Spec {
    Spec { name, form, is_optional: false }
}

const fn optional(name: &'static str, form: Form) -> Spec {
    Spec { name, form, is_optional: true }
}

/// Clicks without what says who the visitor is, sorted by id.
pub(super) static CLICK: Layout = Layout {
    name: "click",
    columns: &[
        required("id", Form::Id),
        required("clicked_at", Form::AtMs),
        required("position", Form::Count),
        required("link_id", Form::Number),
        required("campaign_id", Form::Number),
        required("publisher_id", Form::Number),
        required("is_live", Form::Flag),
        required("is_test", Form::Flag),
        optional("cost_micros", Form::Amount),
        optional("external_id", Form::Bytes),
        optional("sub1", Form::Text),
        optional("sub2", Form::Text),
        optional("sub3", Form::Text),
        optional("sub4", Form::Text),
        optional("sub5", Form::Text),
        optional("sub6", Form::Text),
        optional("sub7", Form::Text),
        optional("sub8", Form::Text),
        optional("sub9", Form::Text),
        optional("sub10", Form::Text),
        optional("source", Form::Text),
        optional("creative", Form::Text),
        optional("placement", Form::Text),
        optional("country", Form::Text),
        optional("device", Form::Text),
        optional("os", Form::Text),
        optional("browser", Form::Text),
    ],
    formats: &[23, 27],
    page_rows: 2_048,
    group_rows: 131_072,
};

/// The places of [`CLICK`]'s columns.
pub(super) mod click {
    pub(in super::super) const ID: usize = 0;
    pub(in super::super) const AT: usize = 1;
    pub(in super::super) const POSITION: usize = 2;
    pub(in super::super) const LINK: usize = 3;
    pub(in super::super) const CAMPAIGN: usize = 4;
    pub(in super::super) const PUBLISHER: usize = 5;
    pub(in super::super) const IS_LIVE: usize = 6;
    pub(in super::super) const IS_TEST: usize = 7;
    pub(in super::super) const COST: usize = 8;
    pub(in super::super) const EXTERNAL_ID: usize = 9;
    /// The first label's; the others follow in the order of their codes.
    pub(in super::super) const LABELS: usize = 10;
    /// The first of what is known of the visitor, in the order of its words.
    pub(in super::super) const VISITOR: usize = 23;
}

/// What says who a click's visitor is, sorted by position.
pub(super) static CLICK_PERSONAL: Layout = Layout {
    name: "click personal",
    columns: &[
        required("position", Form::Count),
        optional("ip", Form::Text),
        optional("user_agent", Form::Text),
        optional("referrer", Form::Text),
    ],
    formats: &[4],
    page_rows: 2_048,
    group_rows: 131_072,
};

/// Hits without what may say who somebody is, sorted by position.
pub(super) static HIT: Layout = Layout {
    name: "hit",
    columns: &[
        required("position", Form::Count),
        required("received_at", Form::AtUs),
        required("method", Form::Text),
        required("path", Form::Text),
        required("digest", Form::Fixed(32)),
    ],
    formats: &[5],
    page_rows: 2_048,
    group_rows: 131_072,
};

/// The rest of the hits, sorted by position. A body may be long, so its pages have few rows.
pub(super) static HIT_PERSONAL: Layout = Layout {
    name: "hit personal",
    columns: &[
        required("position", Form::Count),
        required("target", Form::Bytes),
        optional("content_type", Form::Text),
        optional("body", Form::Bytes),
        optional("peer", Form::Text),
        optional("forwarded", Form::Text),
        required("salt", Form::Fixed(16)),
        optional("base", Form::Text),
        optional("headers", Form::Bytes),
    ],
    formats: &[7, 9],
    page_rows: 128,
    group_rows: 131_072,
};

impl Form {
    fn physical(self) -> Physical {
        match self {
            Self::Id | Self::Fixed(_) => Physical::FIXED_LEN_BYTE_ARRAY,
            Self::Count | Self::AtMs | Self::AtUs | Self::Amount => Physical::INT64,
            Self::Number => Physical::INT32,
            Self::Flag => Physical::BOOLEAN,
            Self::Text | Self::Bytes => Physical::BYTE_ARRAY,
        }
    }

    fn logical(self) -> Option<LogicalType> {
        let unsigned = |bit_width| LogicalType::integer(bit_width, false);
        match self {
            Self::Count => Some(unsigned(64)),
            Self::Number => Some(unsigned(32)),
            Self::AtMs => Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
            Self::AtUs => Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            Self::Text => Some(LogicalType::String),
            Self::Id | Self::Fixed(_) | Self::Amount | Self::Flag | Self::Bytes => None,
        }
    }

    /// How its pages are written, where the row group has a dictionary for it and where not.
    pub(super) fn encoding(self, is_coded: bool) -> Encoding {
        match self {
            Self::Count | Self::AtMs | Self::AtUs => Encoding::Deltas,
            Self::Flag => Encoding::Runs,
            Self::Number | Self::Amount | Self::Text if is_coded => Encoding::Codes,
            _ => Encoding::Plain,
        }
    }

    /// How many bytes each value has, where all have the same.
    pub(super) fn width(self) -> Option<usize> {
        match self {
            Self::Id => Some(16),
            Self::Fixed(width) => Some(width),
            Self::Count | Self::AtMs | Self::AtUs | Self::Amount => Some(8),
            Self::Number => Some(4),
            Self::Flag | Self::Text | Self::Bytes => None,
        }
    }
}

impl Layout {
    /// The number of the format that is written.
    pub(super) fn format(&self) -> usize {
        self.formats.len()
    }

    /// The columns of a format, for Parquet. `None`: a later release's.
    pub(super) fn schema_of(&self, format: usize) -> Option<Arc<SchemaDescriptor>> {
        let columns = *self.formats.get(format.checked_sub(1)?)?;
        Some(schema(&self.columns[..columns]))
    }

    /// The same for what is written.
    pub(super) fn schema(&self) -> Arc<SchemaDescriptor> {
        schema(self.columns)
    }
}

fn schema(columns: &[Spec]) -> Arc<SchemaDescriptor> {
    let column = |spec: &Spec| {
        let length = match spec.form {
            Form::Id | Form::Fixed(_) => spec.form.width().unwrap_or_default(),
            _ => 0,
        };
        let column = Type::primitive_type_builder(spec.name, spec.form.physical())
            .with_logical_type(spec.form.logical())
            .with_length(i32::try_from(length).expect("a value is short"))
            .with_repetition(match spec.is_optional {
                true => Repetition::OPTIONAL,
                false => Repetition::REQUIRED,
            })
            .build();
        Arc::new(column.expect("the layouts are fixed, and tested"))
    };
    let root = Type::group_type_builder("schema")
        .with_fields(columns.iter().map(column).collect())
        .build()
        .expect("the layouts are fixed, and tested");
    Arc::new(SchemaDescriptor::new(Arc::new(root)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::click::Label;
    use domain::visitor::Known;

    #[test]
    fn every_layout_is_a_schema() {
        for layout in [&CLICK, &CLICK_PERSONAL, &HIT, &HIT_PERSONAL] {
            assert_eq!(layout.schema().num_columns(), layout.columns.len(), "{}", layout.name);
            assert_eq!(layout.group_rows % layout.page_rows, 0, "{}", layout.name);
            assert_eq!(layout.formats.last(), Some(&layout.columns.len()), "{}", layout.name);
            assert!(layout.formats.is_sorted() && layout.schema_of(0).is_none());
            assert!(layout.schema_of(layout.format() + 1).is_none(), "{}", layout.name);
            let later = &layout.columns[layout.formats[0]..];
            assert!(later.iter().all(|column| column.is_optional), "{}", layout.name);
        }
    }

    #[test]
    fn the_labels_follow_one_another_in_the_order_of_their_codes() {
        for label in Label::ALL {
            let column = &CLICK.columns[click::LABELS + usize::from(label.code())];
            assert_eq!(column.name, label.name());
        }
        assert_eq!(click::VISITOR, click::LABELS + Label::ALL.len());
        assert_eq!(CLICK.columns[click::EXTERNAL_ID].name, "external_id");
    }

    #[test]
    fn what_is_known_of_the_visitor_comes_last_in_the_order_of_its_words() {
        let names: Vec<&str> = CLICK.columns[click::VISITOR..].iter().map(|it| it.name).collect();
        assert_eq!(names, Known::ALL.map(Known::name));
    }
}
