"""How loud n running machines are where somebody hears them, and what may be heard there.

`sound` says what one machine gives off and what stands in its way, `rules` what may be heard,
`hearers` by whom and where, `spots` where on a parcel it would be quiet, `judge` how loud it is.
The propagation itself is ISO 9613-2, in `geo.propagation`.
"""
