"""The screening: from tables to tables, without network, database, Prefect or folium."""
