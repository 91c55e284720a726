-- What the codes of each jurisdiction mean, and the setbacks of the zoning texts that were read.
create temp table use_meaning (
    jurisdiction varchar,
    scheme varchar,
    code varchar,
    title varchar,
    class varchar,
    receptor varchar
);

create temp table zone_meaning (
    jurisdiction varchar,
    scheme varchar,
    code varchar,
    title varchar,
    class varchar
);

create temp table zone_setback (
    jurisdiction varchar,
    zone_code varchar,
    setback_front_m double,
    setback_side_m double,
    setback_rear_m double,
    setback_home_m double,
    primary key (jurisdiction, zone_code)
);
