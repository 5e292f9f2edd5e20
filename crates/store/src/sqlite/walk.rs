//! Pages of a list: rows are walked newest first, and what a filter asks for is picked out.
//!
//! Indexes on all that lists can be filtered by would cost each hit more than what is written for
//! it now. So a page ends after so many rows, whether or not it is full, and says where to go on:
//! no list keeps a reader for long, however large the ledger is.

use crate::Error;
use crate::list::{PAGE_ROWS_MAX, Page};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// How many rows one page walks at the most: some tenths of a second.
pub(super) const ROWS_MAX: usize = 200_000;

/// Which rows are walked, and which of them are asked for. The conditions are from a closed list,
/// with their values: never from input.
pub(super) struct Walk {
    table: &'static str,
    key: &'static str,
    order: &'static str,
    within: Vec<String>,
    asked: Vec<String>,
    values: Vec<Value>,
}

impl Walk {
    /// All rows of `table`, known by `key`, in this order.
    pub(super) fn new(table: &'static str, key: &'static str, order: &'static str) -> Self {
        let (within, asked, values) = (Vec::new(), Vec::new(), Vec::new());
        Self { table, key, order, within, asked, values }
    }

    /// Walks only rows for which `condition` holds, whose `?` stands for `value`, where there is
    /// one. It leads through the index whose order is walked, or one that finds few rows.
    pub(super) fn within(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        let condition = self.numbered(condition, value);
        self.within.extend(condition);
    }

    /// Walks only rows for which one of two conditions holds, each through an index of its own.
    pub(super) fn within_either(&mut self, either: [(&str, Option<Value>); 2]) {
        let either = either.map(|(condition, value)| self.numbered(condition, value));
        if let [Some(one), Some(other)] = either {
            self.within.push(format!("({one} or {other})"));
        }
    }

    /// The same for what is looked at in each row that is walked.
    pub(super) fn ask(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        let condition = self.numbered(condition, value);
        self.asked.extend(condition);
    }

    fn numbered(&mut self, condition: &str, value: Option<impl Into<Value>>) -> Option<String> {
        self.values.push(value?.into());
        Some(condition.replace('?', &format!("?{}", self.values.len())))
    }

    /// What `find` has for the first `limit` keys that are asked for.
    pub(super) fn page<T>(
        self,
        connection: &Connection,
        limit: u32,
        rows_max: usize,
        find: impl Fn(u64) -> Result<Option<T>, Error>,
    ) -> Result<Page<T>, Error> {
        let Self { table, key, order, within, asked, values } = self;
        let all = |conditions: Vec<String>| match &conditions[..] {
            [] => "true".to_owned(),
            conditions => conditions.join(" and "),
        };
        let sql = format!(
            "-- {table}::list
            select {key}, ({}) as is_asked from {table} where {} order by {order}",
            all(asked),
            all(within)
        );
        let limit = limit.clamp(1, PAGE_ROWS_MAX) as usize;
        let mut page = Page { items: Vec::new(), next: None };
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let (mut walked, mut last) = (0, None);
        while let Some(row) = rows.next()? {
            if page.items.len() == limit || walked == rows_max {
                page.next = last;
                break;
            }
            walked += 1;
            let key: u64 = row.get(key)?;
            last = Some(key);
            // Where the value is null, it is not what is asked for.
            if row.get::<_, Option<bool>>("is_asked")?.unwrap_or(false) {
                page.items.extend(find(key)?);
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_which(modulus: i64, before: Option<u64>, limit: u32) -> Page<u64> {
        let connection = Connection::open_in_memory().unwrap();
        let rows = "create table row (id integer primary key, v integer);
            insert into row (v) select value from json_each('[1,2,3,4,5,6,7,null,9,10]')";
        connection.execute_batch(rows).unwrap();
        let mut walk = Walk::new("row", "id", "id desc");
        walk.ask("v % ? = 0", Some(modulus));
        walk.within("id < ?", before.map(super::super::row::integer));
        walk.page(&connection, limit, 4, |id| Ok(Some(id))).unwrap()
    }

    #[test]
    fn a_page_ends_where_it_is_full_or_enough_rows_were_walked() {
        for (modulus, before, limit, items, next) in [
            (1, None, 2, &[10, 9][..], Some(9)),
            (1, None, 9, &[10, 9, 7], Some(7)),
            (5, None, 9, &[10], Some(7)),
            (5, Some(7), 9, &[5], Some(3)),
            (5, Some(3), 9, &[], None),
            (7, None, 1, &[7], Some(7)),
            (1, Some(3), 2, &[2, 1], None),
            (11, None, 9, &[], Some(7)),
        ] {
            let page = of_which(modulus, before, limit);
            assert_eq!((&page.items[..], page.next), (items, next), "{modulus} {before:?}");
        }
    }
}
