"""Place the landfills, the digesters and the hydrogen plant where the inventory puts them."""

import geopandas as gpd
import numpy as np
import shapely

from data.demo import recipe
from data.demo.land import TownGround
from data.demo.layout import TownFrame


def place_plants(lots: gpd.GeoDataFrame, frame: TownFrame, ground: TownGround) -> np.ndarray:
    """Place each plant of the recipe.

    Args:
        lots: The lots, in the town's frame.
        frame: The town's frame.
        ground: The town's ground.

    Returns:
        The point of each plant (n,), in the town's frame.
    """
    return np.array([_point(plant, lots, frame, ground) for plant in recipe.PLANTS], dtype=object)


def _point(
    plant: recipe.DemoPlant, lots: gpd.GeoDataFrame, frame: TownFrame, ground: TownGround
) -> shapely.Point:
    at = shapely.Point(frame.place(*plant.at))
    if plant.stands == "line":
        line = ground.town.exterior
        return line.interpolate(line.project(at))
    suits = lots[lots.use.isin(plant.uses)]
    # The smallest towns have no such lot.
    if plant.stands == "lot" and len(suits):
        return shapely.point_on_surface(suits.geometry.iloc[int(suits.distance(at).argmin())])
    return ground.county.centroid if plant.stands == "county" else at
