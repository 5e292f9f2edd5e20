-- The ledger: setup with its history, commands with their outcomes, verdicts, conversions,
-- entries, and the journal position that all of it stands at.
--
-- Keys of rows that belong to a click lead with `home`, so that the same tables can be spread
-- over machines. Times are microseconds since 1970 in UTC, money is micros of the currency.

-- Where the ledger stands. One row.
create table state (
    id               integer primary key check (id = 1),
    journal_id       blob    not null check (length(journal_id) = 16),
    -- The first record that has not been applied.
    position         integer not null,
    next_conversion  integer not null,
    -- The chain's last hash, and how many entries it has.
    chain            blob    not null check (length(chain) = 32),
    entries          integer not null
) strict;

-- Every version of every noun, oldest first. Read whole at start.
create table setup (
    number   integer primary key,
    noun     text    not null,
    id       text    not null,
    since    integer not null,
    position integer not null,
    body     text    not null
) strict;

-- The audit trail.
create table command (
    position        integer primary key,
    at              integer not null,
    actor           text    not null,
    act             text    not null,
    -- As it was given, with secrets masked.
    body            text    not null,
    idempotency_key text,
    request         text,
    outcome         text    not null
) strict;

-- The same key gives the stored answer. Commands are few.
create unique index command_idempotency on command (actor, idempotency_key)
    where idempotency_key is not null;

-- What became of each hit. The hit itself is in the journal, and later in a sealed file.
create table verdict (
    position       integer primary key,
    home           integer,
    at             integer not null,
    -- When it was decided by the clock: the only column that a replay does not bring back.
    decided_at     integer not null,
    verdict        text    not null,
    reason         text,
    parameter      text,
    nearest        text,
    detail         text,
    flags          integer not null,
    contract       text,
    click_id       blob,
    campaign_id    integer,
    publisher_id   integer,
    goal           text,
    txn_id         text,
    original       integer,
    conversion_id  integer,
    status         text,
    is_test        integer not null,
    -- The profile it is answered with.
    profile        text    not null,
    sub1 text, sub2 text, sub3 text, sub4 text, sub5 text,
    sub6 text, sub7 text, sub8 text, sub9 text, sub10 text,
    source text, creative text, placement text
) strict;

-- For reports; in the order of insertion, so it grows at its end.
create index verdict_at on verdict (at);
-- For the hits of a click.
create index verdict_home on verdict (home) where home is not null;

create table conversion (
    id             integer primary key,
    home           integer not null,
    identity       blob    not null,
    campaign_id    integer not null,
    publisher_id   integer not null,
    link_id        integer not null,
    goal           text    not null,
    click_id       blob    not null check (length(click_id) = 16),
    txn_id         text,
    status         text    not null,
    raw_status     text,
    revenue        integer not null,
    payout         integer not null,
    paid_revenue   integer not null,
    paid_payout    integer not null,
    currency       text    not null,
    sent_amount    integer,
    sale_amount    integer,
    -- Needed by the goal's term, and not sent yet.
    revenue_missing integer not null,
    payout_missing integer not null,
    conversion_ref text,
    -- param1 …, event1 …, and what was said of the click, as JSON pairs; null: none.
    extra          text,
    external_id    blob,
    is_test        integer not null,
    flags          integer not null,
    contract       text    not null,
    created_by     integer not null,
    created_at     integer not null,
    changed_at     integer not null,
    sequence       integer not null,
    -- Eight bytes for each different postback.
    seen           blob    not null,
    sub1 text, sub2 text, sub3 text, sub4 text, sub5 text,
    sub6 text, sub7 text, sub8 text, sub9 text, sub10 text,
    source text, creative text, placement text,
    unique (home, identity)
) strict;

-- For reports and lists; grows at its end.
create index conversion_created on conversion (created_at);

create table entry (
    -- In the order of the chain, from 1 on.
    number        integer primary key,
    home          integer not null,
    conversion_id integer not null,
    sequence      integer not null,
    at            integer not null,
    cause         text    not null check (cause in ('hit', 'command')),
    position      integer not null,
    evidence      blob    not null check (length(evidence) = 32),
    from_status   text,
    to_status     text    not null,
    revenue       integer not null,
    payout        integer not null,
    currency      text    not null,
    hash          blob    not null check (length(hash) = 32),
    unique (home, conversion_id, sequence)
) strict;

create trigger entry_is_never_changed before update on entry
begin
    select raise(abort, 'an entry is never changed');
end;

create trigger entry_is_never_deleted before delete on entry
begin
    select raise(abort, 'an entry is never deleted');
end;

create trigger setup_is_never_changed before update on setup
begin
    select raise(abort, 'a version of the setup is never changed');
end;

create trigger setup_is_never_deleted before delete on setup
begin
    select raise(abort, 'a version of the setup is never deleted');
end;
