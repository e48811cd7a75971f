"""Attempts on an existing Dask cluster: Dask carries single ready shards, a plugin runs them confined."""
