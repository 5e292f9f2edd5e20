-- What destinations are owed: written with the entry that they are told of, and never changed.
-- What came of it is kept apart, for it cannot be made again from the journal.
create table delivery (
    -- In the order they came to be owed, from 1 on without gaps.
    id             integer primary key,
    home           integer not null,
    conversion_id  integer not null,
    -- The entry's.
    sequence       integer not null,
    destination_id integer not null,
    kind           text    not null check (kind in ('notice', 'correction', 'withdrawal')),
    status         text    not null,
    payout         integer not null,
    difference     integer not null,
    -- The same two before the destination's share was taken.
    full_payout    integer not null,
    full_difference integer not null,
    revenue        integer not null,
    at             integer not null,
    -- When it was asked for, where it tells of what happened before: as it stood then.
    backfilled_at  integer,
    unique (home, conversion_id, sequence, destination_id)
) strict;

-- For what a destination is told late: in the order in which conversions were made.
create index conversion_publisher on conversion (publisher_id, created_at);

create trigger delivery_is_never_changed before update on delivery
begin
    select raise(abort, 'what is owed is never changed');
end;

create trigger delivery_is_never_deleted before delete on delivery
begin
    select raise(abort, 'what is owed is never deleted');
end;
