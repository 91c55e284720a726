"""The grid criterion: how much power the grid can still supply at each parcel, and the shortfall.

`headroom` computes what one capacity record leaves, `records` reads a market's records, `answers`
gives the answer of each kind of record for each parcel, `serving` chooses the best answer, and
`gap` computes the shortfall of a load and what remains where several parcels share a supply.
"""
