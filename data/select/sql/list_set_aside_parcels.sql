-- Every parcel that is no site, with the first rule that says why.
select
    parcel.parcel_id,
    parcel.address,
    case
        when parcel.rule is not null then parcel.rule
        when stack_member.stack_row <> parcel.row_id then $stacked
        when piece.lot_row <> parcel.row_id then $piece
        else lot_decision.rule
    end as rule
from parcel
left join stack_member on stack_member.row_id = parcel.row_id
left join piece on piece.stack_row = parcel.row_id
left join lot_decision on lot_decision.lot_row = parcel.row_id
where lot_decision.lot_row is null or lot_decision.rule is not null
order by parcel.row_id
