//! A report as CSV (RFC 4180).
//!
//! Labels come from strangers, and spreadsheets run what begins like a formula: such a text gets
//! an apostrophe before it.

use super::table::{Cell, Table};

/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A line for the columns' names, then one for each row.
pub(super) fn write(table: &Table) -> String {
    let heading = |column: &&str| match table.headings.get(*column) {
        Some(meaning) => quoted(&safe(&format!("{column}: {meaning}"))),
        None => (*column).to_owned(),
    };
    let mut out = table.columns.iter().map(heading).collect::<Vec<_>>().join(",");
    out.push_str("\r\n");
    for row in &table.rows {
        let cells: Vec<String> = row.0.iter().map(|(_, cell)| field(cell)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

fn field(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Number(number) => number.to_string(),
        Cell::Amount(amount) => amount.to_fixed(),
        Cell::Total(total) => total.to_string(),
        Cell::Text(text) => quoted(&safe(text)),
        Cell::Money(all) => {
            let one = |(currency, money): &(domain::money::Currency, domain::report::Money)| {
                let (revenue, payout) = (money.revenue.to_fixed(), money.payout.to_fixed());
                format!("{currency} {revenue} {payout}")
            };
            quoted(&all.iter().map(one).collect::<Vec<_>>().join("; "))
        }
    }
}

fn safe(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::table;
    use super::*;
    use domain::money::{Currency, Micros};
    use domain::report::{Answer, Money, Sums, Value};
    use std::collections::BTreeMap;

    #[test]
    fn a_line_has_a_field_for_each_column() {
        let loss = Money { revenue: Micros(-2_500_000), payout: Micros(0) };
        let sums =
            Sums { clicks: 7, money: BTreeMap::from([(Currency::USD, loss)]), ..Sums::default() };
        let groups = [
            (vec![Value::Text("=1+1".to_owned())], sums.clone()),
            (vec![Value::Text("a,\"b\"\n".to_owned())], Sums::default()),
            (vec![Value::None], sums),
        ];
        let table = table("group_by=sub1&metrics=clicks,revenue", Answer::from(groups));
        let expected = [
            "sub1,clicks,revenue,currency,money",
            "'=1+1,7,-2.50,USD,USD -2.50 0.00",
            "\"a,\"\"b\"\"\n\",0,0.00,,",
            ",7,-2.50,USD,USD -2.50 0.00",
            "",
        ];
        assert_eq!(write(&table), expected.join("\r\n"));
    }

    #[test]
    fn a_text_that_begins_like_a_formula_is_made_harmless() {
        for text in ["=1", "+1", "-1", "@a", "\t=1", "\r=1"] {
            assert!(safe(text).starts_with('\''), "{text:?}");
        }
        assert_eq!(safe("a=1"), "a=1");
    }
}
