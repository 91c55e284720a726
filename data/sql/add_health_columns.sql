-- What a person needs to judge a source: warnings, the columns of the raw files by name and kind
-- (JSON), how columns and rows differ from the snapshot before, and which address answered last.
alter table snapshot add column warnings varchar[];
alter table snapshot add column raw_columns varchar;
alter table snapshot add column column_changes varchar;
alter table snapshot add column rows_before bigint;
alter table snapshot add column rows_added bigint;
alter table snapshot add column rows_removed bigint;
alter table snapshot add column address varchar;
alter table snapshot add column failed_addresses varchar[];

-- An older program did not say which of its notes are warnings.
update snapshot set
    warnings = notes,
    raw_columns = '{{}}',
    column_changes = '',
    address = '',
    failed_addresses = [];
