"""The grid criterion: the power that the grid can still supply at each parcel, and the shortfall.

`headroom` computes the headroom of one capacity record, `records` reads a market's records,
`answers` gives the answer of each kind of record for each parcel, `combining` combines the records
that may serve it, `serving` chooses the best answer, and `gap` computes the shortfall of a load and
what remains where parcels share a supply.
"""
