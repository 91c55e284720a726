"""The pad: where on a parcel machines and their fuel may stand, and how many fit there.

`ground` cuts the buildable ground, `room` finds the most machines that fit on it and places to
put them, `storage` finds room for tanks, `access` asks whether a way leads there.
"""
