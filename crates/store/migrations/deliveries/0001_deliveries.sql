-- What came of what destinations are owed: when it is due, who is at it, and every attempt.
--
-- The ledger says what is owed, and could be made again; this could not. Times are microseconds
-- since 1970 in UTC, money is micros of the currency.

-- One row.
create table state (
    id         integer primary key check (id = 1),
    journal_id blob    not null check (length(journal_id) = 16),
    -- The last of the ledger's rows that was taken over.
    cursor     integer not null,
    -- What changed until then may have been told already, and this file does not know of it. Null in
    -- a copy: until its journal ends.
    held_until integer
) strict;

create table delivery (
    -- As in the ledger.
    id             integer primary key,
    destination_id integer not null,
    conversion_id  integer not null,
    sequence       integer not null,
    -- As it is sent: where nothing was sent before it, it is a notice.
    kind           text    not null,
    status         text    not null,
    payout         integer not null,
    difference     integer not null,
    -- The same two before the destination's share was taken.
    full_payout    integer not null,
    full_difference integer not null,
    revenue        integer not null,
    at             integer not null,
    -- When it was asked for, where it tells of what happened before.
    backfilled_at  integer,
    state          text    not null,
    -- 0: never tried. 1: tried. 2: backfilled or sent once more. 3: none of them before what waits of the
    -- same conversion is settled, so that what is due can always be sent.
    lane           integer not null check (lane in (0, 1, 2, 3)),
    due_at         integer not null,
    attempts       integer not null,
    -- How many of them were made before it was sent once more: the waits begin anew then.
    attempts_past  integer not null,
    -- While an attempt is under way: until when nobody else begins one.
    leased_until   integer,
    settled_at     integer,
    is_replay      integer not null,
    -- When the replay was begun that sent it once more: it does so with none of its conversion again.
    replayed_at    integer,
    -- Some attempt has reached the receiver, or may have, and was not turned away.
    may_have_arrived integer not null,
    -- What the destination could be told when it came to be owed.
    hears_corrections integer not null,
    hears_withdrawals integer not null
) strict;

-- What is due, in its order.
create index delivery_due on delivery (destination_id, lane, due_at, id) where state = 'waiting';
-- Those of one conversion are sent in their order.
create index delivery_conversion on delivery (conversion_id, destination_id, sequence);
-- For lists, newest first: what is not of the time that is asked for is passed over within them.
create index delivery_destination on delivery (destination_id, state, id, at);
create index delivery_state on delivery (state, id, at);
create index delivery_at on delivery (at, destination_id);
-- What a person decides on.
create index delivery_exhausted on delivery (destination_id, settled_at) where state = 'exhausted';
create index delivery_held on delivery (destination_id, at) where state = 'held';

-- How many there are of each: counting them whenever somebody asks would read every one.
create table figure (
    destination_id integer not null,
    state          text    not null,
    count          integer not null,
    primary key (destination_id, state)
) strict, without rowid;

create trigger delivery_is_counted after insert on delivery
begin
    insert into figure (destination_id, state, count) values (new.destination_id, new.state, 1)
    on conflict do update set count = count + 1;
end;

create trigger delivery_is_counted_anew after update of state on delivery
when old.state <> new.state
begin
    update figure set count = count - 1
    where destination_id = old.destination_id and state = old.state;
    insert into figure (destination_id, state, count) values (new.destination_id, new.state, 1)
    on conflict do update set count = count + 1;
end;

create table attempt (
    delivery_id integer not null,
    number      integer not null,
    at          integer not null,
    latency_ms  integer not null,
    method      text    not null,
    -- With secrets masked. Null once what it may say of a visitor is not kept any longer.
    url         text,
    http_status integer,
    -- The beginning of the answer, as long as the URL is kept.
    answer      blob,
    -- Why there was no answer, or no request.
    error       text,
    led_to      text    not null,
    is_replay   integer not null,
    primary key (delivery_id, number)
) strict, without rowid;

-- Those that still hold what is personal.
create index attempt_personal on attempt (at) where url is not null;

-- How destinations are doing.
create table destination (
    id            integer primary key,
    -- Attempts that failed since the last that did not.
    failures      integer not null,
    last_good_at  integer,
    paused_at     integer,
    paused_by     text,
    paused_why    text,
    probe_at      integer,
    -- Of one that was resumed: up to which delivery what was tried before is in its place again. Null
    -- once all of it is.
    resumed_to    integer
) strict;

-- Those that are not done with.
create index destination_resumed on destination (id) where resumed_to is not null;

-- How attempts have ended.
create table outcome (
    -- Whole hours since 1970.
    hour           integer not null,
    destination_id integer not null,
    attempts       integer not null,
    -- Those of them that the receiver has taken.
    good           integer not null,
    primary key (hour, destination_id)
) strict, without rowid;

-- Replays that were asked for under a key: under the same one it is done once.
create table replay (
    key     text    primary key,
    -- What the request was, as a hash.
    request text    not null,
    -- How many it has had sent once more so far.
    count   integer not null,
    at      integer not null,
    -- The last delivery there was when it was begun: what came later is not of it.
    last    integer not null,
    -- After which delivery it goes on; null once it is done.
    next    integer
) strict, without rowid;
