"""How loud the running machines are at each receptor, and what the limits there are.

`sound` describes what one machine emits and what stands in its way, `rules` the limits,
`receptors` the receptors and where the level is measured, `spots` the quiet places on a parcel, and
`judge` the level and the margin of a placement. The propagation itself is ISO 9613-2, in
`geo.propagation`.
"""
