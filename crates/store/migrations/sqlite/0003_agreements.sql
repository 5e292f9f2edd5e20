-- What contracts can agree on beside one conversion for each click, goal and transaction id.

-- Where a transaction id alone makes conversions one, they live apart from the clicks that name
-- them: the home of the conversion, where it is not that of the hit's click.
alter table verdict add column conversion_home integer;

-- For the hits of such a conversion.
create index verdict_conversion_home on verdict (conversion_home)
    where conversion_home is not null;

-- For such conversions of a click.
create index conversion_of_txn on conversion (click_id) where substr(identity, 1, 1) = x'04';
