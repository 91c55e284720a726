"""The grid: what it can still give a parcel, and what that leaves short. No generator is counted.

`headroom` says what a capacity record leaves, `records` reads a market's, `answers` what each kind
of them says at a parcel, `serving` which serves it, and `gap` what is missing of a load, and what
is left where several parcels share one substation.
"""
