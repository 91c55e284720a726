"""The pad: where on a parcel the machines and their fuel may stand, and how many fit there.

`ground` cuts the buildable ground, `yards` the setbacks along each lot line, `room` finds how many
machines fit and where, `storage` finds room for tanks, and `access` checks that a truck can reach
the pad.
"""
