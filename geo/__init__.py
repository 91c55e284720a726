"""The screening itself: tables in, tables out. No network, no database, no Prefect, no folium."""
