"""Draw the ranking as a map and write it as lists. Only this package uses folium."""
