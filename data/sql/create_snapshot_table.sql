-- One row per snapshot of a source; its rows are in the table snapshot_<snapshot_id>.
create sequence snapshot_id;

create table snapshot (
    snapshot_id bigint primary key,
    source_id varchar not null,
    layer varchar not null,
    digest varchar not null,
    raw_digest varchar not null,
    declaration_digest varchar not null,
    declaration varchar not null,
    raw_file varchar,
    rows_in bigint not null,
    row_count bigint not null,
    crs varchar not null,
    coverage blob,
    coverage_kind varchar not null,
    title varchar not null,
    publisher varchar not null,
    licence varchar not null,
    attribution varchar not null,
    redistribute boolean not null,
    vintage date not null,
    taken_on date not null,
    last_seen date not null,
    seconds double not null,
    notes varchar[] not null
);
