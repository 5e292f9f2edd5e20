-- What contracts can agree on beside one conversion for each click, goal and transaction id.

-- Where a transaction id alone makes conversions one, they live apart from the clicks that name
-- them: the home of the conversion, where it is not that of the hit's click.
alter table verdict add column conversion_home integer;

-- For the hits of such a conversion.
create index verdict_conversion_home on verdict (conversion_home)
    where conversion_home is not null;

-- For such conversions of a click.
create index conversion_of_txn on conversion (click_id) where substr(identity, 1, 1) = x'04';

-- Of a conversion without the transaction id that it should have: the status it was sent with.
alter table conversion add column triaged text;
-- Its identity then, once it has an id: what was said then still leads to it.
alter table conversion add column triage_identity blob;
-- The conversion that it turned out to be.
alter table conversion add column merged_into integer;

-- For the list of those that wait; they are few.
create index conversion_triaged on conversion (created_at) where triaged is not null;
-- For those of one click: only so many may wait.
create index conversion_waiting on conversion (home) where triaged is not null;
create unique index conversion_was_triaged on conversion (home, triage_identity)
    where triage_identity is not null;

-- The clicks that events were told of.
create table event_click (
    home         integer not null,
    click_id     blob    not null check (length(click_id) = 16),
    campaign_id  integer not null,
    publisher_id integer not null,
    link_id      integer not null,
    is_test      integer not null,
    -- Eight bytes for each postback that changed them.
    seen         blob    not null,
    sub1 text, sub2 text, sub3 text, sub4 text, sub5 text,
    sub6 text, sub7 text, sub8 text, sub9 text, sub10 text,
    source text, creative text, placement text,
    primary key (home, click_id)
) strict, without rowid;

-- Their numbers: event1 …
create table event (
    home       integer not null,
    click_id   blob    not null,
    number     integer not null check (number between 1 and 30),
    -- Millionths.
    value      integer not null,
    first_at   integer not null,
    changed_at integer not null,
    primary key (home, click_id, number)
) strict, without rowid;

-- For reports; grows at its end.
create index event_first on event (first_at);
