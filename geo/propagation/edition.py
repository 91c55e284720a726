"""The editions of ISO 9613-2, as data that the formulas read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edition:
    """The rules of one edition of ISO 9613-2 where the two differ, and the constants of 7.4.

    `steep_ground` scales the ground effect of 7.3.1 by the geometry of the pair (Kgeo).
    `weather_scales_all` puts Kmet outside the bracket of eq. (14) and measures it from the
    distance to the line of sight at which screening begins. `c2` is C2 of eq. (14) (ground
    reflections inside Dz); `single_cap_db` and `double_cap_db` bound Dz over the top edge;
    `weather_m` is the length in eq. (18).
    """

    name: str
    steep_ground: bool
    weather_scales_all: bool
    c2: float = 20.0
    single_cap_db: float = 20.0
    double_cap_db: float = 25.0
    weather_m: float = 2000.0


ISO_1996 = Edition("ISO 9613-2:1996", steep_ground=False, weather_scales_all=False)
ISO_2024 = Edition("ISO 9613-2:2024", steep_ground=True, weather_scales_all=True)
