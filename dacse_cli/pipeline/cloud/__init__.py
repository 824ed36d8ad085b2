"""Runs whose inputs or outputs lie in object stores: fetched ahead, worked on here, put when whole."""
