"""The noise criterion: the level of the running machines at each receptor, and the limits there.

`sound` describes the sound of one machine and the obstacles to it, `rules` the limits, `receptors`
the receptors and where the level is measured, `spots` the quiet places on a parcel, and `judge` the
level and the margin of a placement. The propagation itself is ISO 9613-2, in `geo.propagation`.
"""
